"""The ledger's part of the installation's identity, and the ledger's progress; ``tx`` is an open transaction."""

import msgspec
from sqlalchemy import Connection, func, inspect, select, text

from clickloop.store.ledger.schema.tables import changes_log, conversion_changes, fact_outbox
from clickloop.store.ledger.setup.settings import read_setting, write_setting

_SETTING = "installation"


class LedgerStamp(msgspec.Struct, frozen=True, kw_only=True):
    """The installation a ledger belongs to, and what it knows of the other stores."""

    id: str
    key: str
    """Fingerprint of the key of click ids."""
    facts_loads: int = 0
    """Number of loads the facts had committed when last checked."""
    notes: int = 0
    """Number of times this was written because the ledger had progressed. An older copy of the ledger has a lower number."""
    newest_rows: tuple[int, int] = (0, 0)
    """Newest notice and attempt when this was last written: nothing else shows refused notices and sent postbacks."""
    unchecked_before: int = 0
    """A copy of the value in ``installation.json``, in case that is lost: clicks from before a lost key would count as forged."""


class LedgerProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of the ledger. These numbers never decrease, except ``newest_rows``, because old notices are deleted."""

    setup_change: int
    conversion_change: int
    outbox: int
    """Highest id ever given to a row for the facts."""
    outbox_gone: int
    """Rows for the facts up to this id are deleted, because the facts have committed them. 0 where the engine cannot tell."""
    newest_rows: tuple[int, int] = (0, 0)
    """Row numbers of the newest notice and the newest attempt; 0 where the engine has no row numbers."""


def read_stamp(tx: Connection) -> LedgerStamp | None:
    """Return the stamp of the ledger; None: it has none yet."""
    return read_setting(tx, _SETTING, LedgerStamp)


def write_stamp(tx: Connection, stamp: LedgerStamp) -> None:
    """Write the stamp of the ledger."""
    write_setting(tx, _SETTING, stamp)


def read_progress(tx: Connection) -> LedgerProgress:
    """Return the progress of the ledger."""
    oldest, newest = tx.execute(select(func.min(fact_outbox.c.id), func.max(fact_outbox.c.id))).one()
    outbox = _highest_outbox_id(tx, newest or 0)
    return LedgerProgress(
        setup_change=tx.scalar(select(func.max(changes_log.c.id))) or 0,
        conversion_change=tx.scalar(select(func.max(conversion_changes.c.id))) or 0,
        outbox=outbox,
        outbox_gone=_gone_before(tx, outbox if oldest is None else oldest - 1),
        newest_rows=_newest_rows(tx),
    )


def _newest_rows(tx: Connection) -> tuple[int, int]:
    if tx.dialect.name != "sqlite":
        return 0, 0
    query = "SELECT (SELECT max(rowid) FROM notices), (SELECT max(rowid) FROM attempts)"
    notice, attempt = tx.execute(text(query)).one()
    return notice or 0, attempt or 0


def _gone_before(tx: Connection, number: int) -> int:
    """Return ``number`` for SQLite, else 0: on other engines a missing id may be uncommitted or rolled back, not deleted."""
    return number if tx.dialect.name == "sqlite" else 0


def _highest_outbox_id(tx: Connection, newest: int) -> int:
    """Return the highest id ever given. SQLite keeps it in a table that rolls back with its transaction, so there are no gaps."""
    if tx.dialect.name != "sqlite" or not inspect(tx).has_table("sqlite_sequence"):
        return newest
    # The sequence, not the newest row: rows that the facts have loaded are deleted, and ids are never reused.
    return tx.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'fact_outbox'")) or newest
