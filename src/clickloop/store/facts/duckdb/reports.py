"""Reading a report from DuckDB: running the statement of ``report_sql`` and converting its rows into sums."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from clickloop.report.measure import OtherMoney, Sums
from clickloop.report.period import start_of_day
from clickloop.report.query import Dimension, ExchangeRate, GroupKey, Report, ReportGroup, ReportQuery
from clickloop.report.rate_text import E12
from clickloop.store.facts.duckdb.report_sql import COUNTS, MONEY, Span, report_statement

_EPOCH = date(1970, 1, 1).toordinal()
_NOTHING = Report(groups=(), group_count=0, totals=Sums())


def read_report(reader: duckdb.DuckDBPyConnection, query: ReportQuery, rates: Sequence[ExchangeRate]) -> Report:
    """Return the report. ``rates`` convert into the query's currency, in any order."""
    reader.execute("BEGIN")  # one snapshot for all three statements
    try:
        span = _span(reader, query)
        if span is None:
            return _NOTHING
        several = not _currencies(reader, span) <= {query.currency}
        statement = report_statement(query, span, several_currencies=several)
        parameters = statement.parameters | (_rate_parameters(rates) if several else {})
        rows = reader.execute(statement.text, parameters).fetchall()
        names = [column[0] for column in reader.description or ()]
    finally:
        reader.execute("COMMIT")
    total, *groups = (dict(zip(names, row, strict=True)) for row in rows)
    return Report(
        groups=tuple(ReportGroup(_keys(row, query), _sums(row, query)) for row in groups) if query.group_by else (),
        group_count=int(total["group_count"]) if query.group_by else 0,
        totals=_sums(total, query),
    )


def _span(reader: duckdb.DuckDBPyConnection, query: ReportQuery) -> Span | None:
    """Return the part of the period that has facts, or None. The engine knows a column's min and max without reading it."""
    first, last = reader.execute("SELECT min(fact_at), max(fact_at) FROM facts").fetchone() or (None, None)
    if first is None or last is None:
        return None
    from_at, until_at = max(query.from_at, int(first)), min(query.until_at, int(last) + 1)
    if from_at >= until_at:
        return None
    used = (_is_used(reader, column, from_at, until_at) for column in ("marks", "landing_id", "correction"))
    return Span(from_at, until_at, ZoneInfo(query.zone), *used)


def _is_used(reader: duckdb.DuckDBPyConnection, column: str, from_at: int, until_at: int) -> bool:
    """Return whether a column has values in a period. Row groups without any are skipped, and the first value ends the search."""
    query = f"SELECT 1 FROM facts WHERE {column} IS NOT NULL AND fact_at >= $from_at AND fact_at < $until_at LIMIT 1"  # noqa: S608 – names are ours
    return reader.execute(query, {"from_at": from_at, "until_at": until_at}).fetchone() is not None


def _currencies(reader: duckdb.DuckDBPyConnection, span: Span) -> set[str]:
    """Return the currencies of the facts in a period; the empty one for conversions without money or with an unknown currency."""
    rows = reader.execute(
        "SELECT DISTINCT currency FROM facts WHERE fact_at >= $from_at AND fact_at < $until_at "
        "AND (currency <> '' OR status_key IS NOT NULL)",
        {"from_at": span.from_at, "until_at": span.until_at},
    )
    return {str(row[0]) for row in rows.fetchall()}


def _rate_parameters(rates: Sequence[ExchangeRate]) -> dict[str, object]:
    return {
        "rate_currencies": [rate.currency for rate in rates],
        "rate_days": [rate.day for rate in rates],
        "rate_values": [rate.rate_e12 for rate in rates],
    }


def _keys(row: dict[str, Any], query: ReportQuery) -> tuple[GroupKey, ...]:
    zone = ZoneInfo(query.zone)
    return tuple(_key(row[f"key_{place}"], dimension, zone) for place, dimension in enumerate(query.group_by))


def _key(value: int | str, dimension: Dimension, zone: ZoneInfo) -> GroupKey:
    if dimension is Dimension.DAY:
        return start_of_day(date.fromordinal(_EPOCH + int(value)), zone)
    return value


def _sums(row: dict[str, Any], query: ReportQuery) -> Sums:
    return Sums(
        **{name: int(row[name] or 0) for name in COUNTS},
        **{name: _rounded(int(row[name] or 0)) for name in MONEY},
        by_status={key: int(row[f"status_{place}"] or 0) for place, key in enumerate(query.statuses)},
        not_converted=_others(row["others"] or ()),
    )


def _rounded(exact: int) -> int:
    """Return micros × 10¹² as micros, rounded half away from zero."""
    # In integers: a float has 53 bits, and sums of money have to be exact.
    micros = (2 * abs(exact) + E12) // (2 * E12)
    return micros if exact >= 0 else -micros


def _others(pieces: Iterable[dict[str, Any]]) -> tuple[OtherMoney, ...]:
    """Return the money that could not be converted, summed by currency."""
    sums: dict[str, list[int]] = {}
    for other in pieces:
        of_currency = sums.setdefault(other["currency"], [0] * len(MONEY))
        for place, name in enumerate(MONEY):
            of_currency[place] += int(other[name] or 0)
    return tuple(
        OtherMoney(currency=currency, **dict(zip(MONEY, amounts, strict=True)))
        for currency, amounts in sorted(sums.items())
    )
