"""The visitors seen in the last days, in DuckDB: one row per unique click, so that visitors without a cookie are recognised."""

from collections.abc import Collection, Sequence

import duckdb

from clickloop.store.facts.judgements import SeenVisitor

CREATE_SEEN = (
    "CREATE TABLE IF NOT EXISTS seen_visitors (visitor BIGINT NOT NULL, campaign_id BIGINT NOT NULL, "
    "epoch BIGINT NOT NULL, seen_at BIGINT NOT NULL)"
)
COLUMNS_OF_SEEN = ("visitor", "campaign_id", "epoch", "seen_at")
# A join, because the engine compares every row with every value of a list. The range skips row groups of other days.
_FIND = """
SELECT visitor, campaign_id, epoch, max(seen_at) FROM seen_visitors SEMI JOIN (SELECT unnest($visitors::BIGINT[]) AS visitor)
USING (visitor) WHERE seen_at BETWEEN $since AND $until GROUP BY visitor, campaign_id, epoch
"""
_INSERT = """
INSERT INTO seen_visitors
SELECT unnest($visitors::BIGINT[]), unnest($campaign_ids::BIGINT[]), unnest($epochs::BIGINT[]), unnest($moments::BIGINT[])
"""


def find_seen(
    reader: duckdb.DuckDBPyConnection, visitors: Collection[int], since: int, until: int
) -> list[SeenVisitor]:
    """Return the latest unique click of each of these visitors, by campaign and epoch, in a period (Unix milliseconds)."""
    rows = reader.execute(_FIND, {"visitors": list(visitors), "since": since, "until": until}).fetchall()
    return [SeenVisitor(*row) for row in rows]


def insert_seen(writer: duckdb.DuckDBPyConnection, seen: Sequence[SeenVisitor]) -> None:
    """Add rows. Call it in the transaction of the clicks."""
    if seen:
        writer.execute(
            _INSERT,
            {
                "visitors": [one.visitor for one in seen],
                "campaign_ids": [one.campaign_id for one in seen],
                "epochs": [one.epoch for one in seen],
                "moments": [one.at for one in seen],
            },
        )


def delete_seen(writer: duckdb.DuckDBPyConnection, before_at: int) -> int:
    """Delete rows from before that moment. Return how many."""
    row = writer.execute("DELETE FROM seen_visitors WHERE seen_at < $before_at", {"before_at": before_at}).fetchone()
    return int(row[0]) if row else 0
