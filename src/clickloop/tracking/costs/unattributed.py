"""Sum the cost that no click bears in a report's period. Read-only; ``tx`` is an open transaction."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.clock import DAY_MS
from clickloop.report.cost.segment import FILTERABLE, CostSegment
from clickloop.report.measure import OtherMoney, Sums
from clickloop.report.query import Dimension, DimensionFilter, ExchangeRate, FilterOperator, ReportQuery
from clickloop.report.rate_text import E12
from clickloop.report.rates import RateTable
from clickloop.store.ledger.jobs.cost_entries import UnattributedSum, unattributed_entries, unattributed_sums


class UnattributedCost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of entries without a click to bear it. It is in no other figure."""

    entries: int
    micros: int
    """In the instance's currency."""
    not_converted: Mapping[str, int] = {}
    """Micros by currency without a rate."""

    @property
    def sums(self) -> Sums:
        """Return it as sums of nothing but cost."""
        others = tuple(OtherMoney(currency=one, cost_micros=micros) for one, micros in self.not_converted.items())
        return Sums(cost_micros=self.micros, not_converted=others)


def unattributed_cost(tx: Connection, query: ReportQuery, rates: Sequence[ExchangeRate]) -> UnattributedCost | None:
    """Return the cost that no click bears of entries whose span overlaps the period; None if there is none.

    Filters leave out the entries whose segment they contradict.
    """
    table = RateTable(query.currency, rates)
    micros_e12, entries, others = 0, 0, dict[str, int]()
    for one in _sums(tx, query):
        entries += one.entries
        rate = table.rate_of(one.currency, max(one.day, query.from_at // DAY_MS))
        if rate is None:
            others[one.currency] = others.get(one.currency, 0) + one.micros
        else:
            micros_e12 += one.micros * rate
    if not entries:
        return None
    return UnattributedCost(entries=entries, micros=(2 * micros_e12 + E12) // (2 * E12), not_converted=others)


def _sums(tx: Connection, query: ReportQuery) -> Iterator[UnattributedSum]:
    """Yield the sums of the entries that a query's filters do not leave out."""
    by_value = [one for one in query.filters if one.dimension in FILTERABLE]
    if not by_value:
        for one in unattributed_sums(tx, query.from_at, query.until_at):
            owner = CostSegment(source_id=one.source_id, campaign_id=one.campaign_id, from_at=0, until_at=1)
            if all(_may_match(owner, each) for each in query.filters):
                yield one
        return
    for entry in unattributed_entries(tx, query.from_at, query.until_at):
        if all(_may_match(entry.segment, each) for each in query.filters):
            yield UnattributedSum(
                source_id=entry.segment.source_id,
                campaign_id=entry.segment.campaign_id,
                currency=entry.currency,
                day=entry.segment.from_at // DAY_MS,
                entries=1,
                micros=entry.micros,
            )


def _may_match(segment: CostSegment, wanted: DimensionFilter) -> bool:
    """Return whether a click of a segment could match a filter, as far as its values tell."""
    if wanted.dimension is Dimension.CAMPAIGN:
        values = {str(segment.campaign_id)} if segment.campaign_id else set[str]()
    elif wanted.dimension is Dimension.SOURCE:
        values = {str(segment.source_id)} if segment.source_id else set[str]()
    else:
        values = {value for one in segment.filters if one.dimension == wanted.dimension for value in one.values}
    if not values:
        return True
    if wanted.operator is FilterOperator.IN:
        return not values.isdisjoint(wanted.values)
    return wanted.operator is not FilterOperator.NOT_IN or not values.issubset(wanted.values)
