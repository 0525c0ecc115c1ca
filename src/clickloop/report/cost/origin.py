"""The origin of a cost: the link, a cost model, or an entry. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from clickloop.report.query import ExchangeRate, GroupKey
from clickloop.report.rate_text import E12
from clickloop.report.rates import RateTable


class OriginSum(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a group from one origin, in one currency, on one UTC day."""

    keys: tuple[GroupKey, ...]
    entry_id: int
    """0: the link or the campaign's cost model."""
    model: str
    """The cost model (``setup.campaign.ClickCost``) without entries; empty: the link."""
    currency: str
    day: int
    micros: int


class CostOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a group's cost, in the instance's currency."""

    entry_id: int = 0
    model: str = ""
    micros: int
    """Without amounts in currencies without a rate."""
    not_converted: Mapping[str, int] = {}
    """Micros by currency without a rate."""


def origins_by_group(
    sums: Iterable[OriginSum], into: str, rates: Sequence[ExchangeRate]
) -> dict[tuple[GroupKey, ...], list[CostOrigin]]:
    """Return the origins of each group's cost, links and models first. Amounts are rounded once, half up."""
    table = RateTable(into, rates)
    totals: dict[tuple[GroupKey, ...], dict[tuple[int, str], int]] = {}
    others: dict[tuple[tuple[GroupKey, ...], int, str], dict[str, int]] = {}
    for each in sums:
        origin = (each.entry_id, each.model)
        group = totals.setdefault(each.keys, {})
        group.setdefault(origin, 0)
        rate = table.rate_of(each.currency, each.day)
        if rate is None:
            unknown = others.setdefault((each.keys, *origin), {})
            unknown[each.currency] = unknown.get(each.currency, 0) + each.micros
        else:
            group[origin] += each.micros * rate
    return {
        keys: [
            CostOrigin(
                entry_id=entry_id,
                model=model,
                micros=(2 * micros_e12 + E12) // (2 * E12),
                not_converted=others.get((keys, entry_id, model), {}),
            )
            for (entry_id, model), micros_e12 in sorted(group.items())
        ]
        for keys, group in totals.items()
    }
