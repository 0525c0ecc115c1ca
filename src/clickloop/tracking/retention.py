"""Retention: what is deleted for its age, and only while the clock can be trusted."""

from collections.abc import Callable, Sequence
from typing import Protocol

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.clock import DAY_MS, MINUTE_MS
from clickloop.machine.clock_guard import ClockGuard
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.notices import delete_strangers, find_notice, newest_notice
from clickloop.store.ledger.setup.settings import read_setting, write_setting

LAST_SEEN = "last_seen_at"
NOTED_EVERY_MS = MINUTE_MS  # a commit of its own: once a minute is often enough to notice a clock set back
BATCH = 500
"""Notices that one transaction deletes."""
MAX_BATCHES = 20
"""Transactions in one step of housekeeping."""

Deletion = Callable[[int], object]
"""Deletes what is too old at a moment; bounded, called again and again."""


class ClickPages(Protocol):
    """Pages of clicks, newest first: the facts."""

    def clicks_page(self, wanted: ClickFilter, limit: int, before_click_id: str = "") -> list[Click]:
        """Return clicks, newest first."""
        ...


def last_sign_of_life(ledger: Ledger, facts: ClickPages) -> int | None:
    """Return when a tracker last ran on these stores with a trusted clock, or when the newest record came; None: they are new."""
    with ledger.read() as tx:
        last_seen_at = read_setting(tx, LAST_SEEN, int)
        newest = find_notice(tx, newest_notice(tx))
    if last_seen_at is not None:
        return last_seen_at
    try:
        clicks = facts.clicks_page(ClickFilter(), 1)
    except FactsError:  # damaged: no reason not to start, the notices say enough
        clicks = []
    moments = [click.at for click in clicks] + ([newest.raw.at] if newest is not None else [])
    return max(moments, default=None)


def delete_old_strangers(ledger: Ledger, now_ms: int, keep_days: int) -> int:
    """Delete refused notices without a genuine click id that came ``keep_days`` ago; 0: none. Return how many, bounded.

    In short transactions, so that settling never waits long for the ledger.
    """
    deleted = 0
    if keep_days == 0:
        return deleted
    for _ in range(MAX_BATCHES):
        with ledger.write() as tx:
            batch = delete_strangers(tx, now_ms - keep_days * DAY_MS, BATCH)
        deleted += batch
        if batch < BATCH:
            break
    return deleted


class Retention:
    """Deletes what is too old, one bounded step at a time."""

    def __init__(self, ledger: Ledger, guard: ClockGuard, deletions: Sequence[Deletion]) -> None:
        self._ledger = ledger
        self._guard = guard
        self._deletions = deletions
        self._noted_at: int | None = None

    def step(self) -> tuple[str, ...]:
        """Delete what is too old, unless the clock is in doubt: then return the alarm that says so.

        What cannot be deleted is raised at the end: it must not keep the rest, which the disk needs the room of.
        """
        now_ms = self._guard.moment_to_delete_by()
        if now_ms is None:
            doubt = self._guard.doubt
            return (doubt.sentence,) if doubt is not None else ()
        faults: list[Exception] = []
        for step in (self._note, *self._deletions):
            try:
                step(now_ms)
            except Exception as fault:  # of a store, the disk or the rights of one file
                faults.append(fault)
        if faults:
            raise faults[0]
        return ()

    def _note(self, now_ms: int) -> None:
        """Keep the sign of life, by trusted clocks alone: a wrong one would vouch for itself at the next start."""
        if self._noted_at is not None and abs(now_ms - self._noted_at) < NOTED_EVERY_MS:
            return
        with self._ledger.write() as tx:
            write_setting(tx, LAST_SEEN, now_ms)
        self._noted_at = now_ms
