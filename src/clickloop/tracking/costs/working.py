"""Put cost entries into effect and take them back, in steps that survive a kill: the facts know how far each spread is.

The ledger says what is wanted, the facts what is done. A step that was written to the facts but not noted in the ledger is found
there, and not repeated. One thread runs this.
"""

from msgspec.structs import replace

from clickloop.clock import DAY_MS, MINUTE_MS, Clock
from clickloop.report.cost.entry import CostEntry, EntryState
from clickloop.store.facts.cost_facts import CostFacts
from clickloop.store.ledger.jobs.cost_entries import (
    applied_entries_after,
    find_entry,
    oldest_pending,
    retire_replaced,
    set_progress,
    spread_anew,
)
from clickloop.store.ledger.ledger import Ledger

CLICKS_PER_STEP = 245_760
"""Clicks per transaction of the facts: the rows of two row groups, one for each of two threads, which DuckDB then writes once.
Loading waits for a step, about a second."""
LATE_MS = 15 * MINUTE_MS
"""Time after the end of a span after which late clicks are looked for: most come within seconds."""
LOOK_BACK_MS = 30 * DAY_MS
"""Age of spans up to which late clicks are looked for: an edge may hand over its journal after days without a connection."""
OUTDATED_LOOK_MS = MINUTE_MS
ENTRIES_PER_CHECK = 500


class CostWorker:
    """Puts entries into effect and takes them back, one after the other."""

    def __init__(self, ledger: Ledger, facts: CostFacts, clock: Clock, clicks_per_step: int = CLICKS_PER_STEP) -> None:
        self._clicks_per_step = clicks_per_step
        self._ledger = ledger
        self._facts = facts
        self._clock = clock
        self._checked_to: int | None = 0
        """The entry up to which the facts were compared with the ledger; None: all were."""
        self._outdated_look_at = 0

    def step(self) -> bool:
        """Do a bounded part of the work. Return whether there is more to do immediately."""
        if self._checked_to is not None:
            self._checked_to = self._spread_missing(self._checked_to)
            return True
        with self._ledger.read() as tx:
            entry = oldest_pending(tx)
        if entry is None:
            return self._look_for_outdated()
        if entry.state is EntryState.WAITING:
            self._apply(entry)
        else:
            self._take_back(entry)
        return True

    def _spread_missing(self, after_id: int) -> int | None:
        """Have entries spread anew that the facts do not have, after an older copy of them was put back."""
        with self._ledger.read() as tx:
            entries = applied_entries_after(tx, after_id, ENTRIES_PER_CHECK)
        if not entries:
            return None
        spreads = {spread.rank: spread for spread in self._facts.spreads([entry.entry_id for entry in entries])}
        missing = [
            entry.entry_id
            for entry in entries
            if (found := spreads.get(entry.rank)) is None or found.active < found.covered
        ]
        if missing:
            with self._ledger.write() as tx:
                spread_anew(tx, missing)
        return entries[-1].entry_id

    def _look_for_outdated(self) -> bool:
        now_ms = self._clock()
        if now_ms < self._outdated_look_at:
            return False
        self._outdated_look_at = now_ms + OUTDATED_LOOK_MS
        outdated = self._facts.outdated(now_ms - LOOK_BACK_MS, now_ms - LATE_MS)
        if outdated:
            with self._ledger.write() as tx:
                spread_anew(tx, outdated)
        return bool(outdated)

    def _apply(self, entry: CostEntry) -> None:
        """Take the next step of putting an entry into effect: over its older spread, which is taken back last."""
        spread = self._facts.spread(entry.order)
        older = [one for one in self._facts.spreads([entry.entry_id]) if one.rank != entry.rank]
        if spread.active < spread.covered:
            spread = self._facts.advance(entry.rank, self._clicks_per_step)
        elif older:
            self._facts.withdraw(older[0].rank, self._clicks_per_step)
        is_done = spread.active == spread.covered and not older
        progress = {"covered": spread.covered, "shared": spread.shared, "done": spread.active}
        self._note(entry, replace(entry, state=EntryState.APPLIED if is_done else entry.state, **progress))

    def _take_back(self, entry: CostEntry) -> None:
        """Take the next step of taking an entry back."""
        spreads = self._facts.spreads([entry.entry_id])
        left = self._facts.withdraw(spreads[-1].rank, self._clicks_per_step) if spreads else None
        if left is not None or len(spreads) > 1:
            self._note(entry, replace(entry, done=left.active if left else 0))
            return
        final = EntryState.UNDONE if entry.state is EntryState.UNDOING else EntryState.REPLACED
        self._note(entry, replace(entry, state=final, done=0, ended_at=self._clock()))

    def _note(self, before: CostEntry, after: CostEntry) -> None:
        """Store progress, unless the user has decided otherwise in the meantime."""
        with self._ledger.write() as tx:
            current = find_entry(tx, before.entry_id)
            if current is None or current.state is not before.state or current.generation != before.generation:
                return
            set_progress(tx, after)
            if not after.state.is_pending:
                retire_replaced(tx, after.entry_id)
