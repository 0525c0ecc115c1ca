"""Retention: delete old data, but only while the clock can be trusted."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.clock import DAY_MS, MINUTE_MS
from clickloop.machine.clock_guard import ClockGuard
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.notices import delete_unidentified_notices, find_notice, newest_notice
from clickloop.store.ledger.setup.settings import read_setting, write_setting

LAST_SEEN = "last_seen_at"
SAVE_INTERVAL_MS = MINUTE_MS  # each costs a commit; once a minute is enough to notice that the clock was set back
BATCH = 500
"""Notices deleted per transaction."""
MAX_BATCHES = 20
"""Transactions per housekeeping step."""
MAX_SHARE = 0.02
"""Share of the time for looking through files: the process that does it also delivers."""

Deletion = Callable[[int], object]
"""Deletes what is too old at a given moment (Unix milliseconds). Bounded; called repeatedly."""


class ClickPages(Protocol):
    """A source of pages of clicks: the facts."""

    def clicks_page(self, wanted: ClickFilter, limit: int, before_click_id: str = "") -> list[Click]:
        """Return the clicks of a page, newest first."""
        ...


def find_last_seen_at(ledger: Ledger, facts: ClickPages) -> int | None:
    """Return when a tracker last ran on these stores with a trusted clock, else the newest record's time; None: new stores."""
    with ledger.read() as tx:
        last_seen_at = read_setting(tx, LAST_SEEN, int)
        newest = find_notice(tx, newest_notice(tx))
    if last_seen_at is not None:
        return last_seen_at
    try:
        clicks = facts.clicks_page(ClickFilter(), 1)
    except FactsError:  # damage must not prevent the start, and the notices suffice
        clicks = []
    moments = [click.at for click in clicks] + ([newest.raw.at] if newest is not None else [])
    return max(moments, default=None)


def delete_old_unidentified_notices(ledger: Ledger, now_ms: int, keep_days: int) -> int:
    """Delete refused notices without a genuine click id that are older than ``keep_days``; 0: keep all. Return how many.

    Bounded, and in short transactions, so that settling never waits long for the ledger.
    """
    deleted = 0
    if keep_days == 0:
        return deleted
    for _ in range(MAX_BATCHES):
        with ledger.write() as tx:
            batch = delete_unidentified_notices(tx, now_ms - keep_days * DAY_MS, BATCH)
        deleted += batch
        if batch < BATCH:
            break
    return deleted


def sparing(deletion: Deletion, monotonic: Callable[[], float] = time.monotonic) -> Deletion:
    """Return a deletion that looks seldom where looking takes long: it takes at most ``MAX_SHARE`` of the time."""
    next_at = monotonic()

    def delete(now_ms: int) -> None:
        nonlocal next_at
        began_at = monotonic()
        if began_at < next_at:
            return
        try:
            deletion(now_ms)
        finally:
            next_at = began_at + (monotonic() - began_at) / MAX_SHARE

    return delete


class VisitorFacts(Protocol):
    """The facts, as far as they keep visitors."""

    def forget_visitors(self, before_at: int) -> int:
        """Delete the visitors seen before that moment (Unix milliseconds). Return the number of rows deleted."""
        ...


class VisitorRetention:
    """A deletion of the visitors seen before yesterday, once a day."""

    def __init__(self, facts: VisitorFacts) -> None:
        self._facts = facts
        self._day = -1
        self.is_behind = True
        """Whether clicks wait to be settled. They may be old, and belong to visitors of their days."""

    def __call__(self, now_ms: int) -> None:
        """Delete what is too old. ``now_ms``: a trusted time."""
        day = now_ms // DAY_MS
        if self.is_behind or day == self._day:
            return
        self._facts.forget_visitors((day - 1) * DAY_MS)
        self._day = day


class Retention:
    """A worker that deletes what is too old, in bounded steps."""

    def __init__(self, ledger: Ledger, guard: ClockGuard, deletions: Sequence[Deletion]) -> None:
        self._ledger = ledger
        self._guard = guard
        self._deletions = deletions
        self._saved_at: int | None = None

    def step(self) -> tuple[str, ...]:
        """Delete what is too old. If the clock is in doubt, delete nothing and return the alarm that says so.

        The first error is raised at the end: it must not stop the other deletions, which free disk space.
        """
        now_ms = self._guard.trusted_now()
        if now_ms is None:
            doubt = self._guard.doubt
            return (doubt.sentence,) if doubt is not None else ()
        faults: list[Exception] = []
        for step in (self._save_last_seen, *self._deletions):
            try:
                step(now_ms)
            except Exception as fault:  # of a store, the disk or a file's permissions
                faults.append(fault)
        if faults:
            raise faults[0]
        return ()

    def _save_last_seen(self, now_ms: int) -> None:
        """Save that the tracker is alive, by trusted clocks only: a wrong one would vouch for itself at the next start."""
        if self._saved_at is not None and abs(now_ms - self._saved_at) < SAVE_INTERVAL_MS:
            return
        with self._ledger.write() as tx:
            write_setting(tx, LAST_SEEN, now_ms)
        self._saved_at = now_ms
