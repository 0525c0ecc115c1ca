"""Opening the DuckDB file of the facts: making it, adding what an older one lacks, and saying what is wrong with a broken one."""

import errno
from pathlib import Path

import duckdb

from clickloop.store.directory import sync_directory
from clickloop.store.facts.duckdb.columns import ALL_COLUMNS, quoted
from clickloop.store.facts.facts import FactsDamagedError, FactsError, FactsInUseError
from clickloop.store.file_fault import RESTORE_BACKUP, fault_sentence, file_fault

_LOG_LIMIT = "256MB"
"""Size of the write-ahead log at which the engine brings it into the file by itself. We do so before: see ``duckdb._CHECKPOINT_ROWS``."""

_COLUMNS = {
    "facts": {column.name for column in ALL_COLUMNS},
    "loaded_segments": {"segment"},
    "outbox_taken": {"last_id", "loads"},
    "outbox_skipped": {"first_id", "last_id"},
    "installation": {"id"},
}
_SYSTEM_FAULTS = {
    "no space left": errno.ENOSPC,
    "read-only file system": errno.EROFS,
    "permission denied": errno.EACCES,
    "too many open files": errno.EMFILE,
    "input/output error": errno.EIO,
}
"""What the engine quotes of the system in its errors: none of it says that the file is damaged."""


def open_database(path: Path, memory_limit_mb: int, threads: int) -> duckdb.DuckDBPyConnection:
    """Opens or creates the file with all its tables and columns. Raises ``FactsInUseError``, ``FactsDamagedError``, or ``FactsError``."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_limit_mb}MB",
        "threads": threads,
        # Loads need less memory so; queries that need an order name it.
        "preserve_insertion_order": False,
        "checkpoint_threshold": _LOG_LIMIT,
        # A checkpoint then leaves old row groups alone: rewriting them would hold up loading.
        "max_vacuum_tasks": 0,
        # Each segment is read once: remembering it takes memory from reports.
        "enable_external_file_cache": False,
        # The engine must fetch and load nothing from the network by itself.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    # The engine takes what follows a question mark for options.
    if "?" in str(path):
        raise FactsError(
            f"DuckDB cannot keep a database at {path}: choose a folder without a question mark in its path"
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
    except duckdb.Error as error:
        raise _opening_error(path, error) from error
    except OSError as error:
        raise FactsError(f"the facts cannot be opened. {fault_sentence(error, path)}") from error
    return database


def _create_tables(database: duckdb.DuckDBPyConnection) -> None:
    """The tables of an empty file, and the columns that a file of an older version lacks."""
    known = {table: _known_columns(database, table) for table in _COLUMNS}
    if all(known[table] >= columns for table, columns in _COLUMNS.items()):
        return
    columns = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in ALL_COLUMNS)
    # One transaction: killed within it, the next start finds no half of the tables.
    database.execute("BEGIN")
    database.execute(f"CREATE TABLE IF NOT EXISTS facts ({columns})")
    for column in ALL_COLUMNS if known["facts"] else ():
        if column.name not in known["facts"]:
            database.execute(f"ALTER TABLE facts ADD COLUMN {quoted(column.name)} {column.sql_type}")
    database.execute("CREATE TABLE IF NOT EXISTS loaded_segments (segment VARCHAR NOT NULL)")
    database.execute("CREATE TABLE IF NOT EXISTS outbox_taken (last_id BIGINT NOT NULL)")
    database.execute("ALTER TABLE outbox_taken ADD COLUMN IF NOT EXISTS loads BIGINT DEFAULT 0")
    database.execute("INSERT INTO outbox_taken SELECT 0, 0 WHERE NOT EXISTS (FROM outbox_taken)")
    database.execute("CREATE TABLE IF NOT EXISTS outbox_skipped (first_id BIGINT NOT NULL, last_id BIGINT NOT NULL)")
    database.execute("CREATE TABLE IF NOT EXISTS installation (id VARCHAR NOT NULL)")
    database.execute("COMMIT")


def _known_columns(database: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """Return the columns of a table, none if it is not there. Its view duckdb_columns() would take ten times as long: the engine
    then makes every view that it has by itself."""
    try:
        return {column[0] for column in database.execute(f"FROM {table} LIMIT 0").description or ()}
    # There is no such table yet.
    except duckdb.CatalogException:
        return set()


def _opening_error(path: Path, error: duckdb.Error) -> FactsError:
    """What is wrong and what to do."""
    # By its words: the engine has one error class for all faults of files.
    if "could not set lock" in str(error).lower():
        return FactsInUseError(f"{path} is open in another process: stop it first ({error})")
    for words, number in _SYSTEM_FAULTS.items():
        if words in str(error).lower():
            return FactsError(f"the facts cannot be opened. {fault_sentence(OSError(number, ''), path)}")
    if isinstance(
        error, duckdb.IOException | duckdb.SerializationException | duckdb.InternalException | duckdb.FatalException
    ):
        return FactsDamagedError(
            f"{path} is no whole DuckDB database ({error}): {RESTORE_BACKUP}; without one, run: clickloop "
            "serve --new, which puts both aside and fills empty facts from the ledger and the journal segments that are still there."
        )
    return FactsError(f"{path} could not be opened: {error}")


def _create_file(path: Path) -> None:
    """An empty database under its name all at once: the engine writes its first blocks one by one, and a part of them is no database."""
    newborn = path.with_name(path.name + ".new")
    log = path.with_name(path.name + ".wal")
    if log.exists():
        raise FactsDamagedError(
            f"{path} is missing, but not its log {log.name}: {RESTORE_BACKUP}, or put the log aside"
        )
    # Of a start that was killed here: the engine would go on with it.
    for leftover in (newborn, newborn.with_name(newborn.name + ".wal")):
        leftover.unlink(missing_ok=True)
    duckdb.connect(str(newborn)).close()
    newborn.rename(path)
    sync_directory(path.parent)


def _refuse_truncated(path: Path, database: duckdb.DuckDBPyConnection) -> None:
    """The engine notices a missing end only when it reads it; its own count of blocks tells at once."""
    row = database.execute("SELECT total_blocks, used_blocks, block_size FROM pragma_database_size()").fetchone()
    total, used, block_size = row or (0, 0, 0)
    found = path.stat().st_size
    if found >= total * block_size:
        return
    # The engine counts free blocks at the end that it has already cut off: then only what is in use has to be there.
    if used < total:
        total = max(used, _last_block(database) + 1)
    if found < total * block_size:
        raise duckdb.IOException(f"it has {found} bytes where at least {total * block_size} are expected")


def _last_block(database: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the last block that a table's rows are in; -1: none."""
    last = -1
    for (table,) in database.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        row = database.execute("SELECT max(block_id) FROM pragma_storage_info($table)", {"table": table}).fetchone()
        last = max(last, row[0] if row and row[0] is not None else -1)
    return last
