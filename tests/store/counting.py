"""Sums of facts, from reports."""

from clickloop.report.measure import Sums
from clickloop.report.query import ReportQuery
from clickloop.store.facts.facts import FactsStore


def sums_of(facts: FactsStore, *, currency: str = "USD", from_at: int = 0, until_at: int = 4_102_444_800_000) -> Sums:
    """Return the sums of a period, without converting money."""
    query = ReportQuery(from_at=from_at, until_at=until_at, currency=currency)
    return facts.report(query, ()).totals


def conversions_counted(facts: FactsStore) -> int:
    """Return the number of conversions, whatever their statuses count as."""
    sums = sums_of(facts)
    return sums.confirmed + sums.pending + sums.rejected


def differing_days(facts: FactsStore) -> list[int]:
    """Return the days whose roll-ups differ from the facts, days since 1970-01-01."""
    first, last = facts.rollups.days() or (0, -1)
    return [day for day in range(first, last + 1) if facts.rollups.differences(day)]
