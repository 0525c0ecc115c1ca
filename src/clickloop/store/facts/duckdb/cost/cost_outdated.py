"""Finding the entries whose clicks are no longer those that they were spread over, in DuckDB."""

from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from clickloop.report.cost.segment import QUARTER_MS, CostSegment

# The mark rows of corrections move clicks between clean and marked, so sums are right without a join. The clean clicks are a sum of
# hashes, not a number: as many other clean clicks as before are not the same ones.
_IN_SPAN = f"""
SELECT coalesce(campaign_id, 0) AS campaign, coalesce(source_id, 0) AS source, fact_at // {QUARTER_MS} AS quarter,
       count(*) FILTER (kind = 'click') AS recorded,
       coalesce(sum(clicks * (hash(coalesce(of_click_id, click_id)) % 4294967296)::BIGINT) FILTER (marks IS NULL), 0)::BIGINT AS clean
FROM facts
WHERE clicks IS NOT NULL AND screening IS DISTINCT FROM 'test' AND fact_at >= $first AND fact_at < $last
GROUP BY ALL
"""  # noqa: S608 – a constant
# Many entries have the same owner and span, since a table has a line for each zone.
_OF_SPANS = """
SELECT source_id, campaign_id, from_at, until_at, coalesce(sum(recorded), 0)::BIGINT AS recorded,
       (coalesce(sum(clean), 0) % 9223372036854775807)::BIGINT AS clean
FROM {spans} LEFT JOIN ({clicks}) AS clicks
ON quarter >= from_at // {quarter} AND quarter < until_at // {quarter}
   AND (source_id = 0 OR source = source_id) AND (campaign_id = 0 OR campaign = campaign_id)
GROUP BY source_id, campaign_id, from_at, until_at
"""
_WANTED_SPANS = (
    "(SELECT unnest($source_ids::BIGINT[]) AS source_id, unnest($campaign_ids::BIGINT[]) AS campaign_id, "
    "unnest($from_ats::BIGINT[]) AS from_at, unnest($until_ats::BIGINT[]) AS until_at) AS spans"
)
_OWNER_SPAN = "source_id, campaign_id, from_at, until_at"
# Fewer clicks than before are those that retention has deleted.
_OUTDATED = f"""
WITH newest AS (
    SELECT DISTINCT ON (entry_id) * FROM cost_spreads ORDER BY entry_id, rank DESC
), candidates AS (
    FROM newest WHERE until_at >= $first_end AND until_at < $last_end
), spans AS (
    SELECT DISTINCT {_OWNER_SPAN} FROM candidates
), now AS ({_OF_SPANS.format(spans="spans", clicks=_IN_SPAN, quarter=QUARTER_MS)})
SELECT entry_id FROM candidates JOIN now USING ({_OWNER_SPAN})
WHERE recorded > seen OR (clean_only AND recorded = seen AND clean <> seen_clean)
ORDER BY entry_id
"""  # noqa: S608 – constants


class SeenClicks(NamedTuple):
    """The clicks of a span: the number of recorded ones, and a sum of the clean ones' hashes."""

    recorded: int
    clean: int


def clicks_in_spans(reader: duckdb.DuckDBPyConnection, segments: Sequence[CostSegment]) -> list[SeenClicks]:
    """Return the clicks of each segment's owner and span, without its filters."""
    spans = sorted({(one.source_id, one.campaign_id, one.from_at, one.until_at) for one in segments})
    if not spans:
        return []
    source_ids, campaign_ids, from_ats, until_ats = (list(column) for column in zip(*spans, strict=True))
    rows = reader.execute(
        _OF_SPANS.format(spans=_WANTED_SPANS, clicks=_IN_SPAN, quarter=QUARTER_MS),
        {
            "source_ids": source_ids,
            "campaign_ids": campaign_ids,
            "from_ats": from_ats,
            "until_ats": until_ats,
            "first": min(from_ats),
            "last": max(until_ats),
        },
    ).fetchall()
    found = {tuple(row[:4]): SeenClicks(int(row[4]), int(row[5])) for row in rows}
    return [found[one.source_id, one.campaign_id, one.from_at, one.until_at] for one in segments]


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
