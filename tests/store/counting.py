"""Figures of facts, as reports give them."""

from clickloop.report.measure import Sums
from clickloop.report.query import ReportQuery
from clickloop.store.facts.facts import Facts


def sums_of(facts: Facts, *, currency: str = "USD", from_at: int = 0, until_at: int = 4_102_444_800_000) -> Sums:
    """The sums of a period, without converting money."""
    query = ReportQuery(from_at=from_at, until_at=until_at, currency=currency)
    return facts.report(query, ()).totals


def conversions_counted(facts: Facts) -> int:
    """How many conversions there are, however their statuses count."""
    sums = sums_of(facts)
    return sums.confirmed + sums.pending + sums.rejected
