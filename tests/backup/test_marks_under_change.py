"""A backup taken while the set-up changes: the marks are never ahead of the stores."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from clickloop.backup.snapshot import take_snapshot
from clickloop.store.identity import LEDGER_FILE
from tests.backup.folders import Folder
from tests.journey.running import eventually


def test_marks_in_a_backup_are_from_before_the_ledger_was_pinned(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    folder.close()
    marks = ("catalog.json", "installation.json")
    for name in marks:
        (folder.path / name).write_bytes(b"before")
    for name in ("copies", "links"):
        (tmp_path / name).mkdir()
    found: list[bytes] = []

    def snapshot() -> None:
        taken = take_snapshot(folder.path, tmp_path / "copies", tmp_path / "links")
        taken.ledger.close()
        files = dict(taken.files)
        found.extend(files[name].read_bytes() for name in marks)

    copying = threading.Thread(target=snapshot, daemon=True)
    with closing(sqlite3.connect(folder.path / LEDGER_FILE, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")  # so that a reader waits for whoever has it locked
        other.execute("BEGIN EXCLUSIVE")
        copying.start()
        copies = [tmp_path / "links" / name for name in marks]
        try:
            eventually(lambda: [path.read_bytes() for path in copies if path.exists()] == [b"before"] * 2)
            for name in marks:
                (folder.path / name).write_bytes(b"ahead of the ledger")
        finally:
            other.execute("ROLLBACK")
    copying.join(20)
    assert found == [b"before"] * 2
