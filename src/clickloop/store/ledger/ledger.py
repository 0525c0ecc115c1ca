"""The ledger: opens the transactional database, migrates its schema and provides transactions.

SQLite by default (write-ahead log, every commit synced), PostgreSQL by its URL, through the same SQLAlchemy Core.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DatabaseError

from clickloop.machine.secret_box import SecretBox
from clickloop.store.file_fault import file_fault
from clickloop.store.ledger.migrations import HEAD, knows_revision
from clickloop.store.ledger.schema.sealing import seal_with
from clickloop.store.ledger.setup.plain_secrets import count_plain_secrets, seal_plain_secrets
from clickloop.store.ledger.sqlite.opening import WRITES, DamagedFile, opening_fault, sqlite_engine


class LedgerError(Exception):
    """The ledger cannot be opened or used; the message says what was found, what was expected, and what to do."""


class LedgerDamagedError(LedgerError):
    """The file is not an intact SQLite database."""


class Rollback(Exception):  # noqa: N818 – not an error: the end of a dry run
    """Rolls back a dry run whose changes would have been saved."""


class Ledger:
    """An open ledger. Threads may share it; within a process one transaction writes at a time.

    Must not be carried over a fork: each process opens its own.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # SQLite has one writer. Waiting for this lock wakes at once; waiting for SQLite's means polling, with a timeout.
        self._writing = threading.Lock()
        self._writer: int | None = None

    @classmethod
    def open(cls, path_or_url: str | Path, box: SecretBox | None = None) -> Self:
        """Open or create the ledger in a file or at a database URL, and migrate it to the newest schema.

        ``box`` encrypts its secrets; without one they are stored in plain text, and encrypted ones cannot be read. The migration
        is one transaction: a process killed during it leaves the ledger unchanged. Raise LedgerError for a file that is not a
        ledger, for a schema of a newer version, and for an unreachable database.
        """
        url = str(path_or_url)
        if "://" not in url:
            if fault := file_fault(Path(url)):
                raise LedgerError(f"the ledger cannot be opened. {fault}")
            url = f"sqlite:///{url}"
        ledger = cls(_engine(url))
        if box is not None:
            seal_with(ledger.engine, box)
        try:
            ledger._migrate()
            if box is not None:
                ledger._seal_plain_secrets()
        except DatabaseError as error:
            ledger.close()
            fault = opening_fault(ledger.engine.url.render_as_string(), error)
            raise (LedgerDamagedError if isinstance(fault, DamagedFile) else LedgerError)(fault) from error
        except BaseException:
            ledger.close()
            raise
        return ledger

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin a write transaction as the only writer; commit it on a clean exit, else roll it back.

        Must not be nested: a second ``write`` in the same thread raises LedgerError instead of waiting for itself.
        """
        if self._writer == threading.get_ident():
            raise LedgerError("a write transaction was begun inside another one; pass the open transaction on instead")
        with self._writing:
            self._writer = threading.get_ident()
            try:
                with self.engine.connect().execution_options(**{WRITES: True}) as tx, tx.begin():
                    yield tx
            finally:
                self._writer = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that sees one state of the ledger throughout and never waits for a writer."""
        with self.engine.connect() as tx:
            if tx.dialect.name != "sqlite":
                # By default PostgreSQL takes a snapshot per statement; SQLite's lasts for the transaction.
                tx.execution_options(isolation_level="REPEATABLE READ")
            with tx.begin():
                yield tx

    def versions(self) -> list[tuple[str, str]]:
        """Return label and version of the database engine and of the schema."""
        with self.read() as tx:
            is_sqlite = tx.dialect.name == "sqlite"
            query = "SELECT sqlite_version()" if is_sqlite else "SHOW server_version"
            return [
                (f"Ledger: {'SQLite' if is_sqlite else 'PostgreSQL'}", str(tx.scalar(text(query)))),
                ("Ledger schema", str(_revision(tx))),
            ]

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()

    def _seal_plain_secrets(self) -> None:
        """Encrypt secrets of the set-up that were stored in plain text."""
        with self.read() as tx:
            if not count_plain_secrets(tx):
                return
        with self.write() as tx:
            seal_plain_secrets(tx)

    def _migrate(self) -> None:
        with self.read() as tx:
            found = _revision(tx)
        # Read first, without the write lock: most starts have nothing to migrate, and importing Alembic is slow.
        if found == HEAD:
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        with self.write() as tx:
            found = _revision(tx)
            if found is None:
                _refuse_other_program(tx, self.engine.url.render_as_string())
            if found is not None and not knows_revision(found):
                raise LedgerError(
                    f"the ledger {self.engine.url.render_as_string()} has schema revision {found}, expected at most "
                    f"{HEAD}: it was written by a newer Clickloop; install that version again"
                )
            config.attributes["connection"] = tx
            command.upgrade(config, HEAD)


class DryRunLedger(Ledger):
    """A ledger for dry runs: it shows what would be wrong with a change, and never saves anything."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger.engine)
        self._ledger = ledger

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin a write transaction that is rolled back on a clean exit, too, by raising Rollback."""
        with self._ledger.write() as tx:
            yield tx
            raise Rollback


def _refuse_other_program(tx: Connection, url: str) -> None:
    """Raise LedgerError for a database that has tables but no revision: it belongs to another program."""
    names = inspect(tx).get_table_names()
    if names:
        raise LedgerError(
            f"the ledger {url} is a database of another program: it has tables such as {', '.join(sorted(names)[:5])}, but none "
            "of Clickloop's. Put the right file back, or name another data folder with --data"
        )


def _revision(tx: Connection) -> str | None:
    """Return the schema revision of the ledger; None for an empty database."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    found: str | None = tx.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _engine(url: str) -> Engine:
    if url.startswith("sqlite"):
        return sqlite_engine(url)
    # Hidden: errors go to the log and to alarms, and parameters hold what visitors and networks sent, including tokens.
    return create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=True, hide_parameters=True)
