"""A damaged page of a running ledger is found by the audit within a round."""

import contextlib
import sqlite3
from pathlib import Path

from sqlalchemy import select

from clickloop.diagnosis.page_audit import PageAudit
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.schema.tables import metadata, networks

PAGE = 4096


def zeroed_page_of(path: Path, table: str) -> None:
    """Zero the first page of a table in a closed database."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    data = bytearray(path.read_bytes())
    data[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)
    path.write_bytes(data)


def test_a_zeroed_page_is_an_alarm_within_a_round_of_all_tables(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path).close()
    rounds = len(metadata.sorted_tables) + 2
    sound = PageAudit(Ledger.open(path), steps_per_table=1)
    assert [sound.step() for _ in range(rounds)] == [()] * rounds
    sound._ledger.close()
    zeroed_page_of(path, "networks")
    damaged = PageAudit(Ledger.open(path), steps_per_table=1)
    (alarm,) = [damaged.step() for _ in range(rounds)][-1]
    assert "the ledger is damaged" in alarm


def test_a_read_that_fails_because_of_damage_is_an_alarm(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path).close()
    zeroed_page_of(path, "networks")
    ledger = Ledger.open(path)

    def read() -> None:
        with ledger.read() as tx:
            tx.execute(select(networks)).all()

    assert len(PageAudit(ledger).guarded(read)) == 1
    assert PageAudit(ledger).guarded(lambda: None) == ()
