"""The SQL of a report: one GROUP BY over the facts' rows, in layers, so that each row is read once.

1. ``pieces``: clicks, conversions, page events and entered cost, each summed by the columns of the groups; money also by currency
   and by the UTC day to convert it.
2. ``priced``: each piece with the rate of its day, and pending payouts with the approval rate of their offer.
3. ``grouped``: the groups. Money is exact here: micros × 10¹² fit into 128 bits.
4. ``sided``: the groups beside those of the period that is compared with; ``shown``: those that meet the conditions, with
   what they are ordered by.
5. The totals, then the requested page of groups in order.

Measured to be fast: group by plain columns and combine them afterwards; test only columns for NULL that compress well.
"""

from collections.abc import Sequence

import msgspec

from clickloop.clock import DAY_MS
from clickloop.report.column import EventFigure, NamedFigure, StatusFigure, figures_of
from clickloop.report.measure import Measure, Unit
from clickloop.report.query import ReportQuery
from clickloop.report.rate_text import E12
from clickloop.store.facts.duckdb.report.dimension_sql import DELAY, Parameters, Span, columns_of, filter_sql, key_of
from clickloop.store.facts.duckdb.report.order_sql import shown_sql
from clickloop.store.facts.duckdb.report.part_sql import Part, clicks_of, conversions_of, cost_of, page_events_of
from clickloop.store.facts.duckdb.report.wanted_sums import WantedSums

MONEY = ("cost_micros", "revenue_micros", "pending_micros", "rejected_micros", "expected_micros")
COUNTS = (
    *(
        "clicks",
        "unique_clicks",
        "clicks_recorded",
        "clean_clicks",
        "landing_visits",
        "landing_views",
        "landing_clicks",
    ),
    *("events", "offer_visits", "confirmed", "pending", "rejected"),
)
DELAY_SUM = "delay_p50_seconds"
BEFORE = "before_"
_MICROS = 1_000_000
_SUMS_OF_MONEY = MONEY[:4]


class Statement(msgspec.Struct, frozen=True):
    """An SQL statement with its parameters."""

    text: str
    parameters: Parameters


def all_figures(query: ReportQuery) -> tuple[NamedFigure, ...]:
    """Return the figures that a query needs: for its columns, conditions and order."""
    columns = figures_of(query.columns)
    more = figures_of([*query.conditions, *([query.sort] if query.sort is not None else [])])
    return (*columns, *more)


def wanted_of(query: ReportQuery) -> WantedSums:
    """Return the sums that a query needs."""
    figures = all_figures(query)
    names = {name for figure in figures if isinstance(figure, Measure) for name in figure.sums}
    deciding = figures_of([*query.conditions, *([query.sort] if query.sort is not None else [])])
    decided = {name for figure in deciding if isinstance(figure, Measure) for name in figure.sums}
    statuses = dict.fromkeys(query.statuses)
    statuses |= dict.fromkeys(figure.status for figure in figures if isinstance(figure, StatusFigure))
    events = sorted({figure.number for figure in figures if isinstance(figure, EventFigure)})
    return WantedSums(
        counts=tuple(name for name in COUNTS if name in names),
        money=tuple(name for name in MONEY if name in names),
        statuses=tuple(statuses),
        events=tuple(events),
        has_delay=DELAY_SUM in names,
        rounded=(
            *(name for name in MONEY if name in decided),
            *(f"payouts_{number}" for number, key in enumerate(statuses) if StatusFigure(key, Unit.MONEY) in deciding),
        ),
    )


def report_statement(
    query: ReportQuery, now: Span, before: Span | None, wanted: WantedSums, *, several_currencies: bool
) -> Statement:
    """Return the statement of a report. Without ``several_currencies`` all money is in the query's currency.

    ``before``: the period that is compared with.
    """
    parameters: Parameters = {"limit": query.limit, "offset": query.offset}
    parameters |= {f"status_{number}": key for number, key in enumerate(wanted.statuses)}
    if several_currencies:
        parameters["currency"] = query.currency
    layers = [_RATES] if several_currencies else []
    for span in (now, *([before] if before else ())):
        layers += _side(query, span, wanted, parameters, several_currencies)
    keys = [f"key_{place}" for place in range(len(query.group_by))]
    layers.append(f"sided AS ({_sided(keys, wanted, has_before=before is not None)})")
    layers.append(f"shown AS MATERIALIZED ({shown_sql(query, wanted.columns(), has_before=before is not None)})")
    no_keys = "".join(f"NULL AS {key}, " for key in keys)
    sides = ["", *([BEFORE] if before else [])]
    sums = [
        *(f"sum({side}{name}) AS {side}{name}" for side in sides for name in wanted.whole),
        *(f"sum({side}exact_{name}) AS {side}exact_{name}" for side in sides for name in wanted.micros),
        *(f"flatten(list({side}others)) AS {side}others" for side in sides),
        *(f"({_total_delay(keys, side)}) AS {side}{DELAY_SUM}" for side in sides if wanted.has_delay),
    ]
    text = f"""
    WITH {", ".join(layers)}
    SELECT 0 AS place, {no_keys}{", ".join(sums)}, count(*) AS group_count FROM shown
    UNION ALL BY NAME
    SELECT 1 AS place, * FROM (SELECT * FROM shown ORDER BY {_order(query, keys)} LIMIT $limit OFFSET $offset)
    ORDER BY place, {_order(query, keys)}
    """  # noqa: S608 – names are ours, values are bound
    return Statement(text, parameters)


_RATES = """
    rates AS (
        SELECT unnest($rate_currencies::VARCHAR[]) AS currency, unnest($rate_days::BIGINT[]) AS day,
               unnest($rate_values::BIGINT[]) AS rate_e12
    )"""


def _side(query: ReportQuery, span: Span, wanted: WantedSums, parameters: Parameters, several: bool) -> list[str]:
    """Return the layers of a period up to its groups."""
    keys = [key_of(place, grouping) for place, grouping in enumerate(query.group_by)]
    layers = [
        f"pieces{span.name} AS ({_pieces(query, span, wanted, parameters, several)})",
        f"priced{span.name} AS ({_priced(span, several)})",
        f"grouped{span.name} AS MATERIALIZED ({_grouped(keys, span, wanted, several)})",
    ]
    if wanted.has_delay:
        layers.append(f"delays{span.name} AS MATERIALIZED ({_delays(query, span, keys, parameters)})")
        layers.append(f"medians{span.name} AS ({_medians(len(keys), span)})")
    return layers


def _conditions(query: ReportQuery, span: Span, parameters: Parameters) -> tuple[list[str], list[str]]:
    """Return the conditions of all rows, and the further ones of conversions."""
    for_all, for_conversions = [span.period], list[str]()
    for filter_ in query.filters:
        condition = filter_sql(filter_, span, parameters)
        (for_conversions if filter_.dimension.is_of_conversions else for_all).append(condition)
    return for_all, for_conversions


def _named_keys(query: ReportQuery, span: Span) -> list[tuple[str, str]]:
    columns = [columns_of(grouping, span) for grouping in query.group_by]
    return [(f"key_{place}_{part}", sql) for place, parts in enumerate(columns) for part, sql in enumerate(parts)]


def _pieces(query: ReportQuery, span: Span, wanted: WantedSums, parameters: Parameters, several: bool) -> str:
    """Return the first layer, and add the values of filters to the parameters."""
    for_all, for_conversions = _conditions(query, span, parameters)
    named = _named_keys(query, span)
    money = [("currency", "currency"), ("day", _DAY_OF_PIECE)] if several else []
    # Without money: any rate will do, and no further groups by currency and day.
    no_money = [("currency", "$currency"), ("day", "0")] if several else []
    conversions, approvals, approval = conversions_of(span, wanted), "", []
    if "expected_micros" in wanted.money:
        approvals, approval = _WITH_APPROVALS, [("approval", "coalesce(approval_rate, 0)")]
    # Each sum has a column, whatever the other parts have.
    sums = dict.fromkeys(wanted.in_pieces, "NULL::BIGINT")
    conversions = msgspec.structs.replace(
        conversions, table=conversions.table + approvals, sums=sums | conversions.sums
    )
    parts = [_part(conversions, [*named, *money, *approval], [*for_all, *for_conversions])]
    if not any(grouping.is_of_conversions for grouping in query.group_by):
        parts.append(_part(clicks_of(span, wanted), [*named, *money], for_all))
        parts.append(_part(page_events_of(span, wanted), [*named, *no_money], for_all))
        if span.has_cost_rows and "cost_micros" in wanted.money:
            parts.append(_part(cost_of(span), [*named, *money], for_all))
    return " UNION ALL BY NAME ".join(parts)


_DAY_OF_PIECE = f"CASE WHEN currency = $currency THEN 0 ELSE fact_at // {DAY_MS} END"
_WITH_APPROVALS = (
    " LEFT JOIN (SELECT unnest($approval_offers::BIGINT[]) AS approved_id, unnest($approval_rates::BIGINT[]) AS approval_rate) "
    "ON coalesce(offer_id, 0) = approved_id"
)


def _part(part: Part, grouping: Sequence[tuple[str, str]], conditions: Sequence[str]) -> str:
    selected = [f"{sql} AS {name}" for name, sql in (*grouping, *part.sums.items())]
    by = f"GROUP BY {', '.join(str(place) for place in range(1, len(grouping) + 1))}" if grouping else ""
    where = " AND ".join((*part.conditions, *conditions))
    return f"SELECT {', '.join(selected)} FROM {part.table} WHERE {where} {by}"  # noqa: S608 – names are ours, values are bound


def _priced(span: Span, several: bool) -> str:
    if not several:
        return f"SELECT *, {E12} AS rate FROM pieces{span.name}"  # noqa: S608 – names are ours
    pieces = f"pieces{span.name}"
    return (
        f"SELECT {pieces}.*, CASE WHEN {pieces}.currency = $currency THEN {E12} ELSE nullif(rate_e12, 0) END AS rate "  # noqa: S608
        f"FROM {pieces} ASOF LEFT JOIN rates ON {pieces}.currency = rates.currency AND {pieces}.day >= rates.day"
    )


def _grouped(keys: Sequence[str], span: Span, wanted: WantedSums, several: bool) -> str:
    """Return the groups of pieces, money times 10¹²; money without a rate goes into ``others``."""
    selected = [f"{sql} AS key_{place}" for place, sql in enumerate(keys)]
    selected += [f"coalesce(sum({name}), 0)::HUGEINT AS {name}" for name in wanted.whole]
    for name in wanted.micros:
        factor = _EXPECTED_RATE if name == "expected_micros" else "rate"
        column = "pending_micros" if name == "expected_micros" else name
        selected.append(f"coalesce(sum({column}::HUGEINT * {factor}), 0)::HUGEINT AS {name}")
    others = "NULL::STRUCT(currency VARCHAR)[]"
    if several and wanted.has_unpriced:
        money = [name for name in _SUMS_OF_MONEY if name in wanted.money]
        packed = ", ".join(f"{name} := {name}" for name in ("currency", *money))
        any_money = " OR ".join(f"{name} <> 0" for name in money) or "false"
        others = f"list(struct_pack({packed})) FILTER (rate IS NULL AND ({any_money}))"
    by = f"GROUP BY {', '.join(keys)} HAVING sum(alive) <> 0" if keys else ""
    return f"SELECT {', '.join([*selected, f'{others} AS others'])} FROM priced{span.name} {by}"  # noqa: S608 – names are ours


_EXPECTED_RATE = f"((2 * rate::HUGEINT * approval + {_MICROS}) // {2 * _MICROS})"
"""The rate of the day times the approval rate in millionths, rounded to the 12 decimals of rates."""


def _delays(query: ReportQuery, span: Span, keys: Sequence[str], parameters: Parameters) -> str:
    """Return the delays of confirmed and pending conversions, with the number of each: a correction takes one away."""
    for_all, for_conversions = _conditions(query, span, parameters)
    conditions = [*for_all, *for_conversions, "counts_as IN ('confirmed', 'pending')"]
    conversions = Part("facts", ("status_key IS NOT NULL",), {"conversions": "sum(conversions)"})
    named = _named_keys(query, span)
    rows = _part(conversions, [*named, ("delay", DELAY)], conditions)
    selected = [f"{sql} AS key_{place}" for place, sql in enumerate(keys)]
    by = [*keys, "delay"]
    return (
        f"SELECT {', '.join([*selected, 'delay', 'sum(conversions) AS conversions'])} FROM ({rows}) "  # noqa: S608 – names are ours
        f"GROUP BY {', '.join(by)} HAVING sum(conversions) > 0"
    )


def _medians(keys: int, span: Span) -> str:
    names = "".join(f"key_{place}, " for place in range(keys))
    return (
        f"SELECT {names}min(delay) AS {DELAY_SUM} FROM ({_upper_half(f'delays{span.name}', names)}) {_group_by(keys)}"  # noqa: S608
    )


def _upper_half(delays: str, names: str) -> str:
    """Return the delays within which at least half of the conversions of a group came."""
    window = f"PARTITION BY {names.removesuffix(', ')}" if names else ""
    return (
        f"SELECT {names}delay FROM {delays} "  # noqa: S608 – names are ours
        f"QUALIFY 2 * sum(conversions) OVER ({window} ORDER BY delay) >= sum(conversions) OVER ({window})"
    )


def _group_by(keys: int) -> str:
    return f"GROUP BY {', '.join(f'key_{place}' for place in range(keys))}" if keys else ""


def _total_delay(keys: Sequence[str], side: str) -> str:
    """Return the median delay of all groups that are shown."""
    delays = f"delays{_suffix(side)}"
    shown = " AND ".join(f"{delays}.{key} = shown.{key}" for key in keys)
    matching = f"WHERE EXISTS (FROM shown WHERE {shown})" if keys else ""
    summed = f"(SELECT delay, sum(conversions) AS conversions FROM {delays} {matching} GROUP BY delay)"  # noqa: S608
    return f"SELECT min(delay) FROM ({_upper_half(summed, '')})"  # noqa: S608 – names are ours


def _suffix(side: str) -> str:
    return f"_{side.rstrip('_')}" if side else ""


def _sided(keys: Sequence[str], wanted: WantedSums, *, has_before: bool) -> str:
    """Return the groups of both periods side by side, money in micros."""
    sides = [("", "now"), *([(BEFORE, "earlier")] if has_before else [])]
    selected = [
        f"coalesce({', '.join(f'{table}.{key}' for _, table in sides)}) AS {key}" if has_before else f"now.{key}"
        for key in keys
    ]
    source = "grouped AS now"
    if has_before:
        join, using = ("FULL JOIN", f"USING ({', '.join(keys)})") if keys else ("CROSS JOIN", "")
        source += f" {join} grouped_before AS earlier {using}"
    for side, table in sides:
        selected += [f"coalesce({table}.{name}, 0) AS {side}{name}" for name in wanted.whole]
        selected += [f"{_rounded(f'coalesce({table}.{name}, 0)')} AS {side}{name}" for name in wanted.rounded]
        selected += [f"coalesce({table}.{name}, 0) AS {side}exact_{name}" for name in wanted.micros]
        selected.append(f"{table}.others AS {side}others")
        if wanted.has_delay:
            medians = f"medians{_suffix(side)}"
            # Keys are never NULL.
            source += f" LEFT JOIN {medians} {_on(keys, medians, has_before)}"
            selected.append(f"{medians}.{DELAY_SUM} AS {side}{DELAY_SUM}")
    return f"SELECT {', '.join(selected)} FROM {source}"  # noqa: S608 – names are ours


def _on(keys: Sequence[str], table: str, has_before: bool) -> str:
    if not keys:
        return "ON true"
    left = [f"coalesce(now.{key}, earlier.{key})" if has_before else f"now.{key}" for key in keys]
    return "ON " + " AND ".join(f"{table}.{key} = {sql}" for key, sql in zip(keys, left, strict=True))


def _rounded(exact: str) -> str:
    """Return micros × 10¹² as micros, rounded half away from zero; NULL if they are too large to sort by."""
    return f"TRY(round(({exact})::DECIMAL(38, 0), -12))::HUGEINT // {E12}"


def _order(query: ReportQuery, keys: Sequence[str]) -> str:
    direction = "DESC" if query.descending else "ASC"
    if query.sort is None:
        return ", ".join([f"{keys[0]} {direction}", *keys[1:]]) if keys else "sort_value"
    return ", ".join([f"sort_value {direction} NULLS LAST", *keys])
