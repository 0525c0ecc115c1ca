"""Exports: no row is lost or repeated wherever work stops, exports take turns, and a full disk fails one clearly."""

import random
import sys
from pathlib import Path

import pytest

from clickloop.record_id import RecordIds
from clickloop.store.disk_room import NoRoomError
from clickloop.store.export_files import ExportFiles, LostFileError
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.jobs.exports import EXPORTS, Export, ExportNoun
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.tracking.jobs.export_work import ExportedPage, ExportPageReader, ExportWorker
from tests.crash.killing import killed_after
from tests.empty_stores import open_ledger

NOW = 1_772_366_400_000
CHILD = Path(__file__).parents[1] / "crash" / "export_child.py"
PAGES = 400
"""The id of the export that the child writes."""
HALF_OF_ALL = 1_000


class Owner:
    """A driver of exports of a log with five pages, a letter each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "exports"
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.files = ExportFiles(self.folder, min_free_bytes=0)
        self.new_id = RecordIds(lambda: NOW)

    def ask(self) -> str:
        export = Export(
            export_id=self.new_id(),
            noun=ExportNoun.CLICKS,
            filters=b"{}",
            columns="at",
            user_id=1,
            asked_by="anna",
            created_at=NOW,
        )
        with self.ledger.write() as tx:
            EXPORTS.insert(tx, export)
        return export.export_id

    def work(self, page_of: ExportPageReader | None = None, files: ExportFiles | None = None) -> ExportWorker:
        return ExportWorker(self.ledger, files or self.files, page_of or letters, lambda: NOW)

    def export(self, export_id: str) -> Export:
        with self.ledger.read() as tx:
            found = EXPORTS.find(tx, export_id)
        assert found is not None
        return found

    def text(self, export_id: str) -> bytes:
        return b"".join(self.files.pieces(export_id))


def letters(export: Export) -> ExportedPage:
    at = int(export.next_cursor or "0")
    return ExportedPage(b"abcde"[at : at + 1], 1, str(at + 1) if at < 4 else None, NOW - at)


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def test_pages_are_written_one_by_one_and_counted(owner: Owner) -> None:
    export_id = owner.ask()
    work = owner.work()
    seen = []
    while work.step():
        export = owner.export(export_id)
        seen.append((export.state.value, export.rows_written, export.octets, owner.text(export_id)))
    assert seen[0] == ("running", 1, 1, b"a")
    assert seen[-1] == ("finished", 5, 5, b"abcde")
    assert owner.export(export_id).reached_at == NOW - 4


def test_a_short_export_does_not_wait_for_a_long_one(owner: Owner) -> None:
    first, second = owner.ask(), owner.ask()
    work = owner.work()
    for _ in range(4):
        work.step()
    assert (owner.export(first).rows_written, owner.export(second).rows_written) == (2, 2)


def test_a_disk_without_room_ends_an_export_and_takes_its_file_away(owner: Owner) -> None:
    export_id = owner.ask()
    owner.work().step()
    assert owner.work(files=ExportFiles(owner.folder, min_free_bytes=1 << 60)).step()
    export = owner.export(export_id)
    assert export.state is JobState.FAILED
    assert "must stay free" in (export.error or "")
    assert list(owner.folder.iterdir()) == []


def test_a_file_that_cannot_be_written_ends_an_export_with_why(owner: Owner) -> None:
    export_id = owner.ask()
    (owner.folder / f"{export_id}.csv").mkdir(parents=True)
    broken = owner.ask()
    (owner.folder / f"{export_id}.csv").rmdir()
    (owner.folder / f"{broken}.csv").symlink_to("/dev/full")
    work = owner.work()
    while work.step():
        pass
    assert owner.export(export_id).state is JobState.FINISHED
    assert owner.export(broken).state is JobState.FAILED
    assert "could not be written" in (owner.export(broken).error or "")


def test_an_unreachable_store_is_retried_later(owner: Owner) -> None:
    export_id = owner.ask()

    def away(_export: Export) -> ExportedPage:
        raise FactsError("they are away")

    with pytest.raises(FactsError):
        owner.work(away).step()
    work = owner.work()
    while work.step():
        pass
    assert owner.text(export_id) == b"abcde"


def test_an_export_that_is_stopped_while_a_page_is_read_leaves_no_file(owner: Owner) -> None:
    export_id = owner.ask()
    owner.work().step()

    def stopped_meanwhile(export: Export) -> ExportedPage:
        with owner.ledger.write() as tx:
            EXPORTS.stop(tx, export_id, NOW)
        owner.files.delete(export_id)
        return letters(export)

    work = owner.work(stopped_meanwhile)
    while work.step():
        pass
    assert owner.export(export_id).state is JobState.STOPPED
    assert not owner.files.exists(export_id)


def test_a_file_is_never_longer_than_what_was_written_last(tmp_path: Path) -> None:
    files = ExportFiles(tmp_path / "exports", min_free_bytes=0)
    assert files.write("one", 0, b"0123456789") == 10
    assert files.write("one", 4, b"x") == 5
    assert b"".join(files.pieces("one")) == b"0123x"
    with pytest.raises(LostFileError, match="has 5 bytes, 6 had been written"):
        files.write("one", 6, b"y")
    with pytest.raises(NoRoomError):
        ExportFiles(tmp_path / "exports", min_free_bytes=1 << 60).write("one", 5, b"y")


@pytest.mark.crash
def test_an_export_that_is_killed_again_and_again_holds_every_row_once(owner: Owner, tmp_path: Path) -> None:
    export_id = owner.ask()
    chance = random.Random(5)
    command = [sys.executable, str(CHILD), str(tmp_path)]
    kills = 0
    while not owner.export(export_id).state.is_final:
        killed_after(command, pages := 1 + 17 * kills, chance)
        kills += 1
        assert pages < PAGES, "no page was ever written down"
    assert kills >= 4
    export = owner.export(export_id)
    lines = owner.text(export_id).split(b"\r\n")
    assert (export.state, export.rows_written, lines[0], lines[-1]) == (
        JobState.FINISHED,
        2_000,
        b"number,text",
        b"",
    )
    assert [line.split(b",")[0] for line in lines[1:-1]] == [b"%d" % number for number in range(2_000)]
