"""The origins of the cost of a report's groups: links, cost models, and entries. Read-only."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec

from clickloop.report.cost.origin import CostOrigin, OriginSum, origins_by_group
from clickloop.report.measure import quotient
from clickloop.report.query import Dimension, Grouping, GroupKey, ReportQuery
from clickloop.store.ledger.jobs.cost_entries import kinds_of
from clickloop.store.ledger.ledger import Ledger
from clickloop.text import readable
from clickloop.tracking.reports.converting import rates_of_query

MEASURED, SPREAD, ESTIMATED = "measured", "spread", "estimated"
LINK, MODEL = "link", "model"
_EPOCH = date(1970, 1, 1).toordinal()
_SHARE_OF_ALL = 10_000  # hundredths of a percent


class OriginSource(Protocol):
    """A source of costs by origin: the facts."""

    def origins(self, query: ReportQuery) -> list[OriginSum]:
        """Return where the cost of a report's groups comes from."""
        ...


class OriginPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a group's cost."""

    origin: str
    """``link``, ``model`` or the kind of the entry."""
    certainty: str
    entry_id: int
    micros: int
    share: int | None
    """Hundredths of a percent of the group's cost."""
    not_converted: tuple[tuple[int, str], ...] = ()
    """Amounts in currencies without a rate."""

    @property
    def share_text(self) -> str | None:
        """Return the share in percent, or None if there is nothing to divide by."""
        return None if self.share is None else f"{self.share // 100}.{self.share % 100:02d}"


class OriginGroup(msgspec.Struct, frozen=True):
    """A group and the parts of its cost."""

    keys: tuple[str, ...]
    parts: tuple[OriginPart, ...]


def read_origins(ledger: Ledger, facts: OriginSource, query: ReportQuery) -> list[OriginGroup]:
    """Return the parts of the cost of each of a query's groups."""
    sums = facts.origins(query)
    with ledger.read() as tx:
        kinds = kinds_of(tx, {each.entry_id for each in sums if each.entry_id})
        found = origins_by_group(sums, query.currency, rates_of_query(tx, query))
    return [
        OriginGroup(_values(keys, query), tuple(_parts(origins, kinds)))
        for keys, origins in sorted(found.items(), key=lambda item: tuple(map(str, item[0])))
    ]


def _parts(origins: Collection[CostOrigin], kinds: dict[int, str]) -> list[OriginPart]:
    total = sum(origin.micros for origin in origins)
    return [
        OriginPart(
            origin=kinds.get(origin.entry_id, LINK) if origin.entry_id else MODEL if origin.model else LINK,
            certainty=SPREAD if origin.entry_id else ESTIMATED if origin.model else MEASURED,
            entry_id=origin.entry_id,
            micros=origin.micros,
            share=quotient(origin.micros * _SHARE_OF_ALL, total),
            not_converted=tuple((micros, currency) for currency, micros in origin.not_converted.items()),
        )
        for origin in origins
    ]


def _values(keys: Sequence[GroupKey], query: ReportQuery) -> tuple[str, ...]:
    zone = ZoneInfo(query.zone)
    return tuple(_value(grouping, key, zone) for grouping, key in zip(query.group_by, keys, strict=True))


def _value(grouping: Grouping, key: GroupKey, zone: ZoneInfo) -> str:
    if grouping is Dimension.DAY:
        return date.fromordinal(_EPOCH + int(key)).isoformat()
    if grouping is Dimension.HOUR:
        return datetime.fromtimestamp(int(key) / 1000, zone).isoformat(timespec="minutes")
    return str(key) if isinstance(key, int) else readable(key)
