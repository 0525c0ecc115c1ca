"""Reading segments and spreads of entered cost in DuckDB, and giving each click its share."""

from collections.abc import Collection, Sequence

import duckdb

from clickloop.clock import DAY_MS
from clickloop.report.cost.segment import (
    QUARTER_MS,
    CostPart,
    CostSegment,
    SegmentClicks,
    Spread,
    SpreadOrder,
    SpreadOver,
)

_CLEAN = "CASE WHEN corrected_id IS NULL THEN facts.marks IS NULL ELSE corrected_marks = '' END"
"""Whether a click has no marks now."""
_SHARES = {
    SpreadOver.CLICKS: "clicks = 1",
    SpreadOver.UNIQUE: 'clicks = 1 AND coalesce("unique", false)',
    SpreadOver.CLEAN: f"clicks = 1 AND {_CLEAN}",
}
_WITH_MARKS = (
    "facts LEFT JOIN (SELECT click_id AS corrected_id, marks AS corrected_marks FROM corrected_clicks) AS corrected "
    "ON click_id = corrected_id"
)


def _segment(segment: CostSegment) -> tuple[str, dict[str, object]]:
    """Return the condition of a segment's clicks, and its values."""
    parameters: dict[str, object] = {"from_at": segment.from_at, "until_at": segment.until_at}
    conditions = ["kind = 'click'", "screening IS DISTINCT FROM 'test'", "fact_at >= $from_at", "fact_at < $until_at"]
    for name in ("source_id", "campaign_id"):
        if number := getattr(segment, name):
            conditions.append(f"{name} = ${name}")
            parameters[name] = number
    for place, one in enumerate(segment.filters):
        name = f"filter_{place}"
        column = f"{one.dimension}_id" if one.dimension.is_number else one.dimension.value
        parameters[name] = [int(value) if one.dimension.is_number else value for value in one.values]
        condition = f"{column} = ANY(${name}::{'BIGINT' if one.dimension.is_number else 'VARCHAR'}[])"
        has_none = any(value in ("", "0") if one.dimension.is_number else value == "" for value in one.values)
        conditions.append(f"({condition} OR {column} IS NULL)" if has_none else condition)
    return " AND ".join(conditions), parameters


def count(reader: duckdb.DuckDBPyConnection, segment: CostSegment) -> SegmentClicks:
    """Return how many clicks a segment has."""
    condition, parameters = _segment(segment)
    sums = ", ".join(f"count(*) FILTER ({_SHARES[over]})" for over in SpreadOver)
    row = reader.execute(f"SELECT count(*), {sums} FROM {_WITH_MARKS} WHERE {condition}", parameters).fetchone()  # noqa: S608 – names are ours, values are bound
    recorded, clicks, unique, clean = row or (0, 0, 0, 0)
    return SegmentClicks(recorded=int(recorded), clicks=int(clicks), unique=int(unique), clean=int(clean))


def quarters(reader: duckdb.DuckDBPyConnection, segment: CostSegment) -> dict[int, int]:
    """Return the number of counted clicks by quarter-hour."""
    condition, parameters = _segment(segment)
    statement = f"SELECT fact_at // {QUARTER_MS} * {QUARTER_MS}, count(*) FROM facts WHERE clicks = 1 AND {condition} GROUP BY ALL"  # noqa: S608
    return {int(begins_at): int(clicks) for begins_at, clicks in reader.execute(statement, parameters).fetchall()}


def count_each(reader: duckdb.DuckDBPyConnection, segments: Sequence[CostSegment], over: SpreadOver) -> list[int]:
    """Return the number of clicks of each segment that an amount would be spread over: one query for all."""
    if not segments:
        return []
    # By UTC day, so that a click is compared with the segments of its day only.
    rows = [
        (place, day)
        for place, one in enumerate(segments)
        for day in range(one.from_at // DAY_MS, (one.until_at - 1) // DAY_MS + 1)
    ]
    names = [name for name in ("campaign_id", "source_id") if getattr(segments[0], name)]
    dimensions = [one.dimension for one in segments[0].filters]
    columns = [f"facts.{name}" for name in names]
    columns += [
        f"coalesce(facts.{one}_id, 0)::VARCHAR" if one.is_number else f"coalesce(facts.{one.value}, '')"
        for one in dimensions
    ]
    wanted = [f"wanted_{place}" for place in range(len(columns))]
    parameters: dict[str, object] = {
        "places": [place for place, _ in rows],
        "days": [day for _, day in rows],
        "from_ats": [segments[place].from_at for place, _ in rows],
        "until_ats": [segments[place].until_at for place, _ in rows],
        "first": min(one.from_at for one in segments),
        "last": max(one.until_at for one in segments),
    }
    for number, name in enumerate(names):
        parameters[wanted[number]] = [getattr(segments[place], name) for place, _ in rows]
    for number in range(len(dimensions)):
        values = [segments[place].filters[number].values[0] for place, _ in rows]
        parameters[wanted[len(names) + number]] = values
    types = ["BIGINT"] * len(names) + ["VARCHAR"] * len(dimensions)
    unnested = ", ".join(f"unnest(${name}::{kind}[]) AS {name}" for name, kind in zip(wanted, types, strict=True))
    equal = " AND ".join(f"{column} = {name}" for column, name in zip(columns, wanted, strict=True))
    statement = f"""
        SELECT place, count(*) FROM {_WITH_MARKS} JOIN (
            SELECT unnest($places::BIGINT[]) AS place, unnest($days::BIGINT[]) AS on_day, unnest($from_ats::BIGINT[]) AS begins_at,
                   unnest($until_ats::BIGINT[]) AS ends_at, {unnested}
        ) AS wanted ON {equal} AND fact_at // {DAY_MS} = on_day AND fact_at >= begins_at AND fact_at < ends_at
        WHERE kind = 'click' AND screening IS NULL AND fact_at >= $first AND fact_at < $last AND {_SHARES[over]}
        GROUP BY place
    """  # noqa: S608 – names are ours, values are bound
    found = dict(reader.execute(statement, parameters).fetchall())
    return [int(found.get(place, 0)) for place in range(len(segments))]


_SPREADS = "SELECT rank, entry_id, currency, micros, covered, shared, active FROM cost_spreads"


def spreads(reader: duckdb.DuckDBPyConnection, entry_ids: Collection[int]) -> list[Spread]:
    """Return the spreads of entries, by rank."""
    rows = reader.execute(f"{_SPREADS} WHERE entry_id = ANY($ids) ORDER BY rank", {"ids": list(entry_ids)}).fetchall()
    return [_spread(row) for row in rows]


def spread_of(reader: duckdb.DuckDBPyConnection, rank: int) -> Spread | None:
    """Return the spread of a rank, if there is one."""
    row = reader.execute(f"{_SPREADS} WHERE rank = $rank", {"rank": rank}).fetchone()
    return _spread(row) if row else None


def _spread(row: tuple[object, ...]) -> Spread:
    names = ("rank", "entry_id", "currency", "micros", "covered", "shared", "active")
    return Spread(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]


def add(writer: duckdb.DuckDBPyConnection, order: SpreadOrder) -> Spread:
    """Give each click of a segment its share: the whole amount in equal parts, the remainder to the first clicks."""
    segment = order.segment
    clicks = count(writer, segment)
    shared = clicks.shared(order.over)
    # With nobody to bear it, it covers nothing: what the clicks cost otherwise is better than nothing.
    covered = clicks.recorded if shared else 0
    if shared:
        condition, parameters = _segment(segment)
        each, rest = divmod(order.micros, shared)
        writer.execute(
            f"""
            INSERT INTO cost_shares
            SELECT $rank, place, click_id, CASE WHEN shares THEN $each + (number <= $rest)::BIGINT ELSE 0 END FROM (
                SELECT click_id, shares, row_number() OVER by_id AS place, sum(shares::BIGINT) OVER by_id AS number
                FROM (SELECT click_id, {_SHARES[order.over]} AS shares FROM {_WITH_MARKS} WHERE {condition})
                WINDOW by_id AS (ORDER BY click_id ROWS UNBOUNDED PRECEDING)
            )
            """,  # noqa: S608 – names are ours, values are bound
            parameters | {"rank": order.rank, "each": each, "rest": rest},
        )
    seen, seen_clean = _clicks_in_span(writer, segment)
    values = {
        "rank": order.rank,
        "entry_id": order.entry_id,
        "currency": order.currency,
        "micros": order.micros,
        "covered": covered,
        "shared": shared,
        "source_id": segment.source_id,
        "campaign_id": segment.campaign_id,
        "from_at": segment.from_at,
        "until_at": segment.until_at,
        "clean_only": order.over is SpreadOver.CLEAN,
        "seen": seen,
        "seen_clean": seen_clean,
    }
    names = ", ".join(values)
    writer.execute(
        f"INSERT INTO cost_spreads ({names}, active) SELECT {', '.join(f'${name}' for name in values)}, 0",
        values,
    )
    return Spread(
        rank=order.rank,
        entry_id=order.entry_id,
        currency=order.currency,
        micros=order.micros,
        covered=covered,
        shared=shared,
        active=0,
    )


# The mark rows of corrections move clicks between clean and marked, so sums are right without a join.
_IN_SPAN = f"""
SELECT coalesce(campaign_id, 0) AS campaign, coalesce(source_id, 0) AS source, fact_at // {QUARTER_MS} AS quarter,
       count(*) FILTER (kind = 'click') AS recorded, coalesce(sum(clicks) FILTER (marks IS NULL), 0) AS clean
FROM facts
WHERE clicks IS NOT NULL AND screening IS DISTINCT FROM 'test' AND fact_at >= $first AND fact_at < $last
GROUP BY ALL
"""  # noqa: S608 – a constant


def _clicks_in_span(reader: duckdb.DuckDBPyConnection, segment: CostSegment) -> tuple[int, int]:
    """Return the numbers of recorded and of clean clicks of a segment without its filters."""
    row = reader.execute(
        f"SELECT coalesce(sum(recorded), 0), coalesce(sum(clean), 0) FROM ({_IN_SPAN}) "  # noqa: S608 – a constant
        "WHERE ($source_id = 0 OR source = $source_id) AND ($campaign_id = 0 OR campaign = $campaign_id)",
        {
            "first": segment.from_at,
            "last": segment.until_at,
            "source_id": segment.source_id,
            "campaign_id": segment.campaign_id,
        },
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


# Fewer clicks than before are those that retention has deleted.
_OUTDATED = f"""
WITH newest AS (
    SELECT DISTINCT ON (entry_id) * FROM cost_spreads ORDER BY entry_id, rank DESC
), candidates AS (
    FROM newest WHERE until_at >= $first_end AND until_at < $last_end
), clicks AS ({_IN_SPAN})
SELECT entry_id FROM candidates LEFT JOIN clicks
ON quarter >= from_at // {QUARTER_MS} AND quarter < until_at // {QUARTER_MS}
   AND (source_id = 0 OR source = source_id) AND (campaign_id = 0 OR campaign = campaign_id)
GROUP BY entry_id, seen, seen_clean, clean_only
HAVING coalesce(sum(recorded), 0) > seen
    OR (clean_only AND coalesce(sum(recorded), 0) = seen AND coalesce(sum(clean), 0) <> seen_clean)
ORDER BY entry_id
"""  # noqa: S608 – constants


def outdated(reader: duckdb.DuckDBPyConnection, until_from: int, until_to: int) -> list[int]:
    """Return the entries whose clicks are no longer those that they were spread over."""
    ends = {"first_end": until_from, "last_end": until_to}
    row = reader.execute(
        "SELECT min(from_at), max(until_at) FROM cost_spreads WHERE until_at >= $first_end AND until_at < $last_end",
        ends,
    ).fetchone()
    if row is None or row[0] is None:
        return []
    rows = reader.execute(_OUTDATED, ends | {"first": row[0], "last": row[1]}).fetchall()
    return [int(entry_id) for (entry_id,) in rows]


def shares(reader: duckdb.DuckDBPyConnection, rank: int) -> dict[str, int]:
    """Return the share of each click, by click id."""
    return dict(
        reader.execute("SELECT click_id, micros FROM cost_shares WHERE rank = $rank", {"rank": rank}).fetchall()
    )


_PARTS = """
SELECT entry, sum(micros), currency FROM (
    SELECT 0 AS entry, cost_micros AS micros, currency FROM facts
    WHERE (click_id = $click_id OR of_click_id = $click_id) AND cost_micros IS NOT NULL
    AND (cost_entry_id IS NULL OR (cost_entry_id = 0 AND beneath_entry_id IS NULL))
    UNION ALL
    SELECT cost_entry_id, entry_micros, currency FROM facts WHERE of_click_id = $click_id AND entry_micros <> 0
    UNION ALL
    SELECT beneath_entry_id, beneath_micros, currency FROM facts WHERE of_click_id = $click_id AND beneath_micros <> 0
) GROUP BY entry, currency HAVING sum(micros) <> 0 ORDER BY entry, currency
"""


def parts(reader: duckdb.DuckDBPyConnection, click_id: str) -> list[CostPart]:
    """Return the parts of a click's cost."""
    rows = reader.execute(_PARTS, {"click_id": click_id}).fetchall()
    return [CostPart(int(entry_id), int(micros), str(currency or "")) for entry_id, micros, currency in rows]
