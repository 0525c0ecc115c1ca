"""The states of a postback."""

import enum


class PostbackState(enum.StrEnum):
    """Where a postback stands."""

    WAITING = "waiting"
    PAUSED = "paused"
    """Waiting, and held back: its rule or its receiver is paused. The ledger has no such state; the log shows it."""
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Return whether nothing more happens to it unless it is sent again."""
        return self not in (PostbackState.WAITING, PostbackState.PAUSED, PostbackState.SENDING)
