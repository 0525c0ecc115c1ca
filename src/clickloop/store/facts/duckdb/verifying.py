"""Reading every block of the facts, each column of each table to its end, so that the engine verifies every checksum."""

import contextlib
import time
from collections.abc import Callable

import duckdb
import msgspec

from clickloop.store.facts.duckdb.columns import quoted
from clickloop.store.facts.duckdb.loading.page_events import count_unknown
from clickloop.store.facts.facts import UnreadableRange, Verification

ROWS_PER_GROUP = 122_880
"""Size of DuckDB's row groups. Unreadable rows are reported per group, since a column's block never spans two groups."""
MAX_RANGES = 20
"""Maximum number of ranges reported per column; a wholly unreadable column of a large table has thousands."""


def verify(
    reader: duckdb.DuckDBPyConnection,
    first_column: int = 0,
    seconds: float = float("inf"),
    monotonic: Callable[[], float] = time.monotonic,
) -> Verification:
    """Read columns from number ``first_column`` on, at least one, until all are read or the time is up.

    Blocks in the engine's memory are not read from disk again; only a stopped server's file is read in full.
    """
    give_up = monotonic() + seconds
    unknown = _unknown_page_events(reader) if first_column == 0 else 0
    columns = reader.execute(
        "SELECT table_name, column_name FROM duckdb_columns() SEMI JOIN duckdb_tables() USING (table_oid) "
        "WHERE NOT internal ORDER BY table_oid, column_index"
    ).fetchall()
    counts: dict[str, int] = {}
    found: list[UnreadableRange] = []
    for number, (table, column) in enumerate(columns[first_column:], first_column):
        if number > first_column and monotonic() >= give_up:
            return Verification(
                columns=number - first_column,
                rows=sum(counts.values()),
                unreadable=tuple(found),
                unknown_page_events=unknown,
                next_column=number,
            )
        if table not in counts:
            counts[table] = _count(reader, table)
        found += _unreadable(reader, table, column, counts[table])
    return Verification(
        columns=max(0, len(columns) - first_column),
        rows=sum(counts.values()),
        unreadable=tuple(found),
        unknown_page_events=unknown,
    )


def _unknown_page_events(reader: duckdb.DuckDBPyConnection) -> int:
    # Unreadable blocks are found and reported column by column.
    with contextlib.suppress(duckdb.Error):
        return count_unknown(reader)
    return 0


def _count(reader: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return the number of row ids that a table has had; ids of deleted rows are not reused."""
    row = reader.execute(f"SELECT coalesce(max(rowid) + 1, 0) FROM {quoted(table)}").fetchone()  # noqa: S608 – names are ours
    return int(row[0]) if row else 0


def _unreadable(reader: duckdb.DuckDBPyConnection, table: str, column: str, rows: int) -> list[UnreadableRange]:
    if _fault(reader, table, column, 0, rows) is None:
        return []
    found: list[UnreadableRange] = []
    for first in range(0, rows, ROWS_PER_GROUP):
        last = min(first + ROWS_PER_GROUP, rows) - 1
        why = _fault(reader, table, column, first, last)
        if why is None:
            continue
        if found and found[-1].last_row == first - 1:
            found[-1] = msgspec.structs.replace(found[-1], last_row=last)
        elif len(found) < MAX_RANGES:
            found.append(UnreadableRange(table=table, column=column, first_row=first, last_row=last, why=why))
    return found


def _fault(reader: duckdb.DuckDBPyConnection, table: str, column: str, first: int, last: int) -> str | None:
    """Return why rows of a column cannot be read, or None if they can."""
    # A hash over the values forces the engine to read every block; an aggregate like max() could be answered from statistics.
    query = f"SELECT bit_xor(hash({quoted(column)})) FROM {quoted(table)} WHERE rowid BETWEEN $first AND $last"  # noqa: S608
    try:
        reader.execute(query, {"first": first, "last": last}).fetchone()
    except duckdb.Error as error:
        return str(error).partition("\n")[0][:300]
    return None
