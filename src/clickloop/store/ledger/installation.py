"""The ledger's share of the installation's identity, and the ledger's progress; ``tx`` is an open transaction."""

import msgspec
from sqlalchemy import Connection, func, inspect, select, text

from clickloop.store.ledger.schema.tables import changes_log, conversion_changes, fact_outbox
from clickloop.store.ledger.setup.settings import read_setting, write_setting

_SETTING = "installation"


class LedgerStamp(msgspec.Struct, frozen=True, kw_only=True):
    """Whose ledger this is, and what it knows of the other stores."""

    id: str
    key: str
    """The fingerprint of the click ids' key."""
    facts_loads: int = 0
    """The number of loads that the facts had committed at the last look."""
    notes: int = 0
    """The number of times that this was written because the ledger went on. A copy of the ledger from before has fewer."""
    newest_rows: tuple[int, int] = (0, 0)
    """Of notices and attempts when this was last written: they alone tell of refused notices and of postbacks that have left."""
    unchecked_before: int = 0
    """As in ``installation.json``, which may get lost: without it, clicks from before a lost key would be called forged."""


class LedgerProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of the ledger. None of these numbers ever falls, except those of ``newest_rows``: old notices are deleted."""

    setup_change: int
    conversion_change: int
    outbox: int
    """The highest number that a row for the facts was ever given."""
    outbox_gone: int
    """Rows for the facts up to this number are deleted: the facts have committed them. 0 where the engine cannot tell."""
    newest_rows: tuple[int, int] = (0, 0)
    """The numbers of the newest notice and the newest attempt; 0 where the engine has none."""


def read_stamp(tx: Connection) -> LedgerStamp | None:
    """Return whose ledger this is; None: nobody has said yet."""
    return read_setting(tx, _SETTING, LedgerStamp)


def write_stamp(tx: Connection, stamp: LedgerStamp) -> None:
    """Write whose ledger this is."""
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
    """Return the number that rows up to it are gone. Elsewhere than in SQLite a missing number may be not yet committed, or rolled back."""
    return number if tx.dialect.name == "sqlite" else 0


def _highest_outbox_id(tx: Connection, newest: int) -> int:
    """Return the highest number that was ever given. SQLite has it in a table, which a rolled-back transaction rolls back: no gaps."""
    if tx.dialect.name != "sqlite" or not inspect(tx).has_table("sqlite_sequence"):
        return newest
    # The sequence, not the newest row: rows that the facts have taken are deleted, and numbers never return.
    return tx.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'fact_outbox'")) or newest
