"""Examining the copies for a backup: counting their contents, and refusing damaged ones, lest they replace good backups."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from clickloop.backup.manifest import BackupError, BackupMarks, Counts
from clickloop.click_id import KEY_BYTES, KEY_FILE
from clickloop.store.identity import fingerprint_of
from clickloop.store.ledger.installation import LedgerStamp

_FACTS_MEMORY = "512MB"
_TABLES = "SELECT 1 FROM duckdb_tables() WHERE table_name = 'installation'"
"""Query for a table that the facts of an older version lack."""
_COUNTED = {
    "notices": "SELECT count(*) FROM notices",
    "conversions": "SELECT count(*) FROM conversions",
    "postbacks": "SELECT count(*) FROM postbacks",
    "postbacks_waiting": "SELECT count(*) FROM postbacks WHERE state IN ('waiting', 'sending')",
    "campaigns": "SELECT count(*) FROM campaigns",
    "offers": "SELECT count(*) FROM offers",
    "networks": "SELECT count(*) FROM networks",
    "traffic_sources": "SELECT count(*) FROM traffic_sources",
    "postback_rules": "SELECT count(*) FROM postback_rules",
    "users": "SELECT count(*) FROM users",
}


class LedgerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a ledger's copy."""

    schema: str
    counts: Counts
    marks: BackupMarks
    unfinished_uploads: frozenset[str]
    stamp: LedgerStamp | None
    """The ledger's identity; None if no server has run on it since ledgers have one."""


class FactsSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a copy of the facts."""

    clicks: int
    newest_click_id: str
    outbox_taken: int
    installation: str
    """The id of their installation; empty if they have none."""


def examine_ledger(path: Path) -> LedgerSummary:
    """Check a ledger's copy and count its contents. Raise BackupError if it is damaged."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as ledger:
            # quick_check skips comparing the indexes, which takes longer than the copy.
            problems = [str(row[0]) for row in ledger.execute("PRAGMA quick_check(3)")]
            if problems != ["ok"]:
                raise BackupError(_damaged("ledger", "; ".join(problems)))
            unfinished = "SELECT upload_id FROM uploads WHERE state IN ('waiting', 'running')"
            return LedgerSummary(
                schema=str(_one(ledger, "SELECT version_num FROM alembic_version")),
                counts=Counts(**{name: int(_one(ledger, query)) for name, query in _COUNTED.items()}),
                marks=BackupMarks(
                    notice_id=_one(ledger, "SELECT max(notice_id) FROM notices") or "",
                    conversion_change=_one(ledger, "SELECT max(id) FROM conversion_changes") or 0,
                ),
                unfinished_uploads=frozenset(row[0] for row in ledger.execute(unfinished)),
                stamp=_stamp_of(ledger),
            )
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise BackupError(_damaged("ledger", str(error))) from error


def examine_facts(path: Path) -> FactsSummary:
    """Read every block of a copy of the facts, count, and write its log into the file. Raise BackupError if it is damaged."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _FACTS_MEMORY,
        "threads": 1,
        "temp_directory": str(path.parent),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with contextlib.closing(duckdb.connect(str(path), config=config)) as facts:
            # The engine verifies a block when it reads it, and reads only the columns that it needs: a hash needs all.
            facts.execute("SELECT bit_xor(hash(facts)) FROM facts").fetchone()
            counted = facts.execute("SELECT count(click_id), max(click_id) FROM facts").fetchone()
            taken = facts.execute("SELECT max(last_id) FROM outbox_taken").fetchone()
            known = facts.execute(_TABLES).fetchone()
            owner = facts.execute("SELECT id FROM installation").fetchone() if known else None
            # Writes the log into the file, because the archive has only the file.
            facts.execute("CHECKPOINT")
    except duckdb.Error as error:
        raise BackupError(_damaged("facts", str(error))) from error
    if counted is None or taken is None:
        raise BackupError(_damaged("facts", "a query returned nothing"))
    return FactsSummary(
        clicks=counted[0],
        newest_click_id=counted[1] or "",
        outbox_taken=taken[0] or 0,
        installation=owner[0] if owner else "",
    )


def check_belonging(folder: Path, key: bytes | None, ledger: LedgerSummary, facts: FactsSummary) -> None:
    """Raise BackupError unless key, ledger and facts belong together. Otherwise a restored folder could not be started.

    ``key``: the contents of the key's file; None if it is missing.
    """
    path = folder / KEY_FILE
    if key is None:
        raise BackupError(_mismatch(f"{path} is missing"))
    if len(key) != KEY_BYTES:
        raise BackupError(_mismatch(f"{path} has {len(key)} bytes, expected {KEY_BYTES}"))
    if ledger.stamp is None:
        return
    if fingerprint_of(key) != ledger.stamp.key:
        raise BackupError(_mismatch(f"{path} holds another key than the ledger's"))
    if facts.installation and facts.installation != ledger.stamp.id:
        raise BackupError(
            _mismatch(f"the facts belong to installation {facts.installation}, the ledger to {ledger.stamp.id}")
        )


def _mismatch(why: str) -> str:
    return (
        f"No backup was made, earlier ones are untouched: {why}. Put the right one back, from an earlier backup if necessary; "
        "for other remedies, see docs/how-to/lost-stores.md."
    )


def _stamp_of(ledger: sqlite3.Connection) -> LedgerStamp | None:
    row = ledger.execute("SELECT value FROM settings WHERE name = 'installation'").fetchone()
    return msgspec.json.decode(row[0], type=LedgerStamp) if row else None


def _one(ledger: sqlite3.Connection, query: str) -> Any:
    return ledger.execute(query).fetchone()[0]


def _damaged(store: str, why: str) -> str:
    return (
        f"The tracker's {store} {'are' if store == 'facts' else 'is'} damaged: {why}. No backup was made, earlier ones are "
        "untouched: run clickloop doctor, and restore the newest good backup with: clickloop restore."
    )
