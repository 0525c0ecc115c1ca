"""Run reports: sums from the facts; rates, statuses and names from the ledger. Read-only."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection

from clickloop.report.key_text import key_name, key_value
from clickloop.report.measure import Sums
from clickloop.report.query import Dimension, Key, Rate, Report, ReportQuery
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.setup.names import Named, names_of
from clickloop.store.ledger.setup.rates import rates_into
from clickloop.store.ledger.setup.report_names import status_names


class ReportSource(Protocol):
    """A source of sums: the facts."""

    def report(self, query: ReportQuery, rates: Sequence[Rate]) -> Report:
        """Return the sums of a query's groups, and the totals."""
        ...


class Heading(msgspec.Struct, frozen=True):
    """A group's key in one dimension, as ``value`` for programs and ``name`` for people."""

    key: Key
    value: str
    name: str


class Row(msgspec.Struct, frozen=True):
    """A row of a report with its headings."""

    headings: tuple[Heading, ...]
    sums: Sums


class MadeReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report with the names of its groups."""

    query: ReportQuery
    rows: tuple[Row, ...]
    group_count: int
    totals: Row
    statuses: Mapping[str, str]
    """Status names by key, in the user's order; empty unless each status is counted."""


def make_report(ledger: Ledger, facts: ReportSource, query: ReportQuery, *, each_status: bool = True) -> MadeReport:
    """Run a query. With ``each_status`` also count the conversions of each status."""
    with ledger.read() as tx:
        statuses = status_names(tx) if each_status else {}
        rates = rates_into(tx, query.currency)
    query = msgspec.structs.replace(query, statuses=tuple(statuses))
    report = facts.report(query, rates)
    with ledger.read() as tx:
        names = [_names(tx, place, report, dimension, statuses) for place, dimension in enumerate(query.group_by)]
    zone = ZoneInfo(query.zone)
    rows = tuple(
        Row(
            tuple(
                Heading(key, key_value(dimension, key, zone), key_name(dimension, key, zone, names[place]))
                for place, (dimension, key) in enumerate(zip(query.group_by, group.keys, strict=True))
            ),
            group.sums,
        )
        for group in report.groups
    )
    return MadeReport(
        query=query,
        rows=rows,
        group_count=report.group_count,
        totals=Row((), report.totals),
        statuses=statuses,
    )


def _names(
    tx: Connection, place: int, report: Report, dimension: Dimension, statuses: Mapping[str, str]
) -> dict[Key, str]:
    if dimension is Dimension.STATUS:
        return dict(statuses.items())
    named = _NAMED.get(dimension)
    if named is None:
        return {}
    numbers = sorted({key for group in report.groups if isinstance(key := group.keys[place], int)})
    found: dict[Key, str] = {}
    for start in range(0, len(numbers), _IDS_PER_QUERY):
        found |= dict(names_of(tx, named, numbers[start : start + _IDS_PER_QUERY]).items())
    return found


_IDS_PER_QUERY = 500  # engines limit the parameters of one statement
_NAMED = {
    Dimension.CAMPAIGN: Named.CAMPAIGN,
    Dimension.SOURCE: Named.SOURCE,
    Dimension.OFFER: Named.OFFER,
    Dimension.NETWORK: Named.NETWORK,
}
