"""A small data folder of a stopped tracker: both stores, the key, a dead writer and a live one."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import msgspec

from clickloop.backup.place import FolderOrigin, update_place
from clickloop.backup.progress import ConsoleProgress
from clickloop.click.click import Click
from clickloop.click_id import KEY_FILE, ClickIds
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.writer import JournalWriter
from clickloop.tracking.settle import settle_clicks
from tests.empty_stores import open_facts, open_ledger

NOW = 1_800_000_000_000
KEY = b"k" * 32
SILENT = ConsoleProgress(silent=True)
_ids = ClickIds(KEY)


def click_line(moment: int = NOW) -> tuple[str, bytes]:
    """Return a click's id and its record."""
    click = Click(click_id=_ids.new(moment), at=moment, campaign_id=1, source_id=2)
    return click.click_id, msgspec.json.encode(click)


class Folder:
    """A data folder. Its edge, this process, writes until ``close``."""

    def __init__(self, path: Path, clicks: int = 3) -> None:
        self.path = path
        self.path.mkdir()
        self.clicks: list[str] = []
        (path / KEY_FILE).write_bytes(KEY)
        (path / "catalog.json").write_bytes(b"{}")
        update_place(path, FolderOrigin.UNSAID, NOW)
        open_ledger(path / "ledger.sqlite").close()
        self.facts = open_facts(path / "facts.duckdb")
        self.reader = JournalReader(path / "journal", path / "settled")
        self.writer = JournalWriter.open(path / "journal", "clicks", "edge1", clock=lambda: NOW)
        self.visit(clicks)
        self.writer.close_segment()
        settle_clicks(self.reader, self.facts)
        self.facts.close()

    def visit(self, count: int = 1) -> None:
        """Record clicks in the open segment."""
        for _ in range(count):
            click_id, line = click_line()
            self.writer.append(line)
            self.clicks.append(click_id)

    def close(self) -> None:
        """Close the edge's writer."""
        self.writer.close()


def settled_clicks(folder: Path) -> list[str]:
    """Settle a folder's journal, and return the ids of all clicks in the facts, sorted. Damage fails."""
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    reader = JournalReader(folder / "journal", folder / "settled")
    while True:
        batch = settle_clicks(reader, facts)
        assert batch.damages == (), batch.damages
        if not batch.segments:
            break
    facts.close()
    with closing(duckdb.connect(str(folder / "facts.duckdb"), read_only=True)) as found:
        return sorted(row[0] for row in found.execute("SELECT click_id FROM facts").fetchall())


def ledger_rows(folder: Path, query: str) -> Sequence[tuple[object, ...]]:
    """Return the result of a query on a folder's ledger."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        return ledger.execute(query).fetchall()
