"""Reading a report from DuckDB: running the statement of ``report_sql`` and converting its rows into sums."""

from collections.abc import Iterable, Sequence, Set
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import msgspec

from clickloop.clock import DAY_MS
from clickloop.report.measure import OtherMoney, Sums
from clickloop.report.period import start_of_day
from clickloop.report.query import (
    Dimension,
    ExchangeRate,
    Grouping,
    GroupKey,
    MomentRange,
    OfferApproval,
    Report,
    ReportGroup,
    ReportQuery,
    TimeBasis,
)
from clickloop.report.rate_text import E12
from clickloop.report.rolled_up import QUARTER_MS, is_rolled_up
from clickloop.store.facts.duckdb.report.dimension_sql import Parameters, Span
from clickloop.store.facts.duckdb.report.formula_sql import MAX_EXPRESSION_DEPTH
from clickloop.store.facts.duckdb.report.part_sql import Part, cost_of
from clickloop.store.facts.duckdb.report.report_sql import BEFORE, DELAY_SUM, report_statement, wanted_of
from clickloop.store.facts.duckdb.report.wanted_sums import WantedSums
from clickloop.store.facts.duckdb.rollups.rolling_up import has_rollups

APPROVAL_DAYS = 90
"""Days before the end of a period whose conversions make the approval rates of offers."""
_EPOCH = date(1970, 1, 1).toordinal()
_MONEY = ("cost_micros", "revenue_micros", "pending_micros", "rejected_micros")


def read_report(reader: duckdb.DuckDBPyConnection, query: ReportQuery, rates: Sequence[ExchangeRate]) -> Report:
    """Return the report. ``rates`` convert into the query's currency, in any order."""
    wanted = wanted_of(query)
    reader.execute("BEGIN")  # one snapshot for all statements
    try:
        rolled_up = is_rolled_up(query) and has_rollups(reader)
        now = _span(reader, query, None, rolled_up=rolled_up)
        before = _span(reader, query, query.compared, rolled_up=rolled_up) if query.compared else None
        spans = [span for span in (now, before) if span is not None]
        if all(span.from_at >= span.until_at for span in spans):
            return _nothing(query, wanted)
        currencies = _currencies(reader, spans) - {query.currency} if wanted.micros else set()
        several = bool(currencies)
        # By click time, money is converted on another day, maybe one before the period.
        is_sure = query.basis is TimeBasis.CONVERSION and _all_priced(currencies, spans, rates)
        wanted = msgspec.structs.replace(wanted, has_unpriced=not is_sure)
        statement = report_statement(query, now, before, wanted, several_currencies=several)
        parameters = statement.parameters | (_rate_parameters(rates) if several else {})
        table = "rollups" if rolled_up else "facts"
        approvals = _approvals(reader, query.until_at, table) if "expected_micros" in wanted.money else ()
        if "expected_micros" in wanted.money:
            parameters |= _approval_parameters(approvals)
        if query.conditions or query.sort is not None:
            reader.execute(f"SET max_expression_depth = {MAX_EXPRESSION_DEPTH}")
        rows = reader.execute(statement.text, parameters).fetchall()
        names = [column[0] for column in reader.description or ()]
    finally:
        reader.execute("COMMIT")
    total, *groups = (dict(zip(names, row, strict=True)) for row in rows)
    has_before = before is not None
    return Report(
        groups=tuple(_group(row, query, wanted) for row in groups) if query.group_by else (),
        group_count=int(total["group_count"]) if query.group_by else 0,
        totals=_sums(total, wanted, ""),
        totals_before=_sums(total, wanted, BEFORE) if has_before else None,
        approvals=tuple(approvals),
    )


def _nothing(query: ReportQuery, wanted: WantedSums) -> Report:
    sums = Sums(
        by_status=dict.fromkeys(wanted.statuses, 0),
        micros_by_status=dict.fromkeys(wanted.statuses, 0),
        by_event=dict.fromkeys(wanted.events, 0),
    )
    return Report(groups=(), group_count=0, totals=sums, totals_before=sums if query.compared else None)


def _span(
    reader: duckdb.DuckDBPyConnection, query: ReportQuery, compared: MomentRange | None, *, rolled_up: bool
) -> Span:
    """Return the part of the query's or a compared period that has facts, which may be empty.

    The engine knows a column's min and max without reading it.
    """
    zone = ZoneInfo(query.zone)
    period = compared or MomentRange(query.from_at, query.until_at)
    span = Span(from_at=period.from_at, until_at=period.until_at, zone=zone, basis=query.basis)
    bounds = f"SELECT min({span.at}), max({span.at}) FROM facts"  # noqa: S608 – names are ours
    first, last = reader.execute(bounds).fetchone() or (None, None)
    from_at = max(period.from_at, period.until_at if first is None else int(first))
    until_at = min(period.until_at, period.from_at if last is None else int(last) + 1)
    if from_at >= until_at:
        from_at = until_at = period.from_at
    if rolled_up:
        from_at -= from_at % QUARTER_MS
    narrowed = msgspec.structs.replace(
        span,
        from_at=from_at,
        until_at=until_at,
        name="_before" if compared else "",
        later_days=_day(query.from_at, zone) - _day(period.from_at, zone),
        later_ms=query.from_at - period.from_at,
        is_rolled_up=rolled_up,
    )
    if rolled_up:
        return msgspec.structs.replace(narrowed, has_cost_rows=_has_rows(reader, cost_of(narrowed), narrowed))
    used = [_is_used(reader, narrowed, column) for column in ("marks", "landing_id", "correction", "cost_entry_id")]
    return msgspec.structs.replace(
        narrowed, has_marks=used[0], has_landings=used[1], has_corrections=used[2], has_cost_rows=used[3]
    )


def _day(moment: int, zone: ZoneInfo) -> int:
    return datetime.fromtimestamp(moment / 1000, zone).toordinal()


def _is_used(reader: duckdb.DuckDBPyConnection, span: Span, column: str) -> bool:
    """Return whether a column has values in a period. Row groups without any are skipped, and the first value ends the search."""
    query = f"SELECT 1 FROM facts WHERE {column} IS NOT NULL AND {span.period} LIMIT 1"  # noqa: S608 – names are ours
    return reader.execute(query).fetchone() is not None


def _has_rows(reader: duckdb.DuckDBPyConnection, part: Part, span: Span) -> bool:
    query = f"SELECT 1 FROM {part.table} WHERE {' AND '.join(part.conditions)} AND {span.period} LIMIT 1"  # noqa: S608 – names are ours
    return reader.execute(query).fetchone() is not None


def _currencies(reader: duckdb.DuckDBPyConnection, spans: Sequence[Span]) -> set[str]:
    """Return the currencies of the facts in some periods; the empty one for conversions without money or with an unknown currency."""
    found: set[str] = set()
    for span in spans:
        table = "rollups" if span.is_rolled_up else "facts"
        rows = reader.execute(
            f"SELECT DISTINCT currency FROM {table} WHERE {span.period} AND (currency <> '' OR status_key IS NOT NULL)"  # noqa: S608
        )
        found |= {str(row[0]) for row in rows.fetchall()}
    return found


def _all_priced(currencies: Set[str], spans: Sequence[Span], rates: Sequence[ExchangeRate]) -> bool:
    """Return whether each currency has a rate from the start of the first period or before, and none ends."""
    first_day = min(span.from_at for span in spans) // DAY_MS
    ended = {rate.currency for rate in rates if not rate.rate_e12}
    return currencies <= {rate.currency for rate in rates if rate.day <= first_day} - ended


def _approvals(reader: duckdb.DuckDBPyConnection, until_at: int, table: str) -> list[OfferApproval]:
    """Return how the conversions of each offer were decided in the last days before a moment."""
    rows = reader.execute(
        "SELECT coalesce(offer_id, 0) AS offer_id, sum(conversions) FILTER (counts_as = 'confirmed'), "  # noqa: S608
        f"sum(conversions) FILTER (counts_as = 'rejected') FROM {table} "
        "WHERE status_key IS NOT NULL AND fact_at >= $from_at AND fact_at < $until_at GROUP BY 1 ORDER BY 1",
        {"from_at": until_at - APPROVAL_DAYS * DAY_MS, "until_at": until_at},
    )
    return [
        OfferApproval(int(offer_id), int(confirmed or 0), int(rejected or 0))
        for offer_id, confirmed, rejected in rows.fetchall()
    ]


def _approval_parameters(approvals: Sequence[OfferApproval]) -> Parameters:
    return {
        "approval_offers": [approval.offer_id for approval in approvals],
        "approval_rates": [approval.rate or 0 for approval in approvals],
    }


def _rate_parameters(rates: Sequence[ExchangeRate]) -> Parameters:
    return {
        "rate_currencies": [rate.currency for rate in rates],
        "rate_days": [rate.day for rate in rates],
        "rate_values": [rate.rate_e12 for rate in rates],
    }


def _group(row: dict[str, Any], query: ReportQuery, wanted: WantedSums) -> ReportGroup:
    zone = ZoneInfo(query.zone)
    keys = tuple(_key(row[f"key_{place}"], grouping, zone) for place, grouping in enumerate(query.group_by))
    return ReportGroup(keys, _sums(row, wanted, ""), _sums(row, wanted, BEFORE) if query.compared else None)


def _key(value: int | str, grouping: Grouping, zone: ZoneInfo) -> GroupKey:
    if grouping is Dimension.DAY:
        return start_of_day(date.fromordinal(_EPOCH + int(value)), zone)
    return value


def _sums(row: dict[str, Any], wanted: WantedSums, side: str) -> Sums:
    """Return the sums of a side of a row. What was not asked for is 0."""

    def micros(name: str) -> int:
        return _rounded(int(row[f"{side}exact_{name}"] or 0))

    delay = row[f"{side}{DELAY_SUM}"] if wanted.has_delay else None
    return Sums(
        **{name: int(row[f"{side}{name}"] or 0) for name in wanted.counts},
        **{name: micros(name) for name in wanted.money},
        delay_p50_seconds=None if delay is None else int(delay),
        by_status={key: int(row[f"{side}status_{place}"] or 0) for place, key in enumerate(wanted.statuses)},
        micros_by_status={key: micros(f"payouts_{place}") for place, key in enumerate(wanted.statuses)},
        by_event={number: int(row[f"{side}event_{number}"] or 0) for number in wanted.events},
        not_converted=_others(row[f"{side}others"] or ()),
    )


def _rounded(exact: int) -> int:
    """Return micros × 10¹² as micros, rounded half away from zero."""
    # In integers: a float has 53 bits, and sums of money have to be exact.
    micros = (2 * abs(exact) + E12) // (2 * E12)
    return micros if exact >= 0 else -micros


def _others(pieces: Iterable[dict[str, Any]]) -> tuple[OtherMoney, ...]:
    """Return the money that could not be converted, summed by currency; not what was taken back."""
    sums: dict[str, dict[str, int]] = {}
    for other in pieces:
        of_currency = sums.setdefault(other["currency"], dict.fromkeys(_MONEY, 0))
        for name in _MONEY:
            of_currency[name] += int(other.get(name) or 0)
    return tuple(
        OtherMoney(currency=currency, **amounts) for currency, amounts in sorted(sums.items()) if any(amounts.values())
    )
