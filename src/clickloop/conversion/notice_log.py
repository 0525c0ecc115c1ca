"""Conversions - In: a notice in the log, its outcome, and the log's filters."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.conversion.notice import RawNotice, RefusalReason
from clickloop.log_filter import ClickIdFilter, ConversionIdFilter, Flagged, LogFilter, RecordNumber


class NoticeOutcome(enum.StrEnum):
    """The outcome of a notice."""

    WAITING = "waiting"
    NEW = "new"
    CHANGED = "changed"
    REPEATED = "repeated"
    REFUSED = "refused"

    @property
    def is_registered(self) -> bool:
        """Whether it belongs to a conversion."""
        return self in (NoticeOutcome.NEW, NoticeOutcome.CHANGED, NoticeOutcome.REPEATED)


class StoredNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice in the log. ``reason`` is set if and only if it is refused."""

    raw: RawNotice
    click_id: str | None = None
    """The genuine click id in it; None: it has none."""
    network_id: int | None = None
    campaign_id: int | None = None
    status_word: str = ""
    outcome: NoticeOutcome
    reason: RefusalReason | None = None
    flags: tuple[str, ...] = ()
    conversion_id: str | None = None
    version: int | None = None
    """The conversion's version after this notice."""
    look_again_at: int | None = None
    first_look_at: int | None = None
    """When the core first looked for its click; None: the click was there at once."""
    runs: int = 1
    """How often it was processed, including reruns."""
    run_at: int | None = None
    """The time of the last rerun; None if it was never rerun."""


class NoticeFilter(LogFilter, frozen=True, omit_defaults=True, kw_only=True):
    """Filters of the log of notices."""

    outcome: Annotated[NoticeOutcome, Meta(description="Only with this outcome.")] | None = None
    reason: Annotated[RefusalReason, Meta(description="Only refused for this reason.")] | None = None
    network_id: RecordNumber = None
    campaign_id: RecordNumber = None
    flagged: Flagged = None
    status_word: (
        Annotated[
            str,
            Meta(max_length=200, description="Only with this status word as the network sent it, ignoring case."),
        ]
        | None
    ) = None
    click_id: ClickIdFilter = None
    conversion_id: ConversionIdFilter = None
