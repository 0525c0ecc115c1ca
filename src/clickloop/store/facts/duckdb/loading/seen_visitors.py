"""The visitors seen in the last days, in DuckDB: one row per unique click, so that visitors without a cookie are recognised."""

from collections.abc import Collection, Iterable, Sequence

import duckdb

from clickloop.store.facts.judgements import SeenVisitor


def _unnested(parameter: str) -> str:
    """Return rows of the numbers in a parameter, which are separated by commas."""
    return f"unnest(string_split(${parameter}, ','))::BIGINT"


def _text(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


CREATE_SEEN = (
    "CREATE TABLE IF NOT EXISTS seen_visitors (visitor BIGINT NOT NULL, campaign_id BIGINT NOT NULL, "
    "epoch BIGINT NOT NULL, seen_at BIGINT NOT NULL)"
)
COLUMNS_OF_SEEN = ("visitor", "campaign_id", "epoch", "seen_at")
# A join, because the engine compares every row with every value of a list. The range skips row groups of other days.
# Lists are bound as texts: the engine's client takes a third of a microsecond per number of a Python list.
_FIND = f"""
SELECT visitor, campaign_id, epoch, max(seen_at) FROM seen_visitors SEMI JOIN (SELECT {_unnested("visitors")} AS visitor)
USING (visitor) WHERE seen_at BETWEEN $since AND $until GROUP BY visitor, campaign_id, epoch
"""  # noqa: S608 – names are ours
_INSERT = f"""
INSERT INTO seen_visitors
SELECT {_unnested("visitors")}, {_unnested("campaign_ids")}, {_unnested("epochs")}, {_unnested("moments")}
"""


def find_seen(
    reader: duckdb.DuckDBPyConnection, visitors: Collection[int], since: int, until: int
) -> list[SeenVisitor]:
    """Return the latest unique click of each of these visitors, by campaign and epoch, in a period (Unix milliseconds)."""
    rows = reader.execute(_FIND, {"visitors": _text(visitors), "since": since, "until": until}).fetchall()
    return [SeenVisitor(*row) for row in rows]


def insert_seen(writer: duckdb.DuckDBPyConnection, seen: Sequence[SeenVisitor]) -> None:
    """Add rows. Call it in the transaction of the clicks."""
    if seen:
        writer.execute(
            _INSERT,
            {
                "visitors": _text(one.visitor for one in seen),
                "campaign_ids": _text(one.campaign_id for one in seen),
                "epochs": _text(one.epoch for one in seen),
                "moments": _text(one.at for one in seen),
            },
        )


def delete_seen(writer: duckdb.DuckDBPyConnection, before_at: int) -> int:
    """Delete rows from before that moment. Return how many."""
    row = writer.execute("DELETE FROM seen_visitors WHERE seen_at < $before_at", {"before_at": before_at}).fetchone()
    return int(row[0]) if row else 0
