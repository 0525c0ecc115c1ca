"""Shares of recent clicks in which a field is unknown, for the editor of flows."""

from collections.abc import Collection

import duckdb

from clickloop.store.facts.duckdb.columns import CLICK_FIELDS, quoted

MAX_CLICKS = 200_000
"""Newest clicks that a share is taken of: as good as all of a busy week's, and read in some 10 ms."""
_TEXTS = frozenset(column.name for column in CLICK_FIELDS if column.sql_type == "VARCHAR")


def unknown_shares(
    reader: duckdb.DuckDBPyConnection, campaign_ids: Collection[int], fields: Collection[str], since_at: int
) -> dict[str, float]:
    """Return, by field, the share of the campaigns' counted clicks since then without a value; none if there were no clicks.

    Fields that are no texts of a click are left out.
    """
    known = sorted(_TEXTS & {*fields})
    if not known or not campaign_ids:
        return {}
    counts = ", ".join(f"count(*) FILTER ({quoted(field)} IS NULL)" for field in known)
    columns = ", ".join(quoted(field) for field in known)
    query = (
        f"SELECT count(*), {counts} FROM (SELECT {columns} FROM facts "  # noqa: S608 – names are ours, values are bound
        "WHERE clicks = 1 AND correction IS NULL AND campaign_id IN (SELECT unnest($campaign_ids)) AND fact_at >= $since_at "
        "ORDER BY click_id DESC LIMIT $most)"
    )
    parameters = {"campaign_ids": sorted(campaign_ids), "since_at": since_at, "most": MAX_CLICKS}
    total, *unknown = reader.execute(query, parameters).fetchone() or (0,)
    return {field: number / total for field, number in zip(known, unknown, strict=True)} if total else {}
