"""The origins of the cost of a report's groups, in DuckDB: links, models, and each entry."""

from zoneinfo import ZoneInfo

import duckdb

from clickloop.clock import DAY_MS
from clickloop.report.cost.origin import OriginSum
from clickloop.report.query import Grouping, ReportQuery
from clickloop.store.facts.duckdb.report.dimension_sql import Parameters, Span, columns_of, filter_sql

# A rule is that of clicks, and after a semicolon that of conversions, each a word that its terms follow.
_MODEL = (
    "CASE WHEN status_key IS NULL THEN split_part(cost_rule, ';', 1) "
    "ELSE split_part(split_part(cost_rule, ';', 2), ' ', 1) END"
)
_PARTS = """
SELECT {keys}0 AS entry, {model} AS rule, currency AS unit, fact_at // {day} AS on_day, sum(cost_micros) AS micros
FROM facts WHERE {where} AND cost_micros <> 0 AND (cost_entry_id IS NULL OR (cost_entry_id = 0 AND beneath_entry_id IS NULL))
GROUP BY ALL
UNION ALL
SELECT {keys}beneath_entry_id, CASE WHEN beneath_entry_id = 0 THEN {model} END, currency, fact_at // {day}, sum(beneath_micros)
FROM facts WHERE {where} AND beneath_micros <> 0 GROUP BY ALL
UNION ALL
SELECT {keys}cost_entry_id, NULL, currency, fact_at // {day}, sum(entry_micros)
FROM facts WHERE {where} AND entry_micros <> 0 GROUP BY ALL
"""


def cost_origins(reader: duckdb.DuckDBPyConnection, query: ReportQuery) -> list[OriginSum]:
    """Return the cost of each of a query's groups by origin, currency and UTC day. Order, limit and columns do not matter."""
    parameters: Parameters = {}
    span = Span(from_at=query.from_at, until_at=query.until_at, zone=ZoneInfo(query.zone), basis=query.basis)
    conditions = [span.period, "screening IS DISTINCT FROM 'test'"]
    conditions += [filter_sql(one, span, parameters) for one in query.filters]
    names = [f"key_{place}" for place in range(len(query.group_by))]
    keys = "".join(f"{_key(one, span)} AS {name}, " for name, one in zip(names, query.group_by, strict=True))
    parts = _PARTS.format(keys=keys, model=_MODEL, day=DAY_MS, where=" AND ".join(conditions))
    selected = "".join(f"{name}, " for name in names)
    statement = (
        f"SELECT {selected}entry, coalesce(rule, '') AS model, coalesce(unit, ''), on_day, sum(micros) "  # noqa: S608 – names are ours, values are bound
        f"FROM ({parts}) GROUP BY ALL HAVING sum(micros) <> 0 ORDER BY ALL"
    )
    rows = reader.execute(statement, parameters).fetchall()
    return [
        OriginSum(
            keys=tuple(row[:-5]), entry_id=row[-5], model=row[-4], currency=row[-3], day=row[-2], micros=int(row[-1])
        )
        for row in rows
    ]


def _key(grouping: Grouping, span: Span) -> str:
    columns = columns_of(grouping, span)
    if len(columns) > 1:
        return f"concat_ws(' ', {', '.join(columns)})"
    return f"coalesce({columns[0]}, {'0' if grouping.is_integer else chr(39) * 2})"
