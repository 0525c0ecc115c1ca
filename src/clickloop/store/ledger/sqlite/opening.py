"""How SQLite is opened: transactions that begin when we say so, a write-ahead log, every commit synced."""

import errno
import sqlite3
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import PoolProxiedConnection

from clickloop.store.file_fault import RESTORE_BACKUP, fault_sentence

# A write of another process takes less, a migration aside.
BUSY_TIMEOUT_MS = 10_000
WRITES = "clickloop_writes"
"""The execution option of transactions that write: they take the writer's lock as they begin."""


class OpeningFault(str):
    """Why a database cannot be opened, and what to do."""

    __slots__ = ()


class DamagedFile(OpeningFault):
    """The file is no whole SQLite database."""

    __slots__ = ()


def sqlite_engine(url: str) -> Engine:
    """Return the engine of a database file; nothing is opened yet."""
    # Hidden: errors go into the log and into alarms, and parameters are what visitors and networks sent, tokens among it.
    connection = {"timeout": BUSY_TIMEOUT_MS / 1000}
    # A connection for each thread that may ask at once: one that finds none waits 30 s and fails.
    engine = create_engine(url, pool_size=8, max_overflow=24, connect_args=connection, hide_parameters=True)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def opening_fault(url: str, error: DatabaseError) -> OpeningFault:
    """Return what is wrong with a database that cannot be opened, by cause, and what to do."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest tells variants of the same
    path = url.removeprefix("sqlite:///")
    if code == sqlite3.SQLITE_NOTADB:
        return DamagedFile(
            f"the ledger {path} is no SQLite database: another file was put in its place, or its first bytes are damaged. Put the "
            f"right one back, or {RESTORE_BACKUP}"
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedFile(f"the ledger {path} is damaged ({error.orig}): keep a copy of it, and {RESTORE_BACKUP}")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return OpeningFault(
            f"the ledger {path} has been locked by another program for {BUSY_TIMEOUT_MS // 1000} s: end what has it open (a "
            "database shell, a backup tool). Nothing is damaged"
        )
    causes = {
        sqlite3.SQLITE_FULL: errno.ENOSPC,
        sqlite3.SQLITE_READONLY: errno.EACCES,
        sqlite3.SQLITE_PERM: errno.EACCES,
        sqlite3.SQLITE_IOERR: errno.EIO,
    }
    if code in causes:
        return OpeningFault(f"the ledger cannot be opened. {fault_sentence(OSError(causes[code], ''), Path(path))}")
    return OpeningFault(
        f"the ledger {url} cannot be opened: {error.orig}. Expected one of Clickloop that this user may write: check the path and its "
        f"rights, or {RESTORE_BACKUP}."
    )


def _set_up(connection: sqlite3.Connection, _record: PoolProxiedConnection) -> None:
    """Leaves transactions to us (the driver would begin them late) and sets what SQLite keeps per connection."""
    # The driver would send BEGIN only before the first write: a read before it would be outside.
    connection.isolation_level = None
    # Other processes write as well: commands, and a server that is ending.
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _write_ahead(connection)
    # In WAL mode NORMAL may lose the last commits in a power cut, which others have been told of.
    connection.execute("PRAGMA synchronous = FULL")
    # SQLite checks them only when asked, and asks per connection.
    connection.execute("PRAGMA foreign_keys = ON")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Sets the journal mode, which a file keeps. SQLite does not wait by itself while another process does the same."""
    gives_up_at = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > gives_up_at:
                raise
            # SQLite answers BUSY at once here, whatever its timeout.
            time.sleep(0.01)
        else:
            return


def _begin(tx: Connection) -> None:
    # IMMEDIATE: a transaction that first reads and then writes fails at once when another has written in between.
    tx.exec_driver_sql("BEGIN IMMEDIATE" if tx.get_execution_options().get(WRITES) else "BEGIN")
