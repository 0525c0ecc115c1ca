"""Sum the cost that no click bears in a report's period. Read-only; ``tx`` is an open transaction."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.clock import DAY_MS
from clickloop.report.cost.segment import CostSegment
from clickloop.report.measure import OtherMoney, Sums
from clickloop.report.query import Dimension, DimensionFilter, ExchangeRate, FilterOperator, ReportQuery
from clickloop.report.rate_text import E12
from clickloop.report.rates import RateTable
from clickloop.store.ledger.jobs.cost_entries import unattributed_entries


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
    for entry in unattributed_entries(tx, query.from_at, query.until_at):
        if not all(_may_match(entry.segment, one) for one in query.filters):
            continue
        entries += 1
        rate = table.rate_of(entry.currency, max(entry.segment.from_at, query.from_at) // DAY_MS)
        if rate is None:
            others[entry.currency] = others.get(entry.currency, 0) + entry.micros
        else:
            micros_e12 += entry.micros * rate
    if not entries:
        return None
    return UnattributedCost(entries=entries, micros=(2 * micros_e12 + E12) // (2 * E12), not_converted=others)


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
