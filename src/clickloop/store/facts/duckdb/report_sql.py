"""The SQL of a report: one GROUP BY over the facts' rows, in layers, so that each row is read once.

1. ``pieces``: clicks, conversions and page events, each summed by the columns of the groups; with several currencies also by
   currency, and by the UTC day of money to convert.
2. ``priced``: each piece with the rate of its day.
3. ``grouped``: the groups. Money is exact here: micros × 10¹² fit into 128 bits.
4. The totals, then the requested page of groups in order.

Measured to be fast: group by plain columns and combine them afterwards; test only columns for NULL that compress well.
"""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.report.measure import Measure
from clickloop.report.period import offsets_of
from clickloop.report.query import Dimension, DimensionFilter, ReportQuery
from clickloop.report.rate_text import E12

MONEY = ("cost_micros", "revenue_micros", "pending_micros", "rejected_micros")
CLICK_COUNTS = ("clicks", "unique_clicks", "clicks_recorded", "clean_clicks", "landing_visits")
PAGE_EVENT_COUNTS = ("landing_views", "landing_clicks", "events")
CONVERSION_COUNTS = ("confirmed", "pending", "rejected")
COUNTS = (*CLICK_COUNTS, *PAGE_EVENT_COUNTS, "offer_visits", *CONVERSION_COUNTS)

_PAIRS = {
    Dimension.OS_VERSION: ("os", "os_version"),
    Dimension.BROWSER_VERSION: ("browser", "browser_version"),
    Dimension.MODEL: ("brand", "model"),
}
"""Columns that identify a version or model. Versions alone would merge Android 14 with iOS 14."""


class Span(msgspec.Struct, frozen=True):
    """The part of the requested period that has facts, and the time zone of days and hours."""

    from_at: int
    until_at: int
    zone: ZoneInfo
    has_marks: bool = True
    """Whether any click has marks."""
    has_landings: bool = True
    """Whether any click was sent to a landing. Figures that would all be alike are not worth reading a column for."""
    has_corrections: bool = True
    """Whether the marks of any click were corrected."""


class Statement(msgspec.Struct, frozen=True):
    """An SQL statement with its parameters."""

    text: str
    parameters: dict[str, object]


def report_statement(query: ReportQuery, span: Span, *, several_currencies: bool) -> Statement:
    """Return the statement of a report. Without ``several_currencies`` all money is in the query's currency."""
    parameters: dict[str, object] = {
        "from_at": span.from_at,
        "until_at": span.until_at,
        "limit": query.limit,
        "offset": query.offset,
    }
    statuses = [f"status_{number}" for number in range(len(query.statuses))]
    parameters |= dict(zip(statuses, query.statuses, strict=True))
    if several_currencies:
        parameters["currency"] = query.currency
    columns = [_columns_of(dimension, span) for dimension in query.group_by]
    named = [(f"key_{place}_{part}", sql) for place, parts in enumerate(columns) for part, sql in enumerate(parts)]
    pieces = _pieces(query, span, named, statuses, parameters, several_currencies)
    keys = [_key_of(place, dimension) for place, dimension in enumerate(query.group_by)]
    grouped = _grouped_priced(keys, statuses) if several_currencies else _grouped(keys, statuses)
    sums = ", ".join(f"sum({name}) AS {name}" for name in (*COUNTS, *statuses, *MONEY))
    no_keys = "".join(f"NULL AS key_{place}, " for place in range(len(keys)))
    text = f"""
    WITH pieces AS ({pieces}), {_RATES if several_currencies else ""}grouped AS MATERIALIZED ({grouped})
    SELECT 0 AS place, {no_keys}{sums}, flatten(list(others)) AS others, count(*) AS group_count FROM grouped
    UNION ALL BY NAME
    SELECT * FROM (SELECT row_number() OVER (ORDER BY {_order(query)}) AS place, * FROM grouped)
    WHERE place > $offset AND place <= $offset + $limit ORDER BY place
    """  # noqa: S608 – names are ours, values are bound
    return Statement(text, parameters)


_RATES = """
    rates AS (
        SELECT unnest($rate_currencies::VARCHAR[]) AS currency, unnest($rate_days::BIGINT[]) AS day,
               unnest($rate_values::BIGINT[]) AS rate_e12
    ), priced AS (
        SELECT pieces.*, CASE WHEN pieces.currency = $currency THEN 1000000000000 ELSE rate_e12 END AS rate
        FROM pieces ASOF LEFT JOIN rates ON pieces.currency = rates.currency AND pieces.day >= rates.day
    ), """


def _pieces(
    query: ReportQuery,
    span: Span,
    named: Sequence[tuple[str, str]],
    statuses: Sequence[str],
    parameters: dict[str, object],
    several_currencies: bool,
) -> str:
    """Return the first layer, and add the values of filters to the parameters."""
    for_all = ["fact_at >= $from_at", "fact_at < $until_at"]
    for_conversions = ["status_key IS NOT NULL"]
    for place, filter_ in enumerate(query.filters):
        condition = _filter(f"filter_{place}", filter_, span, parameters)
        (for_conversions if filter_.dimension is Dimension.STATUS else for_all).append(condition)
    for_clicks = ["clicks IS NOT NULL", "screening IS DISTINCT FROM 'test'"]
    for_page_events = ["landing_views IS NOT NULL"]
    if Dimension.STATUS in query.group_by:
        for_clicks = for_page_events = ["false"]
    currency = [("currency", "currency"), ("day", _DAY_OF_PIECE)] if several_currencies else []
    grouping = [*named, *currency]
    keys = "".join(f"{sql} AS {name}, " for name, sql in grouping)
    by = f"GROUP BY {', '.join(str(place) for place in range(1, len(grouping) + 1))}" if grouping else ""
    # Without money: any rate will do, and no further groups by currency and day.
    no_currency = [("currency", "$currency"), ("day", "0")] if several_currencies else []
    clean = "sum(clicks) FILTER (marks IS NULL)" if span.has_marks else "sum(clicks)"
    recorded = "sum(coalesce(correction, 1))" if span.has_corrections else "count(*)"
    landing_visits = "sum(clicks) FILTER (landing_id IS NOT NULL)" if span.has_landings else "0"
    page_event_keys = "".join(f"{sql} AS {name}, " for name, sql in [*named, *no_currency])
    return f"""
        SELECT {keys}sum(clicks) AS clicks, sum(clicks) FILTER ("unique") AS unique_clicks, {recorded} AS clicks_recorded,
               {clean} AS clean_clicks, {landing_visits} AS landing_visits,
               sum(clicks) FILTER (offer_id IS NOT NULL) AS offer_visits, sum(cost_micros) AS cost_micros
        FROM facts WHERE {" AND ".join([*for_all, *for_clicks])} {by}
        UNION ALL BY NAME
        SELECT {keys}{_conversion_sums(statuses)}
        FROM facts WHERE {" AND ".join([*for_all, *for_conversions])} {by}
        UNION ALL BY NAME
        SELECT {page_event_keys}sum(landing_views) AS landing_views, sum(landing_clicks) AS landing_clicks,
               sum(offer_visits) AS offer_visits, sum(events) AS events
        FROM facts WHERE {" AND ".join([*for_all, *for_page_events])} {by}
    """  # noqa: S608 – names are ours, values are bound


_DAY_OF_PIECE = f"CASE WHEN currency = $currency THEN 0 ELSE fact_at // {DAY_MS} END"


def _conversion_sums(statuses: Sequence[str]) -> str:
    sums = [f"sum(conversions) FILTER (counts_as = '{name}') AS {name}" for name in CONVERSION_COUNTS]
    sums += [f"sum(conversions) FILTER (status_key = ${name}) AS {name}" for name in statuses]
    sums += [f"sum({name}) AS {name}" for name in MONEY[1:]]
    return ", ".join(sums)


def _grouped(keys: Sequence[str], statuses: Sequence[str]) -> str:
    """Return the groups of pieces in a single currency."""
    counts = _sums((*COUNTS, *statuses))
    money = ", ".join(f"coalesce(sum({name}), 0)::HUGEINT * {E12} AS {name}" for name in MONEY)
    return (
        f"SELECT {_selected(keys)}{counts}, {money}, NULL::STRUCT(currency VARCHAR)[] AS others FROM pieces {_by(keys)} "  # noqa: S608
        f"{_having(keys, statuses)}"
    )


def _grouped_priced(keys: Sequence[str], statuses: Sequence[str]) -> str:
    """Return the groups of pieces in several currencies; money without a rate goes into ``others``."""
    counts = _sums((*COUNTS, *statuses))
    money = ", ".join(f"coalesce(sum({name}::HUGEINT * rate), 0) AS {name}" for name in MONEY)
    others = ", ".join(f"{name} := {name}" for name in ("currency", *MONEY))
    any_money = " OR ".join(f"{name} <> 0" for name in MONEY)
    unpriced = f"list(struct_pack({others})) FILTER (rate IS NULL AND ({any_money})) AS others"
    having = _having(keys, statuses, " OR others IS NOT NULL")
    return f"SELECT {_selected(keys)}{counts}, {money}, {unpriced} FROM priced {_by(keys)} {having}"  # noqa: S608 – names are ours, values are bound


def _having(keys: Sequence[str], statuses: Sequence[str], otherwise: str = "") -> str:
    """Return the condition that a group has figures: marks that were corrected leave nothing where a click was before."""
    if not keys:
        return ""
    figures = " OR ".join(f"coalesce(sum({name}), 0) <> 0" for name in (*COUNTS, *statuses, *MONEY))
    return f"HAVING {figures}{otherwise}"


def _sums(names: Sequence[str]) -> str:
    return ", ".join(f"coalesce(sum({name}), 0)::HUGEINT AS {name}" for name in names)


def _selected(keys: Sequence[str]) -> str:
    return "".join(f"{sql} AS key_{place}, " for place, sql in enumerate(keys))


def _by(keys: Sequence[str]) -> str:
    return f"GROUP BY {', '.join(keys)}" if keys else ""


def _order(query: ReportQuery) -> str:
    keys = [f"key_{place}" for place in range(len(query.group_by))]
    if query.sort is None:
        return ", ".join([f"{keys[0]} DESC" if query.descending else keys[0], *keys[1:]]) if keys else "1"
    return ", ".join([f"{_figure(query.sort)} {'DESC' if query.descending else 'ASC'} NULLS LAST", *keys])


def _figure(measure: Measure) -> str:
    """Return the sort key of groups as SQL. The float decides only the order, never a figure."""
    if not measure.divisor:
        return measure.dividend
    return f"({measure.dividend})::DOUBLE / nullif({measure.divisor}, 0)"


def _columns_of(dimension: Dimension, span: Span) -> tuple[str, ...]:
    """Return the expressions that a dimension groups rows by, as SQL."""
    if dimension in _PAIRS:
        return _PAIRS[dimension]
    if dimension.is_number:
        return (f"{dimension.value}_id",)
    if dimension is Dimension.STATUS:
        return ("status_key",)
    if not dimension.is_time:
        return (dimension.value,)
    local = f"(fact_at + {_ahead(span)})"
    match dimension:
        case Dimension.DAY:
            return (f"{local} // {DAY_MS}",)
        case Dimension.HOUR:
            return (f"fact_at - {local} % {HOUR_MS}",)
        case Dimension.WEEKDAY:
            return (f"({local} // {DAY_MS} + 3) % 7 + 1",)  # 1970-01-01 was a Thursday
        case _:
            return (f"{local} // {HOUR_MS} % 24",)


def _key_of(place: int, dimension: Dimension) -> str:
    """Return a group's key, combined from its columns in ``pieces``, as SQL."""
    first = f"key_{place}_0"
    if dimension in _PAIRS:
        return f"concat_ws(' ', {first}, key_{place}_1)"
    return f"coalesce({first}, 0)" if dimension.is_number or dimension.is_time else f"coalesce({first}, '')"


def _ahead(span: Span) -> str:
    """Return the offset of local time from UTC at a row's time, in milliseconds, as SQL."""
    first, *later = offsets_of(span.zone, span.from_at, span.until_at)
    if not later:
        return str(first.ahead_ms)
    cases = "".join(f" WHEN fact_at >= {offset.from_at} THEN {offset.ahead_ms}" for offset in reversed(later))
    return f"CASE{cases} ELSE {first.ahead_ms} END"


def _filter(name: str, filter_: DimensionFilter, span: Span, parameters: dict[str, object]) -> str:
    """Return a filter's condition, and add its values to the parameters. An empty text and 0 also match NULL."""
    columns = _columns_of(filter_.dimension, span)
    is_number = filter_.dimension.is_number or filter_.dimension.is_time
    parameters[name] = [int(value) if is_number else value for value in filter_.values]
    if len(columns) > 1:
        return f"concat_ws(' ', {', '.join(columns)}) = ANY(${name}::VARCHAR[])"
    condition = f"{columns[0]} = ANY(${name}::{'BIGINT' if is_number else 'VARCHAR'}[])"
    matches_null = any(value in ("", "0") for value in filter_.values) and not filter_.dimension.is_time
    return f"({condition} OR {columns[0]} IS NULL)" if matches_null else condition
