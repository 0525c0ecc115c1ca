"""Clicks with what their marks are judged by, and corrections of their marks. Records only."""

from typing import NamedTuple

import msgspec

from clickloop.clock import DAY_MS


class MarkedClick(NamedTuple):
    """A counted click with what its marks are judged by. A text that is not known is empty."""

    click_id: str
    at: int
    campaign_id: int
    source_id: int
    landing_id: int
    ip: str
    useragent: str
    referrer: str
    language: str
    country: str
    asn: str
    isp: str
    connection: str
    device: str
    brand: str
    os: str
    browser: str
    external_id: str
    cost_micros: int
    currency: str
    marks: str
    """The marks that it has now."""
    viewed_at: int | None = None
    """When the page reported its first view; None: it reported none."""
    pressed_ms: int | None = None
    """The shortest time from a view, else from the visit, to the press of a button; None: none was pressed."""


class MarkChange(msgspec.Struct, frozen=True):
    """Marks that a click gains and loses, each separated by commas. Its other marks stay."""

    click_id: str
    gained: str = ""
    lost: str = ""


class MarkBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of a job: it has judged all clicks after those of the batch before, up to ``last_click_id``."""

    job_id: str
    number: int
    """From 1."""
    last_click_id: str
    judged: int
    """Number of clicks judged."""
    changes: tuple[MarkChange, ...]


class MarkProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is: its batches that are in the facts, and have not been undone."""

    batches: int = 0
    last_click_id: str = ""
    judged: int = 0
    changed: int = 0
    """Number of clicks whose marks it changed."""


class MarkCorrection(msgspec.Struct, frozen=True):
    """A change of a click's marks after it was counted. ``job_id``: that of the rerun, or ``LATE``."""

    job_id: str
    at: int
    """Unix milliseconds."""
    before: str
    after: str


LATE = "late"
"""The origin of marks that a click gets by what its visitor does, or fails to do, on the landing."""


class ClickSpan(msgspec.Struct, frozen=True, kw_only=True):
    """The counted clicks from ``since`` to before ``until``, of some campaigns or of all."""

    since: int
    until: int
    campaign_ids: tuple[int, ...] = ()
    """Empty: all."""


class LandingWatch(msgspec.Struct, frozen=True, kw_only=True):
    """What happened on landings after ``since``, up to ``until``, that a late mark may be given for."""

    since: int
    until: int
    campaign_ids: tuple[int, ...] = ()
    wait_ms: tuple[int, ...] = ()
    """How long a view may take after the visit, in the same order; 0: nobody waits for one."""
    usual_wait_ms: int
    """How long it may take in other campaigns."""


VIEW_DAYS = 7
"""A landing's script counts as reporting views if one came within this many days before the click."""

LandingDay = tuple[int, int]
"""A landing and a day, in days since 1970-01-01 UTC."""


class ReportedViews:
    """When the scripts of landings reported views: the first view of each landing on each day."""

    def __init__(self) -> None:
        self._first: dict[LandingDay, int] = {}

    def add(self, firsts: dict[LandingDay, int]) -> None:
        """Add the first views of landings on days."""
        for day, at in firsts.items():
            known = self._first.get(day)
            if known is None or at < known:
                self._first[day] = at

    def had_views(self, landing_id: int, at: int) -> bool:
        """Return whether the landing's script had reported a view within ``VIEW_DAYS`` before a moment."""
        today = at // DAY_MS
        first = self._first.get((landing_id, today))
        if first is not None and first < at:
            return True
        return any((landing_id, today - days) in self._first for days in range(1, VIEW_DAYS + 1))

    def forget(self, before: int) -> None:
        """Drop what no click after a moment can need."""
        oldest = before // DAY_MS - VIEW_DAYS
        self._first = {day: at for day, at in self._first.items() if day[1] >= oldest}
