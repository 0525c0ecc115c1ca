"""The progress of settling, which decides whether a click or landing click that the facts lack may still arrive."""

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.clock import Clock, wall_clock
from clickloop.machine.log import RateLimitedLog
from clickloop.store.facts.facts import FactsError
from clickloop.store.file_fault import RESTORE_BACKUP
from clickloop.store.journal.listing import unsettled_segments
from clickloop.store.journal.segment import CLICKS_STREAM, PAGE_EVENTS_STREAM

MIN_LISTING_SECONDS = 1.0
"""Minimum time between listings of the journal's directories: one costs as much as settling some clicks."""
MIN_PAGE_EVENT_LISTING_SECONDS = 0.05
"""The same for page events. Conversions after a landing wait for two listings."""
_LISTING_SHARE = 20
"""Minimum factor between the duration of a listing, which takes seconds for a million segments, and the time until the next."""
MAX_UNREADABLE = 10_000
"""Maximum number of unreadable click ids remembered for the alarm."""
_FAN_OUT = 8
"""Parts into which a failed look-up is split. Clicks of one time share blocks, so most parts are readable or not as a whole."""
_EVERYTHING = sys.maxsize


class ClickLookup(Protocol):
    """A source of clicks by id: the facts."""

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        """Return the clicks with these ids, without those that do not exist. Raise FactsError if they cannot be read."""
        ...


class ClickLookupResult(msgspec.Struct, frozen=True):
    """The result of a look-up: the clicks, and what is known about the missing ones."""

    clicks: dict[str, Click]
    unreadable: frozenset[str] = frozenset()
    """Ids whose blocks of the facts cannot be read: their clicks may be there."""
    settled_to: int | None = _EVERYTHING
    """A moment whose existing click segments were all settled before the look-up; None if unknown."""
    landing_clicks: Mapping[str, tuple[PageEvent, ...]] = {}
    """The landing clicks of each click that came over a page, oldest first."""
    landing_clicks_settled_to: int | None = _EVERYTHING
    """The same moment for segments of page events."""

    def settled_to_for(self, click_id: str) -> int | None:
        """Return the moment up to which every click that could be this one is settled and readable; None if unknown."""
        return None if click_id in self.unreadable else self.settled_to


class StreamProgress:
    """The moment up to which the segments of a stream are settled. Thread-safe. Without a journal everything counts as settled."""

    def __init__(
        self,
        journal: Path | None,
        stream: str,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
        min_listing_seconds: float = MIN_LISTING_SECONDS,
    ) -> None:
        self._min_listing_seconds = min_listing_seconds
        self._journal = journal
        self._stream = stream
        self._clock = clock
        self._monotonic = monotonic
        self._look_at = float("-inf")
        self._settled_to: int | None = _EVERYTHING if journal is None else None
        self._pending: frozenset[str] = frozenset()
        self._pending_at: int | None = None
        self._previous: tuple[int, frozenset[str]] | None = None

    @property
    def settled_to(self) -> int | None:
        """Return the moment up to which the segments are settled; None if not known yet."""
        return self._settled_to

    def look(self) -> None:
        """List the journal, unless it was listed just before. Call it from one thread.

        A file renamed while its directory is read can be missing from a listing, but hardly from two in a row:
        a segment exists if either of the last two listings shows it.
        """
        started = self._monotonic()
        if self._journal is None or started < self._look_at:
            return
        now_ms = self._clock()
        try:
            current = unsettled_segments(self._journal, self._stream)
        except OSError:  # an unreadable directory may contain anything
            self._look_at = started + self._min_listing_seconds
            self._settled_to = self._pending_at = self._previous = None
            return
        self._look_at = started + max(self._min_listing_seconds, _LISTING_SHARE * (self._monotonic() - started))
        previous, self._previous = self._previous, (now_ms, current)
        if previous is None:
            return
        if self._settled_to is not None and now_ms < self._settled_to:
            self._settled_to = None  # the clock was set back: the moment is in the future now and proves nothing
        present = previous[1] | current
        self._pending &= present
        if self._pending:
            return
        if self._pending_at is not None and self._pending_at <= now_ms:
            self._settled_to = self._pending_at
        self._pending_at, self._pending = previous[0], present
        if not present and previous[0] <= now_ms:
            self._settled_to = previous[0]  # no segment is waiting


class ClickProgress(StreamProgress):
    """The progress of settling clicks, and the clicks that cannot be read."""

    def __init__(
        self,
        journal: Path | None = None,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(journal, CLICKS_STREAM, clock, monotonic)
        self._unreadable: dict[str, None] = {}
        self._fault = RateLimitedLog(
            "clicks cannot be read from the facts: their notices wait, all others are processed", 60
        )
        self.batches = 0
        """Number of settled batches of clicks. When it changes, clicks that notices wait for may have arrived."""

    def clicks_settled(self) -> None:
        """Count a settled batch of clicks. Call it from the thread that settles clicks."""
        self.batches += 1

    def find(self, lookup: ClickLookup, click_ids: Collection[str], known: dict[str, Click]) -> ClickLookupResult:
        """Return these clicks, from ``known`` and the look-up, and what is known about missing ones. Never raises FactsError."""
        settled_to = (
            self._settled_to
        )  # read before the look-up: a segment settled later proves nothing about its result
        missing = [click_id for click_id in click_ids if click_id not in known]
        if not missing:
            return ClickLookupResult(known, settled_to=settled_to)
        try:
            found, unreadable = lookup.find_clicks(missing), frozenset[str]()
        # A damaged block. All other clicks can still be found.
        except FactsError as fault:
            self._fault(fault=str(fault))
            found, unreadable = self._find_readable(lookup, missing)
        self._update_unreadable(missing, unreadable)
        return ClickLookupResult(known | found, unreadable, settled_to)

    def alarms(self) -> tuple[str, ...]:
        """Return the alarm about clicks that cannot be read; empty if there are none."""
        count = len(self._unreadable)
        if not count:
            return ()
        wait = f"incoming postbacks wait for clicks that cannot be read: {count}"
        return (f"the facts are damaged: {wait}; run clickloop doctor, then {RESTORE_BACKUP}",)

    def _find_readable(self, lookup: ClickLookup, click_ids: Sequence[str]) -> tuple[dict[str, Click], frozenset[str]]:
        """Look up what can be read. Known unreadable ids are not bisected down to single ids again: that costs too much."""
        known_bad = sorted(click_id for click_id in click_ids if click_id in self._unreadable)
        others = sorted(click_id for click_id in click_ids if click_id not in self._unreadable)
        found, bad = _readable_clicks(lookup, others) if others else ({}, frozenset[str]())
        if known_bad:
            found_again, bad_again = _readable_clicks(lookup, known_bad, -(-len(known_bad) // _FAN_OUT))
            return found | found_again, bad | bad_again
        return found, bad

    def _update_unreadable(self, looked_up: Sequence[str], unreadable: frozenset[str]) -> None:
        if not unreadable and not self._unreadable:
            return
        for click_id in looked_up:
            if click_id not in unreadable:
                self._unreadable.pop(click_id, None)
            elif len(self._unreadable) < MAX_UNREADABLE:
                self._unreadable[click_id] = None


def _readable_clicks(
    lookup: ClickLookup, click_ids: Sequence[str], smallest: int = 1
) -> tuple[dict[str, Click], frozenset[str]]:
    """Look up sorted ids, splitting failures into parts of at least ``smallest``. Return the clicks and the unreadable ids."""
    try:
        return lookup.find_clicks(click_ids), frozenset()
    except FactsError:
        if len(click_ids) <= smallest:
            return {}, frozenset(click_ids)
    size = max(smallest, -(-len(click_ids) // _FAN_OUT))
    clicks: dict[str, Click] = {}
    unreadable: frozenset[str] = frozenset()
    for start in range(0, len(click_ids), size):
        found, bad = _readable_clicks(lookup, click_ids[start : start + size], smallest)
        clicks |= found
        unreadable |= bad
    return clicks, unreadable


class PageEventLookup(Protocol):
    """A source of page events by click id: the facts."""

    def find_page_events(
        self, click_ids: Collection[str], kind: PageEventKind | None = None
    ) -> dict[str, tuple[PageEvent, ...]]:
        """Return the newest page events by click id, oldest first. Raise FactsError if they cannot be read."""
        ...


class LandingClicks:
    """The landing clicks of notices' clicks, and the progress of settling them. Without facts and journal there are none."""

    def __init__(
        self,
        lookup: PageEventLookup | None = None,
        journal: Path | None = None,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self.progress = StreamProgress(journal, PAGE_EVENTS_STREAM, clock, monotonic, MIN_PAGE_EVENT_LISTING_SECONDS)
        self._fault = RateLimitedLog("landing clicks cannot be read from the facts: their notices wait", 60)

    def add_to(self, found: ClickLookupResult) -> ClickLookupResult:
        """Return the result with the landing clicks of its clicks. Never raises FactsError."""
        click_ids = [click_id for click_id, click in found.clicks.items() if click.came_over_page]
        if self._lookup is None or not click_ids:
            return found
        settled_to = self.progress.settled_to  # read before the look-up, as for clicks
        events: dict[str, tuple[PageEvent, ...]] = {}
        try:
            events = self._lookup.find_page_events(click_ids, PageEventKind.LANDING_CLICK)
        except FactsError as fault:
            self._fault(fault=str(fault))
            settled_to = None
        return msgspec.structs.replace(found, landing_clicks=events, landing_clicks_settled_to=settled_to)
