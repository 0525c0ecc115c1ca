"""Opening the DuckDB file of the facts: creating and upgrading it, and explaining what is wrong with a damaged one."""

import errno
from pathlib import Path

import duckdb

from clickloop.store.directory import sync_directory
from clickloop.store.facts.duckdb.columns import ALL_COLUMNS, quoted
from clickloop.store.facts.duckdb.loading.seen_visitors import COLUMNS_OF_SEEN, CREATE_SEEN
from clickloop.store.facts.duckdb.rollups.rolling_up import create_rollups
from clickloop.store.facts.facts import FactsDamagedError, FactsError, FactsInUseError
from clickloop.store.file_fault import RESTORE_BACKUP, fault_sentence, file_fault

_LOG_LIMIT = "256MB"
"""Log size at which the engine makes a checkpoint by itself. Ours come earlier: see ``connections._CHECKPOINT_ROWS``."""

_COLUMNS = {
    "facts": {column.name for column in ALL_COLUMNS},
    "loaded_segments": {"segment"},
    "outbox_taken": {"last_id", "loads", "refilled_to"},
    "outbox_skipped": {"first_id", "last_id"},
    "installation": {"id"},
    "seen_visitors": set(COLUMNS_OF_SEEN),
    "waiting_page_events": {"event_id", "click_id", "first_look_at", "line"},
    "corrected_clicks": {"click_id", "marks"},
    "mark_batches": {"job_id", "batch", "last_click_id", "judged", "changed"},
    "mark_changes": {"job_id", "batch", "click_id", "marks_before", "marks_after", "corrected_at"},
    "late_marks": {"judged_to"},
    "cost_shares": {"rank", "place", "click_id", "micros"},
    "cost_spreads": {
        *(
            "rank",
            "entry_id",
            "currency",
            "micros",
            "covered",
            "shared",
            "active",
            "source_id",
            "campaign_id",
            "from_at",
        ),
        *("until_at", "clean_only", "seen", "seen_clean"),
    },
}
_SYSTEM_FAULTS = {
    "no space left": errno.ENOSPC,
    "read-only file system": errno.EROFS,
    "permission denied": errno.EACCES,
    "too many open files": errno.EMFILE,
    "input/output error": errno.EIO,
}
"""System errors that the engine quotes in its messages; none of them means that the file is damaged."""


MAX_TEMPORARY = "8GB"
"""Maximum size of what queries set aside on disk."""


def open_database(path: Path, memory_limit_mb: int, threads: int) -> duckdb.DuckDBPyConnection:
    """Open or create the file with all its tables and columns. Raise FactsInUseError, FactsDamagedError or FactsError."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_limit_mb}MB",
        "threads": threads,
        # What exceeds the memory is set aside on the disk that the journal is on, too, which must not run full.
        "max_temp_directory_size": MAX_TEMPORARY,
        # Saves memory in loads; queries that need an order specify it.
        "preserve_insertion_order": False,
        "checkpoint_threshold": _LOG_LIMIT,
        # Checkpoints then don't rewrite old row groups, which would block loading.
        "max_vacuum_tasks": 0,
        # Each segment is read once: caching it would take memory from reports.
        "enable_external_file_cache": False,
        # The engine must not download or load extensions by itself.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    # The engine parses what follows a question mark as options.
    if "?" in str(path):
        raise FactsError(
            f"DuckDB cannot open a database at {path}: choose a folder without a question mark in its path"
        )
    for name in (path, path.with_name(path.name + ".wal")):
        if fault := file_fault(name):
            raise FactsError(f"the facts cannot be opened. {fault}")
    try:
        if not path.exists():
            _create_file(path)
        database = duckdb.connect(str(path), config=config)
        _refuse_truncated(path, database)
        _create_tables(database)
        # On a connection that is closed: a result that is not read to its end keeps a transaction open, and no checkpoint is made.
        with database.cursor() as creating:
            create_rollups(creating)
    except duckdb.Error as error:
        raise _opening_error(path, error) from error
    except OSError as error:
        raise FactsError(f"the facts cannot be opened. {fault_sentence(error, path)}") from error
    return database


def _create_tables(database: duckdb.DuckDBPyConnection) -> None:
    """Create missing tables, and add the columns that a file of an older version lacks."""
    known = {table: _known_columns(database, table) for table in _COLUMNS}
    if all(known[table] >= columns for table, columns in _COLUMNS.items()):
        return
    columns = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in ALL_COLUMNS)
    # One transaction: a process killed here leaves no half of the tables behind.
    database.execute("BEGIN")
    database.execute(f"CREATE TABLE IF NOT EXISTS facts ({columns})")
    for column in ALL_COLUMNS if known["facts"] else ():
        if column.name not in known["facts"]:
            database.execute(f"ALTER TABLE facts ADD COLUMN {quoted(column.name)} {column.sql_type}")
    database.execute("CREATE TABLE IF NOT EXISTS loaded_segments (segment VARCHAR NOT NULL)")
    database.execute("CREATE TABLE IF NOT EXISTS outbox_taken (last_id BIGINT NOT NULL)")
    database.execute("ALTER TABLE outbox_taken ADD COLUMN IF NOT EXISTS loads BIGINT DEFAULT 0")
    database.execute("INSERT INTO outbox_taken (last_id, loads) SELECT 0, 0 WHERE NOT EXISTS (FROM outbox_taken)")
    database.execute("CREATE TABLE IF NOT EXISTS outbox_skipped (first_id BIGINT NOT NULL, last_id BIGINT NOT NULL)")
    database.execute("CREATE TABLE IF NOT EXISTS installation (id VARCHAR NOT NULL)")
    database.execute(
        "CREATE TABLE IF NOT EXISTS waiting_page_events (event_id VARCHAR NOT NULL, click_id VARCHAR NOT NULL, "
        "first_look_at BIGINT NOT NULL, line VARCHAR NOT NULL)"
    )
    _create_mark_tables(database)
    _create_cost_tables(database)
    database.execute(CREATE_SEEN)
    database.execute("COMMIT")
    # New columns take 256 KiB each for every 122,880 rows until they are written: more than the limit for ten million rows.
    database.execute("CHECKPOINT")


def _create_mark_tables(database: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of corrected marks."""
    database.execute("ALTER TABLE outbox_taken ADD COLUMN IF NOT EXISTS refilled_to BIGINT DEFAULT 0")
    # An empty text: corrected to no marks.
    database.execute("CREATE TABLE IF NOT EXISTS corrected_clicks (click_id VARCHAR NOT NULL, marks VARCHAR NOT NULL)")
    database.execute(
        "CREATE TABLE IF NOT EXISTS mark_batches (job_id VARCHAR NOT NULL, batch BIGINT NOT NULL, "
        "last_click_id VARCHAR NOT NULL, judged BIGINT NOT NULL, changed BIGINT NOT NULL)"
    )
    database.execute(
        "CREATE TABLE IF NOT EXISTS mark_changes (job_id VARCHAR NOT NULL, batch BIGINT NOT NULL, click_id VARCHAR NOT NULL, "
        "marks_before VARCHAR NOT NULL, marks_after VARCHAR NOT NULL, corrected_at BIGINT NOT NULL)"
    )
    database.execute("CREATE TABLE IF NOT EXISTS late_marks (judged_to BIGINT NOT NULL)")
    # The marks in a file of an older version stay as they are until a rerun.
    database.execute(
        "INSERT INTO late_marks SELECT coalesce(max(fact_at), 0) FROM facts HAVING NOT EXISTS (FROM late_marks)"
    )


def _create_cost_tables(database: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of entered cost: each click's shares, in the order in which they take effect, and what was spread."""
    database.execute(
        "CREATE TABLE IF NOT EXISTS cost_shares (rank BIGINT NOT NULL, place BIGINT NOT NULL, click_id VARCHAR NOT NULL, "
        "micros BIGINT NOT NULL)"
    )
    database.execute(
        "CREATE TABLE IF NOT EXISTS cost_spreads (rank BIGINT NOT NULL, entry_id BIGINT NOT NULL, currency VARCHAR NOT NULL, "
        "micros BIGINT NOT NULL, covered BIGINT NOT NULL, shared BIGINT NOT NULL, active BIGINT NOT NULL, "
        "source_id BIGINT NOT NULL, campaign_id BIGINT NOT NULL, from_at BIGINT NOT NULL, until_at BIGINT NOT NULL, "
        "clean_only BOOLEAN NOT NULL, seen BIGINT NOT NULL, seen_clean BIGINT NOT NULL)"
    )


def _known_columns(database: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """Return the columns of a table, or none if it does not exist."""
    try:
        # Not duckdb_columns(), which takes ten times as long: the engine then builds all its internal views.
        return {column[0] for column in database.execute(f"FROM {table} LIMIT 0").description or ()}
    except duckdb.CatalogException:
        return set()


def _opening_error(path: Path, error: duckdb.Error) -> FactsError:
    """Return the error for a failure to open, with a remedy."""
    # By the message: the engine has a single exception class for all file errors.
    if "could not set lock" in str(error).lower():
        return FactsInUseError(f"{path} is open in another process: stop it first ({error})")
    for words, number in _SYSTEM_FAULTS.items():
        if words in str(error).lower():
            return FactsError(f"the facts cannot be opened. {fault_sentence(OSError(number, ''), path)}")
    if isinstance(
        error, duckdb.IOException | duckdb.SerializationException | duckdb.InternalException | duckdb.FatalException
    ):
        return FactsDamagedError(
            f"{path} is not an intact DuckDB database ({error}): {RESTORE_BACKUP}; without a backup, run: clickloop serve --new, "
            "which moves file and log aside and rebuilds the facts from the ledger and the journal segments that are still there."
        )
    return FactsError(f"{path} could not be opened: {error}")


def _create_file(path: Path) -> None:
    """Create an empty database atomically: the engine writes its first blocks one by one, and some of them are not a database."""
    new = path.with_name(path.name + ".new")
    log = path.with_name(path.name + ".wal")
    if log.exists():
        raise FactsDamagedError(
            f"{path} is missing, but its log {log.name} is there: {RESTORE_BACKUP}, or move the log aside"
        )
    # Leftovers of a start that was killed here: the engine would continue with them.
    for leftover in (new, new.with_name(new.name + ".wal")):
        leftover.unlink(missing_ok=True)
    duckdb.connect(str(new)).close()
    new.rename(path)
    sync_directory(path.parent)


def _refuse_truncated(path: Path, database: duckdb.DuckDBPyConnection) -> None:
    """Raise an error if the end of the file is missing, which the engine itself notices only when it reads there."""
    row = database.execute("SELECT total_blocks, used_blocks, block_size FROM pragma_database_size()").fetchone()
    total, used, block_size = row or (0, 0, 0)
    found = path.stat().st_size
    if found >= total * block_size:
        return
    # The count may include free blocks that the engine has already cut off; only used blocks have to be there.
    if used < total:
        total = max(used, _last_block(database) + 1)
    if found < total * block_size:
        raise duckdb.IOException(f"it has {found} bytes where at least {total * block_size} are expected")


def _last_block(database: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the last block with table rows, or -1."""
    last = -1
    for (table,) in database.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        row = database.execute("SELECT max(block_id) FROM pragma_storage_info($table)", {"table": table}).fetchone()
        last = max(last, row[0] if row and row[0] is not None else -1)
    return last
