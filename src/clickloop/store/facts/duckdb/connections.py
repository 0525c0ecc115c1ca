"""DatabaseConnections to the DuckDB file: one that writes, one for each reading thread, and when to make a checkpoint."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator

import duckdb

from clickloop.store.facts.duckdb.plain_errors import plain_errors
from clickloop.store.facts.duckdb.rollups.rolling_up import MERGE_ROWS, merge_recent, recent_rows, roll_up_new_rows

_CHECKPOINT_ROWS = 70_000
"""New rows after which a checkpoint is made. They become a row group. Groups that fit together into one of 122,880 rows are
compressed again by a later checkpoint; with more than half of that, each row is compressed once."""


@dataclasses.dataclass
class Written:
    """The connection of a transaction that writes, and the number of rows that it has added to the facts."""

    writer: duckdb.DuckDBPyConnection
    rows: int = 0


Reading = Callable[[], contextlib.AbstractContextManager[duckdb.DuckDBPyConnection]]
"""Opens a connection that reads, whose errors are plain."""
Writing = Callable[[], contextlib.AbstractContextManager[Written]]
"""Begins a transaction that writes, whose errors are plain."""


class DatabaseConnections:
    """The connections to an open database."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database
        # DuckDB lets two transactions write and fails one of them on commit.
        self._writing = threading.Lock()
        self._writer = database.cursor()
        self._new_rows = 0
        self._rows_loaded = 0

    def rows_loaded(self) -> int:
        """Return the number of rows added since it was opened."""
        return self._rows_loaded

    def _count_rows(self, added: int) -> None:
        """Merge roll-ups if there are enough. Make a checkpoint if there are enough new rows and no readers."""
        self._rows_loaded += added
        self._new_rows += added
        if recent_rows(self._writer) >= MERGE_ROWS:
            with self._transaction() as writer:
                merge_recent(writer)
        if self._new_rows < _CHECKPOINT_ROWS:
            return
        try:
            self._writer.execute("CHECKPOINT")
            self._new_rows = 0
        except duckdb.TransactionException:
            pass  # there is a reader; the count stays, so the next load tries again

    def _roll_up(self, writer: duckdb.DuckDBPyConnection) -> None:
        """Add the roll-ups of a transaction's new facts."""
        roll_up_new_rows(writer)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Commit on success, else roll back."""
        self._writer.execute("BEGIN")
        try:
            yield self._writer
            # Here, so that nothing adds facts without them.
            self._roll_up(self._writer)
            self._writer.execute("COMMIT")
        except BaseException:
            # The engine may have ended the transaction itself; the first error is the one to report.
            with contextlib.suppress(duckdb.Error):
                self._writer.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _reading_plainly(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a connection for the calling thread, whose errors are plain."""
        with plain_errors(), self._reading() as reader:
            yield reader

    @contextlib.contextmanager
    def _writing_plainly(self) -> Iterator[Written]:
        """Yield the writer in a transaction that no other can interrupt. Set the number of rows added."""
        with self._writing, plain_errors():
            written = Written(self._writer)
            with self._transaction():
                yield written
            self._count_rows(written.rows)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a connection for the calling thread."""
        # Two threads may not share a DuckDB connection; a cursor is a new connection to the same database.
        reader = self._database.cursor()
        try:
            yield reader
        finally:
            reader.close()
