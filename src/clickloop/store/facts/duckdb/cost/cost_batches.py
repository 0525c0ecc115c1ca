"""Spreading many amounts at once in DuckDB: a table of costs has thousands, each over few clicks.

The clicks of all segments are found by one join, by values, and given their shares by one statement. That takes segments whose
filters have a single value each and whose span is short; ``is_joinable`` tells. Call the functions in a transaction.
"""

from collections.abc import Sequence
from typing import Any

import duckdb

from clickloop.clock import DAY_MS
from clickloop.report.cost.segment import CostFilter, CostSegment, Spread, SpreadOrder, SpreadOver
from clickloop.store.facts.duckdb.cost.cost_outdated import clicks_in_spans
from clickloop.store.facts.duckdb.cost.cost_spreads import SHARES, WITH_MARKS, add

MAX_DAYS = 40
"""Maximum number of days of a span that is joined by day."""
_WITHOUT_TESTS = "kind = 'click' AND screening IS DISTINCT FROM 'test' AND fact_at >= $first AND fact_at < $last"
_SHARE = """
CREATE OR REPLACE TEMP TABLE cost_new AS
SELECT rank, place, click_id, shares, CASE WHEN shares THEN (micros // shared + (number <= micros % shared)::BIGINT)::BIGINT ELSE 0 END
       AS micros
FROM (
    SELECT wanted.rank, wanted.micros, click_id, shares, row_number() OVER by_id AS place, sum(shares::BIGINT) OVER by_id AS number,
           sum(shares::BIGINT) OVER (PARTITION BY wanted.rank) AS shared
    FROM ({clicks}) JOIN (SELECT unnest($ranks::BIGINT[]) AS rank, unnest($amounts::BIGINT[]) AS micros) AS wanted
    ON wanted.rank = matched
    WINDOW by_id AS (PARTITION BY wanted.rank ORDER BY click_id ROWS UNBOUNDED PRECEDING)
) WHERE shared > 0
"""
_REMEMBER = """
INSERT INTO cost_spreads (rank, entry_id, currency, micros, covered, shared, active, source_id, campaign_id, from_at, until_at,
    clean_only, seen, seen_clean)
SELECT unnest($ranks::BIGINT[]), unnest($entry_ids::BIGINT[]), unnest($currencies::VARCHAR[]), unnest($amounts::BIGINT[]),
    unnest($covered::BIGINT[]), unnest($shared::BIGINT[]), 0, unnest($source_ids::BIGINT[]), unnest($campaign_ids::BIGINT[]),
    unnest($from_ats::BIGINT[]), unnest($until_ats::BIGINT[]), unnest($clean_only::BOOLEAN[]), unnest($seen::BIGINT[]),
    unnest($seen_clean::BIGINT[])
"""


def is_joinable(segment: CostSegment) -> bool:
    """Return whether a segment's clicks are found by a join."""
    days = (segment.until_at - 1) // DAY_MS - segment.from_at // DAY_MS + 1
    return days <= MAX_DAYS and all(len(one.values) == 1 for one in segment.filters)


def matching(segments: Sequence[CostSegment], numbers: Sequence[int], columns: str) -> tuple[str, dict[str, object]]:
    """Return a query of the clicks of segments of one shape, and its values: columns, and the segment's number as ``matched``."""
    # By UTC day, so that a click is compared with the segments of its day only.
    rows = [
        (place, day)
        for place, one in enumerate(segments)
        for day in range(one.from_at // DAY_MS, (one.until_at - 1) // DAY_MS + 1)
    ]
    owners = [name for name in ("campaign_id", "source_id") if getattr(segments[0], name)]
    dimensions = [one.dimension for one in segments[0].filters]
    compared = [f"facts.{name}" for name in owners]
    compared += [
        f"coalesce(facts.{one}_id, 0)::VARCHAR" if one.is_number else f"coalesce(facts.{one.value}, '')"
        for one in dimensions
    ]
    wanted = [f"wanted_{place}" for place in range(len(compared))]
    parameters: dict[str, object] = {
        "numbers": [numbers[place] for place, _ in rows],
        "days": [day for _, day in rows],
        "from_ats": [segments[place].from_at for place, _ in rows],
        "until_ats": [segments[place].until_at for place, _ in rows],
        "first": min(one.from_at for one in segments),
        "last": max(one.until_at for one in segments),
    }
    for number, name in enumerate(owners):
        parameters[wanted[number]] = [getattr(segments[place], name) for place, _ in rows]
    for number in range(len(dimensions)):
        values = [_value(segments[place].filters[number]) for place, _ in rows]
        parameters[wanted[len(owners) + number]] = values
    types = ["BIGINT"] * len(owners) + ["VARCHAR"] * len(dimensions)
    unnested = "".join(f", unnest(${name}::{kind}[]) AS {name}" for name, kind in zip(wanted, types, strict=True))
    equal = "".join(f" AND {column} = {name}" for column, name in zip(compared, wanted, strict=True))
    statement = f"""
        SELECT matched, {columns} FROM {WITH_MARKS} JOIN (
            SELECT unnest($numbers::BIGINT[]) AS matched, unnest($days::BIGINT[]) AS on_day,
                   unnest($from_ats::BIGINT[]) AS begins_at, unnest($until_ats::BIGINT[]) AS ends_at{unnested}
        ) AS wanted ON fact_at // {DAY_MS} = on_day AND fact_at >= begins_at AND fact_at < ends_at{equal}
        WHERE {_WITHOUT_TESTS}
    """  # noqa: S608 – names are ours, values are bound
    return statement, parameters


def _value(one: CostFilter) -> str:
    return str(int(one.values[0])) if one.dimension.is_number else one.values[0]


def shape_of(segment: CostSegment) -> tuple[object, ...]:
    """Return what segments must have in common to be matched by one query."""
    dimensions = tuple(one.dimension for one in segment.filters)
    return (bool(segment.source_id), bool(segment.campaign_id), dimensions)


def count_each(reader: duckdb.DuckDBPyConnection, segments: Sequence[CostSegment], over: SpreadOver) -> list[int]:
    """Return the number of clicks of each segment that an amount would be spread over: one query for all."""
    if not segments:
        return []
    clicks, parameters = matching(segments, range(len(segments)), f"{SHARES[over]} AS shares")
    statement = f"SELECT matched, count(*) FROM ({clicks}) WHERE shares GROUP BY matched"  # noqa: S608 – names are ours
    found = dict(reader.execute(statement, parameters).fetchall())
    return [int(found.get(place, 0)) for place in range(len(segments))]


def that_fit(reader: duckdb.DuckDBPyConnection, orders: Sequence[SpreadOrder], limit: int) -> list[SpreadOrder]:
    """Return the first orders whose segments have at most ``limit`` clicks together, at least one; one that is not joined is alone."""
    if not orders or not is_joinable(orders[0].segment):
        return list(orders[:1])
    joined = [order for order in orders if is_joinable(order.segment)]
    groups: dict[tuple[object, ...], list[SpreadOrder]] = {}
    for order in joined:
        groups.setdefault(shape_of(order.segment), []).append(order)
    counts: dict[int, int] = {}
    for group in groups.values():
        clicks, parameters = matching([one.segment for one in group], [one.rank for one in group], "click_id")
        statement = f"SELECT matched, count(*) FROM ({clicks}) GROUP BY matched"  # noqa: S608 – names are ours
        counts |= dict(reader.execute(statement, parameters).fetchall())
    total, found = 0, list[SpreadOrder]()
    for order in joined:
        total += counts.get(order.rank, 0)
        if found and total > limit:
            break
        found.append(order)
    return found


def add_each(writer: duckdb.DuckDBPyConnection, orders: Sequence[SpreadOrder]) -> list[Spread]:
    """Give the clicks of each order's segment their shares, as ``cost_spreads.add`` does for one."""
    groups: dict[tuple[object, ...], list[SpreadOrder]] = {}
    for order in orders:
        key = (order.over, *shape_of(order.segment)) if is_joinable(order.segment) else (order.rank,)
        groups.setdefault(key, []).append(order)
    found: dict[int, Spread] = {}
    for group in groups.values():
        spreads = [add(writer, group[0])] if len(group) == 1 else _add_group(writer, group)
        found |= {spread.rank: spread for spread in spreads}
    return [found[order.rank] for order in orders]


def _add_group(writer: duckdb.DuckDBPyConnection, orders: Sequence[SpreadOrder]) -> list[Spread]:
    ranks, amounts = [order.rank for order in orders], [order.micros for order in orders]
    segments = [order.segment for order in orders]
    clicks, parameters = matching(segments, ranks, f"click_id, {SHARES[orders[0].over]} AS shares")
    writer.execute(_SHARE.format(clicks=clicks), parameters | {"ranks": ranks, "amounts": amounts})
    writer.execute("INSERT INTO cost_shares SELECT rank, place, click_id, micros FROM cost_new")
    statement = "SELECT rank, count(*), count(*) FILTER (shares) FROM cost_new GROUP BY rank"
    counts: dict[int, tuple[int, int]] = {row[0]: (row[1], row[2]) for row in writer.execute(statement).fetchall()}
    writer.execute("DROP TABLE cost_new")
    spreads = [
        Spread(
            rank=order.rank,
            entry_id=order.entry_id,
            currency=order.currency,
            micros=order.micros,
            covered=counts.get(order.rank, (0, 0))[0],
            shared=counts.get(order.rank, (0, 0))[1],
            active=0,
        )
        for order in orders
    ]
    seen = clicks_in_spans(writer, segments)
    values: dict[str, Any] = {
        "ranks": ranks,
        "amounts": amounts,
        "entry_ids": [order.entry_id for order in orders],
        "currencies": [order.currency for order in orders],
        "covered": [spread.covered for spread in spreads],
        "shared": [spread.shared for spread in spreads],
        "clean_only": [order.over is SpreadOver.CLEAN for order in orders],
        "seen": [one.recorded for one in seen],
        "seen_clean": [one.clean for one in seen],
    }
    for name in ("source_id", "campaign_id", "from_at", "until_at"):
        values[f"{name}s"] = [getattr(segment, name) for segment in segments]
    writer.execute(_REMEMBER, values)
    return spreads
