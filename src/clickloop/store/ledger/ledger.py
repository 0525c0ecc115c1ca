"""The ledger: opens the database of what must be transacted, brings its schema up to date and hands out transactions.

SQLite by default (write-ahead log, every commit synced), PostgreSQL by its URL, through the same SQLAlchemy Core.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DatabaseError

from clickloop.machine.secret_box import SecretBox
from clickloop.store.file_fault import file_fault
from clickloop.store.ledger.migrations import HEAD
from clickloop.store.ledger.schema.sealing import seal_with
from clickloop.store.ledger.setup.plain_secrets import count_plain_secrets, seal_plain_secrets
from clickloop.store.ledger.sqlite.opening import WRITES, DamagedFile, opening_fault, sqlite_engine


class LedgerError(Exception):
    """The ledger cannot be opened or used as asked; the message says what was found, expected, and what to do."""


class LedgerDamagedError(LedgerError):
    """The file is no whole SQLite database."""


class TrialEnded(Exception):  # noqa: N818 – no error: the end of a trial
    """What was tried is rolled back, and would have been saved."""


class Ledger:
    """An open ledger. Threads may share it; within a process one transaction writes at a time.

    Not to be carried over a fork: each process opens its own.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # SQLite has one writer. Waiting for this lock is fair and ends at once; waiting for SQLite's is polling, and fails after a while.
        self._writing = threading.Lock()
        self._writer: int | None = None

    @classmethod
    def open(cls, path_or_url: str | Path, box: SecretBox | None = None) -> Self:
        """Opens, or creates, the ledger in a file or at a database URL, and migrates it to the newest schema.

        ``box`` encrypts the secrets in it; without one they are stored as they are, and sealed ones cannot be read.
        The migration is one transaction: a process killed within it leaves the ledger as it was. Raises ``LedgerError``
        for a file that is no ledger, for one that a newer version has migrated, and for a database out of reach.
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
        """A transaction that may write: begins at once as the only writer, commits on a clean exit, else rolls back.

        Not to be nested: a second ``write`` in the same thread raises ``LedgerError``, instead of waiting for itself.
        """
        if self._writer == threading.get_ident():
            raise LedgerError(
                "a write transaction was begun inside another one; expected one per promise: pass the open one on"
            )
        with self._writing:
            self._writer = threading.get_ident()
            try:
                with self.engine.connect().execution_options(**{WRITES: True}) as tx, tx.begin():
                    yield tx
            finally:
                self._writer = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the ledger throughout and never waits for a writer."""
        with self.engine.connect() as tx:
            if tx.dialect.name != "sqlite":
                # PostgreSQL's default shows each statement a newer state; SQLite's snapshot lasts for the transaction.
                tx.execution_options(isolation_level="REPEATABLE READ")
            with tx.begin():
                yield tx

    def versions(self) -> list[tuple[str, str]]:
        """Name and version of the database, and of the schema in it."""
        with self.read() as tx:
            is_sqlite = tx.dialect.name == "sqlite"
            query = "SELECT sqlite_version()" if is_sqlite else "SHOW server_version"
            return [
                (f"Ledger: {'SQLite' if is_sqlite else 'PostgreSQL'}", str(tx.scalar(text(query)))),
                ("Schema of the ledger", str(_revision(tx))),
            ]

    def close(self) -> None:
        """Closes all connections that are not in use."""
        self.engine.dispose()

    def _seal_plain_secrets(self) -> None:
        """Encrypt the set-up's secrets that were stored before there was encryption."""
        with self.read() as tx:
            if not count_plain_secrets(tx):
                return
        with self.write() as tx:
            seal_plain_secrets(tx)

    def _migrate(self) -> None:
        with self.read() as tx:
            found = _revision(tx)
        # Looked at without a write first: most starts have nothing to migrate, and importing Alembic is slow.
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
            if found is not None and not _is_known(config, found):
                raise LedgerError(
                    f"the ledger {self.engine.url.render_as_string()} has schema revision {found}, expected at most "
                    f"{HEAD}: it was written by a newer Clickloop; install that version again"
                )
            config.attributes["connection"] = tx
            command.upgrade(config, HEAD)


class TrialLedger(Ledger):
    """The same ledger for finding out what would be wrong with a change: nothing that is written through it is ever saved."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger.engine)
        self._ledger = ledger

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is rolled back on a clean exit too, which raises ``TrialEnded``."""
        with self._ledger.write() as tx:
            yield tx
            raise TrialEnded


def _refuse_other_program(tx: Connection, url: str) -> None:
    """Raise LedgerError for a database that has tables and no revision: they are somebody else's."""
    names = inspect(tx).get_table_names()
    if names:
        raise LedgerError(
            f"the ledger {url} is a database of another program: it has the tables {', '.join(sorted(names)[:5])} and none of "
            "Clickloop's. Put the right file back, or name another data folder with --data"
        )


def _revision(tx: Connection) -> str | None:
    """The schema revision of the ledger; None for an empty database."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    found: str | None = tx.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _is_known(config: Any, revision: str) -> bool:
    from alembic.script import ScriptDirectory

    return any(script.revision == revision for script in ScriptDirectory.from_config(config).walk_revisions())


def _engine(url: str) -> Engine:
    if url.startswith("sqlite"):
        return sqlite_engine(url)
    # Hidden: errors go into the log and into alarms, and parameters are what visitors and networks sent, tokens among it.
    return create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=True, hide_parameters=True)
