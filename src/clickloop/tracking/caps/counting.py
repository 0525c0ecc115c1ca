"""Counting what caps limit, so that a look costs little: only what has changed, and only where it may matter."""

from collections.abc import Callable, Collection, Mapping

from sqlalchemy import Connection

from clickloop.clock import MINUTE_MS
from clickloop.report.offer_visits import OfferVisits
from clickloop.setup.cap_period import PeriodBounds
from clickloop.setup.offer_cap import CapUnit, OfferCap
from clickloop.store.facts.facts import FactsStore
from clickloop.store.ledger.logs.cap_counts import changes_by_offer, count_conversions, newest_conversion_change

RECOUNT_MS = MINUTE_MS
"""Time after which everything is counted anew: some engines commit changes in another order than that of their numbers."""
RECENT_MS = 2 * MINUTE_MS
"""Age from which visits are counted once per ``RECOUNT_MS``. Younger ones are counted whenever some were loaded."""


class ConversionCounts:
    """Counts conversions in the ledger.

    Each change of a conversion moves a count by one at most. It is counted again only when the changes since the last time may have
    moved it past the cap's amount.
    """

    def __init__(self) -> None:
        self._seen = -1
        self._counts: dict[int, tuple[OfferCap, PeriodBounds, int]] = {}
        self._changes: dict[int, int] = {}
        self._recount_at = 0
        self.queries = 0
        """Number of exact counts so far."""

    def count(self, tx: Connection, caps: Mapping[int, tuple[OfferCap, PeriodBounds]], now_ms: int) -> dict[int, int]:
        """Return the count of each offer: exact, or on the same side of the cap's amount as the exact one."""
        if not caps:
            return {}
        self._note_changes(tx, caps.keys(), now_ms)
        return {offer_id: self._count_of(tx, offer_id, cap, period) for offer_id, (cap, period) in caps.items()}

    def _note_changes(self, tx: Connection, offer_ids: Collection[int], now_ms: int) -> None:
        newest = newest_conversion_change(tx)
        # Earlier: the clock was put back.
        if self._seen < 0 or not self._recount_at - RECOUNT_MS <= now_ms < self._recount_at:
            self._counts.clear()
            self._changes.clear()
            self._recount_at = now_ms + RECOUNT_MS
        elif newest != self._seen:
            for offer_id, changes in changes_by_offer(tx, self._seen, offer_ids).items():
                self._changes[offer_id] = self._changes.get(offer_id, 0) + changes
        self._seen = newest

    def _count_of(self, tx: Connection, offer_id: int, cap: OfferCap, period: PeriodBounds) -> int:
        known = self._counts.get(offer_id)
        if known is not None and known[:2] == (cap, period):
            count, changes = known[2], self._changes.get(offer_id, 0)
            is_certain = count + changes < cap.amount if count < cap.amount else count - changes >= cap.amount
            if is_certain:
                return count
        count = count_conversions(tx, offer_id, cap, period)
        self.queries += 1
        self._counts[offer_id] = (cap, period, count)
        self._changes.pop(offer_id, None)
        return count


class VisitCounts:
    """Counts offer visits in the facts, whenever rows were loaded: those of the last minutes, added to the older ones."""

    def __init__(self, facts: FactsStore) -> None:
        self._facts = facts
        self._rows = -1
        self._older: dict[int, tuple[PeriodBounds, OfferVisits]] = {}
        self._older_until = 0
        self._recount_at = 0
        self._visits: dict[int, tuple[PeriodBounds, OfferVisits]] = {}

    def count(self, caps: Mapping[int, tuple[OfferCap, PeriodBounds]], now_ms: int) -> dict[int, int]:
        """Return the count of each offer."""
        if not caps:
            return {}
        periods = {offer_id: period for offer_id, (_, period) in caps.items()}
        rows = self._facts.rows_loaded()
        is_due = not self._recount_at - RECOUNT_MS <= now_ms < self._recount_at  # earlier: the clock was put back
        is_known = {offer_id: period for offer_id, (period, _) in self._visits.items()} == periods
        if is_due or not is_known or rows != self._rows:
            if is_due or {offer_id: period for offer_id, (period, _) in self._older.items()} != periods:
                self._count_older(periods, now_ms)
            recent = self._visits_of(periods, lambda period: (max(period.start_at, self._older_until), period.end_at))
            self._visits = {
                offer_id: (period, self._older[offer_id][1] + recent[offer_id]) for offer_id, period in periods.items()
            }
            self._rows = rows
        return {
            offer_id: visits.unique if caps[offer_id][0].of is CapUnit.UNIQUE_CLICKS else visits.visits
            for offer_id, (_, visits) in self._visits.items()
        }

    def _count_older(self, periods: Mapping[int, PeriodBounds], now_ms: int) -> None:
        until = self._older_until = now_ms - RECENT_MS
        older = self._visits_of(periods, lambda period: (period.start_at, min(period.end_at, until)))
        self._older = {offer_id: (period, older[offer_id]) for offer_id, period in periods.items()}
        self._recount_at = now_ms + RECOUNT_MS

    def _visits_of(
        self, periods: Mapping[int, PeriodBounds], bounds_of: Callable[[PeriodBounds], tuple[int, int]]
    ) -> dict[int, OfferVisits]:
        """Return the visits of each offer within bounds, by one query for all offers with the same."""
        offers: dict[tuple[int, int], list[int]] = {}
        for offer_id, period in periods.items():
            offers.setdefault(bounds_of(period), []).append(offer_id)
        found = dict.fromkeys(periods, OfferVisits())
        for (since, until), offer_ids in offers.items():
            if since < until:
                found |= self._facts.offer_visits.in_period(offer_ids, since, until)
        return found
