"""The states of a postback. ``docs/why/states-of-a-postback.md`` describes the transitions."""

import enum


class PostbackState(enum.StrEnum):
    """State of a postback."""

    WAITING = "waiting"
    PAUSED = "paused"
    """Waiting while its rule or receiver is paused. Derived from their states when shown, never stored."""
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_queued(self) -> bool:
        """Return True if it waits, paused or not, so that it can be cancelled or replaced."""
        return self in QUEUED

    @property
    def is_final(self) -> bool:
        """Return True if no attempt follows unless a user requests one."""
        return self in FINAL


STORED = tuple(state for state in PostbackState if state is not PostbackState.PAUSED)
QUEUED = (PostbackState.WAITING, PostbackState.PAUSED)
UNFINISHED = (PostbackState.WAITING, PostbackState.SENDING)
"""The stored states that always have a next due time."""
FINAL = (PostbackState.DELIVERED, PostbackState.FAILED, PostbackState.SKIPPED, PostbackState.CANCELLED)
ENDED_UNDELIVERED = (PostbackState.FAILED, PostbackState.CANCELLED)
SENT_OR_PENDING = (*UNFINISHED, PostbackState.DELIVERED)
"""A postback of an older change must not be sent after one in these states."""
