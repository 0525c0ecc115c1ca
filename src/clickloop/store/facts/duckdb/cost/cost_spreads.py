"""Reading segments and spreads of entered cost in DuckDB, and giving each click its share."""

from collections.abc import Collection

import duckdb

from clickloop.report.cost.segment import (
    QUARTER_MS,
    ClickShare,
    CostPart,
    CostSegment,
    SegmentClicks,
    Spread,
    SpreadOrder,
    SpreadOver,
)
from clickloop.store.facts.duckdb.cost.cost_outdated import clicks_in_spans

_CLEAN = "CASE WHEN corrected_id IS NULL THEN facts.marks IS NULL ELSE corrected_marks = '' END"
"""True if a click has no marks now."""
SHARES = {
    SpreadOver.CLICKS: "clicks = 1",
    SpreadOver.UNIQUE: 'clicks = 1 AND coalesce("unique", false)',
    SpreadOver.CLEAN: f"clicks = 1 AND {_CLEAN}",
}
WITH_MARKS = (
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
    sums = ", ".join(f"count(*) FILTER ({SHARES[over]})" for over in SpreadOver)
    row = reader.execute(f"SELECT count(*), {sums} FROM {WITH_MARKS} WHERE {condition}", parameters).fetchone()  # noqa: S608 – names are ours, values are bound
    recorded, clicks, unique, clean = row or (0, 0, 0, 0)
    return SegmentClicks(recorded=int(recorded), clicks=int(clicks), unique=int(unique), clean=int(clean))


def quarters(reader: duckdb.DuckDBPyConnection, segment: CostSegment) -> dict[int, int]:
    """Return the number of counted clicks by quarter-hour."""
    condition, parameters = _segment(segment)
    statement = f"SELECT fact_at // {QUARTER_MS} * {QUARTER_MS}, count(*) FROM facts WHERE clicks = 1 AND {condition} GROUP BY ALL"  # noqa: S608
    return {int(begins_at): int(clicks) for begins_at, clicks in reader.execute(statement, parameters).fetchall()}


_SPREADS = "SELECT rank, entry_id, currency, micros, covered, shared, active FROM cost_spreads"


def spreads(reader: duckdb.DuckDBPyConnection, entry_ids: Collection[int]) -> list[Spread]:
    """Return the spreads of entries, by rank."""
    rows = reader.execute(f"{_SPREADS} WHERE entry_id = ANY($ids) ORDER BY rank", {"ids": list(entry_ids)}).fetchall()
    return [_spread(row) for row in rows]


def spreads_of(reader: duckdb.DuckDBPyConnection, ranks: Collection[int]) -> list[Spread]:
    """Return the spreads of these ranks that exist."""
    rows = reader.execute(f"{_SPREADS} WHERE rank = ANY($ranks::BIGINT[]) ORDER BY rank", {"ranks": list(ranks)})
    return [_spread(row) for row in rows.fetchall()]


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
                FROM (SELECT click_id, {SHARES[order.over]} AS shares FROM {WITH_MARKS} WHERE {condition})
                WINDOW by_id AS (ORDER BY click_id ROWS UNBOUNDED PRECEDING)
            )
            """,  # noqa: S608 – names are ours, values are bound
            parameters | {"rank": order.rank, "each": each, "rest": rest},
        )
    (seen,) = clicks_in_spans(writer, [segment])
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
        "seen": seen.recorded,
        "seen_clean": seen.clean,
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


_SHARES_OF = """
WITH active AS (
    SELECT entry_id, max(share.rank) AS rank, arg_max(share.micros, share.rank)::BIGINT AS micros
    FROM cost_shares AS share JOIN cost_spreads AS spread USING (rank)
    WHERE click_id = $click_id AND place <= active GROUP BY entry_id
)
SELECT entry_id, micros, rank = (SELECT max(rank) FROM active) AS counts FROM active
UNION ALL
SELECT DISTINCT cost_entry_id, NULL, false FROM facts
WHERE of_click_id = $click_id AND cost_entry_id > 0 AND cost_entry_id NOT IN (SELECT entry_id FROM active)
ORDER BY entry_id
"""


def shares_of(reader: duckdb.DuckDBPyConnection, click_id: str) -> list[ClickShare]:
    """Return the entries that a click's cost came from, or comes from."""
    rows = reader.execute(_SHARES_OF, {"click_id": click_id}).fetchall()
    return [ClickShare(entry_id=entry_id, micros=micros, counts=bool(counts)) for entry_id, micros, counts in rows]
