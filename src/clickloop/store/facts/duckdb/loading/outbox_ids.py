"""The ids of the ledger's outbox whose rows are in the facts."""

import duckdb

from clickloop.store.facts.taken_ids import TakenIds


def last_outbox_id(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("SELECT last_id FROM outbox_taken").fetchone()
    return int(row[0]) if row else 0


def taken_ids(connection: duckdb.DuckDBPyConnection) -> TakenIds:
    """Return the outbox ids taken. A file from before the table of skipped ids has taken all up to the last."""
    skipped = connection.execute("SELECT first_id, last_id FROM outbox_skipped ORDER BY first_id").fetchall()
    return TakenIds(last_outbox_id(connection), tuple((int(first), int(last)) for first, last in skipped))


def write_taken(writer: duckdb.DuckDBPyConnection, before: TakenIds, after: TakenIds) -> None:
    writer.execute("UPDATE outbox_taken SET last_id = $last, loads = loads + 1", {"last": after.last})
    if after.skipped == before.skipped:
        return
    writer.execute("DELETE FROM outbox_skipped")
    if after.skipped:
        ends = {"first": [first for first, _ in after.skipped], "last": [last for _, last in after.skipped]}
        writer.execute("INSERT INTO outbox_skipped SELECT unnest($first::BIGINT[]), unnest($last::BIGINT[])", ends)
