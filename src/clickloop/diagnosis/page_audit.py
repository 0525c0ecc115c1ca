"""The self-audit of the ledger's pages: table by table, round and round, so that a page that was damaged is found before it is needed."""

from collections.abc import Callable

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from clickloop.store.file_fault import RESTORE_BACKUP
from clickloop.store.ledger.ledger import Ledger

STEPS_PER_TABLE = 30
"""Looks of the audit from one table to the next: checking a table reads all of it, some seconds for a million rows."""
_DAMAGED = f"the ledger is damaged: keep a copy of it, run clickloop doctor, and {RESTORE_BACKUP}"


class PageAudit:
    """Checks the pages of one table at a time. For one thread."""

    def __init__(self, ledger: Ledger, steps_per_table: int = STEPS_PER_TABLE) -> None:
        self._ledger = ledger
        self._steps_per_table = steps_per_table
        self._steps = 0
        self._table = 0
        self._damaged: set[str] = set()

    def step(self) -> tuple[str, ...]:
        """Check the next table if it is its turn. Return the alarm for what was found damaged so far; none: nothing."""
        self._steps += 1
        if self._steps % self._steps_per_table == 0:
            self._check_next()
        return (_DAMAGED,) if self._damaged else ()

    def guarded(self, look: Callable[[], object]) -> tuple[str, ...]:
        """Run another look of the audit. Return the alarm when the ledger could not be read for it; none: it could."""
        try:
            look()
        except SQLAlchemyError as error:
            # Away or locked passes by itself; a damaged page does not, and each look would fail at it without a word.
            return (_DAMAGED,) if "malformed" in str(error) or "decode" in str(error) else ()
        return ()

    def _check_next(self) -> None:
        name = ""
        try:
            with self._ledger.read() as tx:
                if tx.dialect.name != "sqlite":
                    return  # the database server checks its own files
                names = sorted(inspect(tx).get_table_names())
                name = names[self._table % len(names)]
                found = list(tx.execute(text(f"PRAGMA integrity_check('{name}')")).scalars())
        except SQLAlchemyError:  # after it has found damage SQLite refuses even to end the transaction
            found = []
        self._table += 1
        self._damaged.discard(name)
        if found != ["ok"]:
            self._damaged.add(name)
