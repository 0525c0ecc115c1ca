"""The measured, estimated and spread parts of the cost of each group of a report. Read-only."""

from collections.abc import Iterable, Mapping

import msgspec

from clickloop.report.cost.origin import CostOrigin, origins_by_group
from clickloop.report.cost.segment import CostKind
from clickloop.report.measure import quotient
from clickloop.report.query import GroupKey, ReportQuery
from clickloop.store.ledger.jobs.cost_entries import kinds_of
from clickloop.store.ledger.ledger import Ledger
from clickloop.tracking.costs.origins import OriginSource
from clickloop.tracking.reports.converting import rates_of_query

_PERCENT = 100


class CostMix(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a cost, in micros of the instance's currency."""

    measured: int = 0
    """By the links of clicks."""
    estimated: int = 0
    """By cost models."""
    manual: int = 0
    upload: int = 0
    api: int = 0
    """Spread from entries of this kind over their clicks."""

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Return the titles and amounts of all parts."""
        return tuple((title, getattr(self, name)) for name, title in MIX_TITLES.items())

    @property
    def sentence(self) -> str:
        """Return the parts in percent, as ``62 % measured by links, 38 % spread from the API``; empty without cost."""
        total = sum(micros for _, micros in self.parts)
        shares = ((title, quotient(micros * _PERCENT, total)) for title, micros in self.parts if micros)
        return ", ".join(f"{share} % {title}" for title, share in shares if share is not None)


MIX_TITLES = {
    "measured": "measured by links",
    "estimated": "estimated by models",
    "manual": "spread by hand",
    "upload": "spread from uploads",
    "api": "spread from the API",
}


class CostMixes(msgspec.Struct, frozen=True):
    """The parts of the cost of a report's groups, by their keys, and of its totals."""

    groups: Mapping[tuple[str, ...], CostMix]
    total: CostMix

    def of(self, keys: Iterable[GroupKey]) -> CostMix:
        """Return the parts of a group's cost."""
        return self.groups.get(tuple(map(str, keys)), CostMix())


def read_cost_mixes(ledger: Ledger, facts: OriginSource, query: ReportQuery) -> CostMixes:
    """Return the parts of the cost of each of a report's groups, all of them."""
    sums = facts.origins(query)
    totals = facts.origins(msgspec.structs.replace(query, group_by=())) if query.group_by else sums
    with ledger.read() as tx:
        kinds = kinds_of(tx, {each.entry_id for each in sums if each.entry_id})
        rates = rates_of_query(tx, query)
    groups = {
        tuple(map(str, keys)): _mix(origins, kinds)
        for keys, origins in origins_by_group(sums, query.currency, rates).items()
    }
    total = origins_by_group(totals, query.currency, rates).get((), [])
    return CostMixes(groups, _mix(total, kinds))


def _mix(origins: Iterable[CostOrigin], kinds: Mapping[int, str]) -> CostMix:
    found = dict.fromkeys(MIX_TITLES, 0)
    for origin in origins:
        kind = kinds.get(origin.entry_id, CostKind.MANUAL.value) if origin.entry_id else ""
        found[kind or ("estimated" if origin.model else "measured")] += origin.micros
    return CostMix(**found)
