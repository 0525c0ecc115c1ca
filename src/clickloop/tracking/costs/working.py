"""Put cost entries into effect and take them back, in steps that survive a kill: the facts know how far each spread is.

The ledger says what is wanted, the facts what is done. A step that was written to the facts but not noted in the ledger is found
there, and not repeated. One thread runs this.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from clickloop.clock import DAY_MS, MINUTE_MS, Clock
from clickloop.report.cost.entry import CostEntry, EntryState
from clickloop.report.cost.segment import Spread
from clickloop.store.facts.cost_facts import CostFacts
from clickloop.store.ledger.jobs.cost_entries import (
    applied_entries_after,
    find_entries,
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
"""Age of spans up to which late clicks are looked for every minute: an edge may hand over its journal after days without a
connection. Older ones are looked at once a day, for marks that were corrected."""
OUTDATED_LOOK_MS = MINUTE_MS
ENTRIES_PER_CHECK = 500
ENTRIES_PER_STEP = 2_000
"""Entries put into effect at once, if they cover few clicks: a table has thousands."""


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
        self._full_look_at = 0

    def step(self) -> bool:
        """Do a bounded part of the work. Return whether there is more to do immediately."""
        if self._checked_to is not None:
            self._checked_to = self._spread_missing(self._checked_to)
            return True
        with self._ledger.read() as tx:
            entries = oldest_pending(tx, ENTRIES_PER_STEP)
        if not entries:
            return self._look_for_outdated()
        if entries[0].state is EntryState.WAITING:
            self._apply(entries)
        else:
            self._take_back(entries)
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
        since = now_ms - LOOK_BACK_MS
        if now_ms >= self._full_look_at:
            self._full_look_at, since = now_ms + DAY_MS, 0
        outdated = self._facts.outdated(since, now_ms - LATE_MS)
        if outdated:
            with self._ledger.write() as tx:
                spread_anew(tx, outdated)
        return bool(outdated)

    def _apply(self, entries: Sequence[CostEntry]) -> None:
        """Take the next step of putting entries into effect: over their older spreads, which are taken back last."""
        found = self._facts.spreads([entry.entry_id for entry in entries])
        newest = {spread.rank: spread for spread in found}
        ranks = {entry.rank for entry in entries}
        older = [spread for spread in found if spread.rank not in ranks]
        begun = [newest[entry.rank] for entry in entries if entry.rank in newest]
        done = {spread.entry_id for spread in begun if not _left(spread)}
        # What is begun is ended first: a large entry does not keep those before it waiting.
        if waiting := [spread for spread in begun if _left(spread)]:
            newest |= {spread.rank: spread for spread in self._advance(waiting)}
        elif covered := [spread for spread in older if spread.entry_id in done]:
            gone = self._withdraw(covered)
            older = [spread for spread in older if spread.rank not in gone]
        else:
            fresh = [entry.order for entry in entries if entry.rank not in newest]
            newest |= {spread.rank: spread for spread in self._facts.spread_each(fresh, self._clicks_per_step)}
        unfinished = {spread.entry_id for spread in older}
        self._note(
            [
                replace(
                    entry,
                    state=entry.state if _left(spread) or entry.entry_id in unfinished else EntryState.APPLIED,
                    covered=spread.covered,
                    shared=spread.shared,
                    done=spread.active,
                )
                for entry in entries
                if (spread := newest.get(entry.rank)) is not None
            ]
        )

    def _take_back(self, entries: Sequence[CostEntry]) -> None:
        """Take the next step of taking entries back."""
        found = self._facts.spreads([entry.entry_id for entry in entries])
        gone = self._withdraw(found) if found else set()
        left = {spread.entry_id: spread for spread in found if spread.rank not in gone}
        now_ms = self._clock()
        after: list[CostEntry] = []
        for entry in entries:
            if entry.entry_id in left:
                after.append(replace(entry, done=left[entry.entry_id].active))
            else:
                final = EntryState.UNDONE if entry.state is EntryState.UNDOING else EntryState.REPLACED
                after.append(replace(entry, state=final, done=0, ended_at=now_ms))
        self._note(after)

    def _advance(self, spreads: Sequence[Spread]) -> list[Spread]:
        """Put as many whole spreads into effect as fit into a step, or else a part of the first one."""
        whole = self._that_fit(spread for spread in spreads if not spread.active)
        if not whole:
            return [self._facts.advance(spreads[0].rank, self._clicks_per_step)]
        self._facts.advance_each([spread.rank for spread in whole])
        return [replace(spread, active=spread.covered) for spread in whole]

    def _withdraw(self, spreads: Sequence[Spread]) -> set[int]:
        """Take back as many whole spreads as fit into a step, or else a part of the last one. Return the ranks of those gone."""
        whole = self._that_fit(spread for spread in spreads if spread.active in (0, spread.covered))
        if not whole:
            left = self._facts.withdraw(spreads[-1].rank, self._clicks_per_step)
            return set() if left is not None else {spreads[-1].rank}
        ranks = {spread.rank for spread in whole}
        self._facts.withdraw_each(ranks)
        return ranks

    def _that_fit(self, spreads: Iterable[Spread]) -> list[Spread]:
        found: list[Spread] = []
        clicks = 0
        for spread in spreads:
            clicks += spread.covered
            if clicks > self._clicks_per_step:
                break
            found.append(spread)
        return found

    def _note(self, entries: Sequence[CostEntry]) -> None:
        """Store progress, unless the user has decided otherwise in the meantime."""
        with self._ledger.write() as tx:
            current = find_entries(tx, [entry.entry_id for entry in entries])
            changed = [entry for entry in entries if _may_follow(current.get(entry.entry_id), entry)]
            set_progress(tx, changed)
            retire_replaced(tx, [entry.entry_id for entry in changed if not entry.state.is_pending])


def _left(spread: Spread) -> bool:
    return spread.active < spread.covered


def _may_follow(current: CostEntry | None, after: CostEntry) -> bool:
    """Return whether the worker read an entry in the state that it has now."""
    if current is None or current.generation != after.generation:
        return False
    if after.state in (EntryState.APPLIED, EntryState.WAITING):
        return current.state is EntryState.WAITING
    return current.state in (after.state, _BEFORE.get(after.state))


_BEFORE = {EntryState.UNDONE: EntryState.UNDOING, EntryState.REPLACED: EntryState.RETIRING}
