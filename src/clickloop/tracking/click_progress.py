"""The progress of settling clicks, which decides whether a click that the facts lack may still arrive."""

import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from clickloop.click.click import Click
from clickloop.clock import Clock, wall_clock
from clickloop.machine.log import RateLimitedLog
from clickloop.store.facts.facts import FactsError
from clickloop.store.file_fault import RESTORE_BACKUP
from clickloop.store.journal.listing import unsettled_segments
from clickloop.store.journal.segment import CLICKS_STREAM

MIN_LISTING_SECONDS = 1.0
"""Minimum time between listings of the journal's directories: one costs as much as settling some clicks."""
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

    def settled_to_for(self, click_id: str) -> int | None:
        """Return the moment up to which every click that could be this one is settled and readable; None if unknown."""
        return None if click_id in self.unreadable else self.settled_to


class ClickProgress:
    """The moment up to which click segments are settled, and the clicks that cannot be read. Thread-safe.

    Without a journal everything counts as settled.
    """

    def __init__(
        self,
        journal: Path | None = None,
        stream: str = CLICKS_STREAM,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._stream = stream
        self._clock = clock
        self._monotonic = monotonic
        self._look_at = float("-inf")
        self._settled_to: int | None = _EVERYTHING if journal is None else None
        self._pending: frozenset[str] = frozenset()
        self._pending_at: int | None = None
        self._previous: tuple[int, frozenset[str]] | None = None
        self._unreadable: dict[str, None] = {}
        self._fault = RateLimitedLog(
            "clicks cannot be read from the facts: their notices wait, all others are processed", 60
        )
        self.batches = 0
        """Number of settled batches of clicks. When it changes, clicks that notices wait for may have arrived."""

    @property
    def settled_to(self) -> int | None:
        """Return the moment up to which click segments are settled; None if not known yet."""
        return self._settled_to

    def clicks_settled(self) -> None:
        """Count a settled batch of clicks. Call it from the thread that settles clicks."""
        self.batches += 1

    def look(self) -> None:
        """List the journal, at most once a second. Call it from one thread.

        A file renamed while its directory is read can be missing from a listing, but hardly from two in a row:
        a segment exists if either of the last two listings shows it.
        """
        if self._journal is None or self._monotonic() < self._look_at:
            return
        self._look_at = self._monotonic() + MIN_LISTING_SECONDS
        now_ms = self._clock()
        try:
            current = unsettled_segments(self._journal, self._stream)
        except OSError:  # an unreadable directory may contain anything
            self._settled_to = self._pending_at = self._previous = None
            return
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
