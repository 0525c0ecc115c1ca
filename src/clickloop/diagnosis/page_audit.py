"""Audit the ledger's pages, table by table, in an endless cycle, to find a damaged page before it is needed."""

from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from clickloop.store.file_fault import RESTORE_BACKUP
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.sqlite.integrity import checkable_tables, is_table_sound

STEPS_PER_TABLE = 30
"""Audit steps between two tables: checking a table reads all of it, which takes some seconds for a million rows."""
_DAMAGED = f"the ledger is damaged: keep a copy of it, run clickloop doctor, then {RESTORE_BACKUP}"


class PageAudit:
    """A worker that checks the pages of one table at a time. For one thread."""

    def __init__(self, ledger: Ledger, steps_per_table: int = STEPS_PER_TABLE) -> None:
        self._ledger = ledger
        self._steps_per_table = steps_per_table
        self._steps = 0
        self._table = 0
        self._damaged: set[str] = set()

    def step(self) -> tuple[str, ...]:
        """Count a step and check the next table if it is due. Return the alarm about damage found so far; empty if none."""
        self._steps += 1
        if self._steps % self._steps_per_table == 0:
            self._check_next()
        return (_DAMAGED,) if self._damaged else ()

    def guarded(self, audit: Callable[[], object]) -> tuple[str, ...]:
        """Run another part of the audit. Return the alarm if it failed because the ledger is damaged; empty: it did not."""
        try:
            audit()
        except SQLAlchemyError as error:
            # Unreachable or locked is temporary; a damaged page is not, and every audit would fail at it silently.
            return (_DAMAGED,) if "malformed" in str(error) or "decode" in str(error) else ()
        return ()

    def _check_next(self) -> None:
        name = ""
        try:
            with self._ledger.read() as tx:
                names = checkable_tables(tx)
                if not names:
                    return
                name = names[self._table % len(names)]
                is_sound = is_table_sound(tx, name)
        except SQLAlchemyError:  # once it has found damage, SQLite refuses even to end the transaction
            is_sound = False
        self._table += 1
        self._damaged.discard(name)
        if not is_sound:
            self._damaged.add(name)
