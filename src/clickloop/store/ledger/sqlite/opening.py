"""Opening SQLite: explicit transactions, a write-ahead log, every commit synced."""

import errno
import sqlite3
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import PoolProxiedConnection

from clickloop.store.file_fault import RESTORE_BACKUP, fault_sentence

# Longer than any write of another process takes, except a migration.
BUSY_TIMEOUT_MS = 10_000
WRITES = "clickloop_writes"
"""Execution option of writing transactions: they take the write lock when they begin."""


class OpeningFault(str):
    """A sentence that says why a database cannot be opened, and what to do."""

    __slots__ = ()


class DamagedFile(OpeningFault):
    """The sentence for a file that is not an intact SQLite database."""

    __slots__ = ()


def sqlite_engine(url: str) -> Engine:
    """Return the engine for a database file, without opening it."""
    # Hidden: errors go to the log and to alarms, and parameters hold what visitors and networks sent, including tokens.
    connection = {"timeout": BUSY_TIMEOUT_MS / 1000}
    # One connection for each thread that may query at once: a thread that gets none fails after 30 s.
    engine = create_engine(url, pool_size=8, max_overflow=24, connect_args=connection, hide_parameters=True)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def opening_fault(url: str, error: DatabaseError) -> OpeningFault:
    """Return why a database cannot be opened, and what to do."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the higher bits only tell variants
    path = url.removeprefix("sqlite:///")
    if code == sqlite3.SQLITE_NOTADB:
        return DamagedFile(
            f"the ledger {path} is not a SQLite database: it was replaced by another file, or its first bytes are damaged. Put "
            f"the right file back, or {RESTORE_BACKUP}"
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedFile(f"the ledger {path} is damaged ({error.orig}): keep a copy of it, and {RESTORE_BACKUP}")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return OpeningFault(
            f"the ledger {path} has been locked by another program for {BUSY_TIMEOUT_MS // 1000} s: close the program that has it "
            "open (a database shell, a backup tool). Nothing is damaged"
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
        f"the ledger {url} cannot be opened: {error.orig}. Expected a Clickloop ledger that this user may write: check the path "
        f"and its permissions, or {RESTORE_BACKUP}."
    )


def _set_up(connection: sqlite3.Connection, _record: PoolProxiedConnection) -> None:
    """Set what SQLite keeps per connection, and take over transactions from the driver."""
    # The driver would send BEGIN only before the first write: earlier reads would be outside the transaction.
    connection.isolation_level = None
    # Other processes write as well: commands, and a server that is shutting down.
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _write_ahead(connection)
    # In WAL mode, NORMAL may lose the last commits in a power cut, although they were acknowledged.
    connection.execute("PRAGMA synchronous = FULL")
    # Off by default in SQLite, per connection.
    connection.execute("PRAGMA foreign_keys = ON")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Set the journal mode, which the file keeps. Retry while another process does the same."""
    gives_up_at = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > gives_up_at:
                raise
            # For this pragma SQLite ignores the busy timeout and returns BUSY at once.
            time.sleep(0.01)
        else:
            return


def _begin(tx: Connection) -> None:
    # IMMEDIATE: a deferred transaction that reads first and then writes fails at once if another one wrote in between.
    tx.exec_driver_sql("BEGIN IMMEDIATE" if tx.get_execution_options().get(WRITES) else "BEGIN")
