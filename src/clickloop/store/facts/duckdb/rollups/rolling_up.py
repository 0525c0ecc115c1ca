"""Roll-ups: the sums of the facts by quarter-hour and by the set-up that a click met.

Rows are added in the transaction that adds the facts, to ``rollups_recent``; ``merge_recent`` moves those of past quarter-hours to
``rollups_merged``, a row per key. Readers take both: the view ``rollups``. All sums are additive, so that a key may have several rows.

Countries and parameters are in none: nearly every click of a quarter-hour would have a row of its own.
"""

import duckdb

from clickloop.clock import DAY_MS
from clickloop.machine.log import log
from clickloop.report.rolled_up import QUARTER_MS, SET_UP_COLUMNS

MERGE_ROWS = 20_000
"""Rows of ``rollups_recent`` from which they are merged: reading them takes about a millisecond."""

_DAYS_PER_STEP = 3
TEST_CLICK, CLICK, CONVERSION, PAGE_EVENT, COST = range(5)
"""The part of a report that a row belongs to. Test clicks are in none."""

_TEXTS = ("status_key", "counts_as", "currency")
_KEY = ("part", "fact_at", "click_at", *SET_UP_COLUMNS, *_TEXTS)
_PART = (
    f"CASE WHEN clicks IS NOT NULL AND screening = 'test' THEN {TEST_CLICK} WHEN clicks IS NOT NULL THEN {CLICK} "
    f"WHEN landing_views IS NOT NULL THEN {PAGE_EVENT} "
    f"WHEN cost_entry_id IS NOT NULL THEN {COST} ELSE {CONVERSION} END"
)
_SUMS = {
    "rows": "count(*)",
    "recorded": "sum(CASE WHEN clicks IS NOT NULL THEN coalesce(correction, 1) END)",
    "clicks": "sum(clicks)",
    "unique_clicks": 'sum(clicks) FILTER ("unique")',
    "clean_clicks": "sum(clicks) FILTER (marks IS NULL)",
    "landing_visits": "sum(clicks) FILTER (landing_id IS NOT NULL)",
    "offer_visits": "sum(CASE WHEN clicks IS NULL THEN offer_visits WHEN offer_id IS NOT NULL THEN clicks END)",
    "cost_micros": "sum(cost_micros)",
    **{
        name: f"sum({name})"
        for name in (
            *("conversions", "revenue_micros", "pending_micros", "rejected_micros"),
            *("landing_views", "landing_clicks", "events"),
        )
    },
}
_COLUMNS = (*_KEY, *_SUMS)

_FIRST_NEW_ROW = 36_028_797_018_960_000
"""First row id of the rows that a transaction has added and not committed. An engine's habit, which a test watches."""


def _summed(where: str, sign: str = "") -> str:
    """Return the SELECT of the roll-ups of some facts."""
    keys = [
        _PART,
        f"fact_at - fact_at % {QUARTER_MS}",
        f"click_at - click_at % {QUARTER_MS}",
        *SET_UP_COLUMNS,
        f"CASE WHEN {_PART} = {CONVERSION} THEN status_key END",
        f"CASE WHEN {_PART} = {CONVERSION} THEN counts_as END",
        f"CASE WHEN {_PART} <> {PAGE_EVENT} THEN currency END",
    ]
    sums = [f"{sign}({sql})" for sql in _SUMS.values()]
    return (
        f"SELECT {', '.join((*keys, *sums))} FROM facts "  # noqa: S608 – names are ours
        f"WHERE {where} "
        f"GROUP BY {', '.join(str(place) for place in range(1, len(keys) + 1))}"
    )


_INTO = f"({', '.join(_COLUMNS)})"
_MERGED = f"{', '.join((*_KEY, *(f'sum({name})::BIGINT AS {name}' for name in _SUMS)))}"
_ANY_SUM = " OR ".join(f"sum({name}) <> 0" for name in _SUMS)


def create_rollups(database: duckdb.DuckDBPyConnection) -> None:
    """Create the tables, and fill them unless they are complete: an older version may have added facts without them.

    Where that fails, reports read the facts, and the next start tries again.
    """
    try:
        _complete(database)
    except duckdb.Error as error:
        log("roll-ups could not be made: reports read the facts", error=str(error))


def _complete(database: duckdb.DuckDBPyConnection) -> None:
    if _columns(database) != _COLUMNS:
        _create_tables(database)
    facts, rolled_up = _rows(database)
    if facts != rolled_up or not has_rollups(database):
        rebuild_rollups(database)


def _columns(reader: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Return the columns of the roll-ups in the file: none if it has none, others if another version made them."""
    try:
        return tuple(str(column[0]) for column in reader.execute("FROM rollups LIMIT 0").description or ())
    except duckdb.Error:
        return ()


def _rows(reader: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Return the number of facts, and of those in the roll-ups: some milliseconds for ten million."""
    query = "SELECT (SELECT count(*) FROM facts), (SELECT coalesce(sum(rows), 0) FROM rollups)"
    facts, rolled_up = reader.execute(query).fetchone() or (0, 0)
    return int(facts), int(rolled_up)


def _create_tables(database: duckdb.DuckDBPyConnection) -> None:
    types = {"part": "UTINYINT", **dict.fromkeys(_TEXTS, "VARCHAR")}
    columns = ", ".join(f"{name} {types.get(name, 'BIGINT')}" for name in _COLUMNS)
    database.execute("BEGIN")
    for table in ("rollups_recent", "rollups_merged"):
        database.execute(f"CREATE OR REPLACE TABLE {table} ({columns})")
    database.execute("CREATE OR REPLACE TABLE rollups_complete (complete BOOLEAN NOT NULL)")
    database.execute("CREATE OR REPLACE VIEW rollups AS FROM rollups_merged UNION ALL FROM rollups_recent")
    database.execute("COMMIT")


def rebuild_rollups(writer: duckdb.DuckDBPyConnection) -> None:
    """Make all roll-ups anew, in steps that are committed, so that memory stays small. Without them reports read the facts."""
    writer.execute("DELETE FROM rollups_complete")
    writer.execute("DELETE FROM rollups_recent")
    writer.execute("DELETE FROM rollups_merged")
    first, last = writer.execute("SELECT min(fact_at), max(fact_at) FROM facts").fetchone() or (None, None)
    if first is not None:
        for day in range(int(first) // DAY_MS, int(last) // DAY_MS + 1, _DAYS_PER_STEP):
            rebuild_rows(writer, day * DAY_MS, (day + _DAYS_PER_STEP) * DAY_MS)
            writer.execute("CHECKPOINT")
    writer.execute("INSERT INTO rollups_complete VALUES (true)")


def roll_up_new_rows(writer: duckdb.DuckDBPyConnection) -> None:
    """Add the roll-ups of the facts that a transaction has added, before it commits."""
    if writer.execute(f"SELECT 1 FROM facts WHERE {_NEW} LIMIT 1").fetchone():  # noqa: S608 – a number of ours
        writer.execute(_ROLL_UP_NEW)


_NEW = f"rowid >= {_FIRST_NEW_ROW}"
_ROLL_UP_NEW = f"INSERT INTO rollups_recent {_INTO} {_summed(_NEW)}"


def delete_facts(writer: duckdb.DuckDBPyConnection, where: str) -> int:
    """Delete facts, and take them out of the roll-ups. Return their number. ``where``: a condition on committed facts."""
    writer.execute(f"INSERT INTO rollups_recent {_INTO} {_summed(where, '-')}")
    deleted = writer.execute(f"DELETE FROM facts WHERE {where}").fetchone()  # noqa: S608 – the condition is ours
    return int(deleted[0]) if deleted else 0


def merge_recent(writer: duckdb.DuckDBPyConnection) -> None:
    """Merge the recent rows per key within a transaction, and move those of past quarter-hours."""
    _merge(writer, "rollups_recent", "true")
    now = _newest(writer)
    writer.execute(f"INSERT INTO rollups_merged FROM merging WHERE fact_at < {now}")
    writer.execute(f"INSERT INTO rollups_recent FROM merging WHERE fact_at >= {now}")
    writer.execute("DROP TABLE merging")


def merge_before(writer: duckdb.DuckDBPyConnection, until_at: int) -> None:
    """Merge the rows of clicks before a moment (Unix milliseconds) within a transaction, so that what was taken out leaves nothing."""
    for table in ("rollups_recent", "rollups_merged"):
        _merge(writer, table, f"click_at < {until_at}", into="rollups_left")
    # Both tables may have rows of a key.
    writer.execute(
        f"INSERT INTO rollups_merged {_INTO} SELECT {_MERGED} FROM rollups_left GROUP BY {', '.join(_KEY)} HAVING {_ANY_SUM}"  # noqa: S608
    )
    writer.execute("DROP TABLE rollups_left")


def _merge(writer: duckdb.DuckDBPyConnection, table: str, where: str, into: str = "merging") -> None:
    """Move rows of a table, merged per key, into a temporary one; those that add up to nothing go."""
    grouped = f"SELECT {_MERGED} FROM {table} WHERE {where} GROUP BY {', '.join(_KEY)} HAVING {_ANY_SUM}"  # noqa: S608 – names are ours
    writer.execute(f"CREATE TEMP TABLE IF NOT EXISTS {into} AS FROM {table} LIMIT 0")
    writer.execute(f"INSERT INTO {into} {grouped}")
    writer.execute(f"DELETE FROM {table} WHERE {where}")  # noqa: S608 – names are ours


def _newest(writer: duckdb.DuckDBPyConnection) -> int:
    """Return the newest quarter-hour that rows are being merged of."""
    row = writer.execute("SELECT max(fact_at) FROM merging").fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def recent_rows(writer: duckdb.DuckDBPyConnection) -> int:
    """Return the number of rows that wait to be merged."""
    row = writer.execute("SELECT count(*) FROM rollups_recent").fetchone()
    return int(row[0]) if row else 0


def has_rollups(reader: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the roll-ups are complete: they are not while they are made anew."""
    return reader.execute("FROM rollups_complete").fetchone() is not None


def rebuild_rows(writer: duckdb.DuckDBPyConnection, from_at: int, until_at: int) -> None:
    """Make the rows of a period anew within a transaction. Both moments begin a quarter-hour, in Unix milliseconds."""
    where = f"fact_at >= {from_at} AND fact_at < {until_at}"
    for table in ("rollups_recent", "rollups_merged"):
        writer.execute(f"DELETE FROM {table} WHERE {where}")  # noqa: S608 – numbers of ours
    writer.execute(f"INSERT INTO rollups_merged {_INTO} {_summed(where)}")


def count_differences(reader: duckdb.DuckDBPyConnection, from_at: int, until_at: int) -> int:
    """Return the number of keys of a period whose sums differ from the facts. Both moments begin a quarter-hour."""
    where = f"fact_at >= {from_at} AND fact_at < {until_at}"
    sums = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in _SUMS)
    rolled_up = (
        f"SELECT {', '.join(_KEY)}, {sums} FROM rollups WHERE {where} GROUP BY {', '.join(_KEY)} HAVING {_ANY_SUM}"  # noqa: S608
    )
    facts = f"SELECT {', '.join(_KEY)}, {sums} FROM ({_summed(where)}) AS summed({', '.join(_COLUMNS)}) GROUP BY {', '.join(_KEY)}"  # noqa: S608
    difference = f"(({facts}) EXCEPT ({rolled_up})) UNION (({rolled_up}) EXCEPT ({facts}))"
    query = f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(_KEY)} FROM ({difference}))"  # noqa: S608 – names are ours
    row = reader.execute(query).fetchone()
    return int(row[0]) if row else 0
