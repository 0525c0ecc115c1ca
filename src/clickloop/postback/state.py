"""The states of a postback. ``docs/why/states-of-a-postback.md`` says who moves it from one to the next."""

import enum


class PostbackState(enum.StrEnum):
    """The state of a postback."""

    WAITING = "waiting"
    PAUSED = "paused"
    """Waiting, and held back: its rule or its receiver is paused. Shown, never stored: it follows from theirs."""
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_queued(self) -> bool:
        """True if it waits for its moment, held back or not: it can be cancelled or replaced."""
        return self in QUEUED

    @property
    def is_final(self) -> bool:
        """True if no attempt follows unless a user asks for one."""
        return self in FINAL


STORED = tuple(state for state in PostbackState if state is not PostbackState.PAUSED)
QUEUED = (PostbackState.WAITING, PostbackState.PAUSED)
UNFINISHED = (PostbackState.WAITING, PostbackState.SENDING)
"""The stored states that always have a next moment."""
FINAL = (PostbackState.DELIVERED, PostbackState.FAILED, PostbackState.SKIPPED, PostbackState.CANCELLED)
ENDED_BADLY = (PostbackState.FAILED, PostbackState.CANCELLED)
ON_THE_WAY = (*UNFINISHED, PostbackState.DELIVERED)
"""The states that an older change of the conversion must not be sent behind."""
