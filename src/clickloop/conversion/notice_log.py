"""Conversions - In: a notice in the log, what became of it, and what the log is narrowed by."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.conversion.notice import RawNotice, RefusalReason
from clickloop.log_filter import Flagged, LogFilter, OfClick, OfConversion, RecordNumber


class Outcome(enum.StrEnum):
    """What became of a notice."""

    WAITING = "waiting"
    NEW = "new"
    CHANGED = "changed"
    REPEATED = "repeated"
    REFUSED = "refused"

    @property
    def is_registered(self) -> bool:
        """Whether it belongs to a conversion."""
        return self in (Outcome.NEW, Outcome.CHANGED, Outcome.REPEATED)


class StoredNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as it stands in the log. ``reason`` is set exactly when it is refused."""

    raw: RawNotice
    click_id: str | None = None
    """The genuine click id that it carried."""
    network_id: int | None = None
    campaign_id: int | None = None
    status_word: str = ""
    outcome: Outcome
    reason: RefusalReason | None = None
    flags: tuple[str, ...] = ()
    conversion_id: str | None = None
    version: int | None = None
    """Of the conversion, after this notice."""
    look_again_at: int | None = None
    first_look_at: int | None = None
    """The moment of the core's first look for its click, where that was not there."""
    runs: int = 1
    """How often it was read: once, and whenever it was run again."""
    run_at: int | None = None
    """When it was run again the last time."""


class NoticeFilter(LogFilter, frozen=True, omit_defaults=True, kw_only=True):
    """Which notices."""

    outcome: Annotated[Outcome, Meta(description="Only with this outcome.")] | None = None
    reason: Annotated[RefusalReason, Meta(description="Only refused for this reason.")] | None = None
    network_id: RecordNumber = None
    campaign_id: RecordNumber = None
    flagged: Flagged = None
    status_word: (
        Annotated[
            str,
            Meta(
                max_length=200, description="Only with this status word as the network sent it; case does not matter."
            ),
        ]
        | None
    ) = None
    click_id: OfClick = None
    conversion_id: OfConversion = None
