"""Run reports: sums from the facts; rates, statuses and names from the ledger. Read-only."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection

from clickloop.report.key_text import key_name, key_value
from clickloop.report.measure import Sums
from clickloop.report.query import (
    Dimension,
    ExchangeRate,
    Grouping,
    GroupKey,
    OfferApproval,
    Report,
    ReportQuery,
)
from clickloop.report.query_input import ReportPeriod, ReportRequest, query_of
from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.facts.facts import FactsMemoryError
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.setup.report_names import LedgerNames, record_names, status_names
from clickloop.tracking.costs.unattributed import UnattributedCost, unattributed_cost
from clickloop.tracking.reports.converting import rates_of_query

_TOO_LARGE = (
    "The report has more groups than fit into memory. Choose a shorter period, group by fewer dimensions, add a filter, or open a tree "
    "level by level (within)."
)
ROWS_PER_PAGE = 10_000
"""Rows that are in memory at once when all are wanted."""


class ReportSource(Protocol):
    """A source of sums: the facts."""

    def report(self, query: ReportQuery, rates: Sequence[ExchangeRate]) -> Report:
        """Return the sums of a query's groups, and the totals."""
        ...


class ReportHeading(msgspec.Struct, frozen=True):
    """A group's key in one dimension, as ``value`` for programs and ``name`` for people."""

    key: GroupKey
    value: str
    name: str


class NamedReportRow(msgspec.Struct, frozen=True):
    """A row of a report with its headings."""

    headings: tuple[ReportHeading, ...]
    sums: Sums
    before: Sums | None = None
    """Sums of the period that is compared with."""


class NamedReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report with the names of its groups."""

    query: ReportQuery
    rows: tuple[NamedReportRow, ...]
    group_count: int
    totals: NamedReportRow
    statuses: Mapping[str, str]
    """Status names by key, in the user's order; empty unless each status is counted."""
    approvals: tuple[OfferApproval, ...] = ()
    """The approval rates behind expected figures."""
    unattributed: UnattributedCost | None = None
    """Cost that no click bears. It is in no other figure."""


def read_query(ledger: Ledger, request: ReportRequest, bounds: ReportPeriod, currency: str) -> ReportQuery:
    """Return the query of a request, with the names in it looked up. Raise InvalidInputError."""
    with ledger.read() as tx:
        return query_of(request, bounds, currency, LedgerNames(tx))


def all_pages(
    ledger: Ledger, facts: ReportSource, query: ReportQuery, rows_per_page: int = ROWS_PER_PAGE
) -> Iterator[NamedReport]:
    """Yield the report page by page until all rows are there, at least once. Each page is as of its own moment."""
    offset, count = 0, 1
    while offset < count:
        page = run_report(ledger, facts, msgspec.structs.replace(query, limit=rows_per_page, offset=offset))
        yield page
        offset, count = offset + rows_per_page, page.group_count


def run_report(ledger: Ledger, facts: ReportSource, query: ReportQuery, *, each_status: bool = True) -> NamedReport:
    """Run a query. With ``each_status`` also count the conversions of each status. Raise InvalidInputError if it is too large."""
    with ledger.read() as tx:
        statuses = status_names(tx) if each_status else {}
        rates = rates_of_query(tx, query)
        unattributed = unattributed_cost(tx, query, rates)
    query = msgspec.structs.replace(query, statuses=tuple(statuses))
    try:
        report = facts.report(query, rates)
    except FactsMemoryError as error:
        if not query.group_by:
            raise
        raise invalid("group_by", FaultCode.TOO_MANY, _TOO_LARGE) from error
    with ledger.read() as tx:
        names = [_names(tx, place, report, dimension, statuses) for place, dimension in enumerate(query.group_by)]
    zone = ZoneInfo(query.zone)
    rows = tuple(
        NamedReportRow(
            tuple(
                ReportHeading(key, key_value(dimension, key, zone), key_name(dimension, key, zone, names[place]))
                for place, (dimension, key) in enumerate(zip(query.group_by, group.keys, strict=True))
            ),
            group.sums,
            group.before,
        )
        for group in report.groups
    )
    return NamedReport(
        query=query,
        rows=rows,
        group_count=report.group_count,
        totals=NamedReportRow((), report.totals, report.totals_before),
        statuses=statuses,
        approvals=report.approvals,
        unattributed=unattributed,
    )


def _names(
    tx: Connection, place: int, report: Report, dimension: Grouping, statuses: Mapping[str, str]
) -> dict[GroupKey, str]:
    if dimension is Dimension.STATUS:
        return dict(statuses.items())
    if not isinstance(dimension, Dimension) or not dimension.is_number:
        return {}
    numbers = sorted({key for group in report.groups if isinstance(key := group.keys[place], int)})
    found: dict[GroupKey, str] = {}
    for start in range(0, len(numbers), _IDS_PER_QUERY):
        found |= dict(record_names(tx, dimension, numbers[start : start + _IDS_PER_QUERY]).items())
    return found


_IDS_PER_QUERY = 500  # engines limit the parameters of one statement
