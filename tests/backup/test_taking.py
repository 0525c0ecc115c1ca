"""Taking a backup of a folder on which no tracker runs: its contents, and how it fails."""

import contextlib
import io
import os
import shutil
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from clickloop.backup.manifest import BackupError
from clickloop.backup.progress import ConsoleProgress
from clickloop.backup.restoring import restore
from clickloop.backup.scratch import PREFIX
from clickloop.backup.snapshot import MAX_EXTRA_BYTES
from clickloop.backup.taking import take_backup, verify_backup
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.click_id import KEY_FILE
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.identity import FACTS_FILE
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import CLICKS_STREAM, PAGE_EVENTS_STREAM
from clickloop.store.journal.writer import JournalWriter
from clickloop.tracking.pages.settling_page_events import settle_page_events
from tests.backup.folders import NOW, SILENT, Folder, click_line, settled_clicks
from tests.store.counting import sums_of
from tests.store.used_folder import used


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "data")
    yield made
    made.close()


def names_in(file: Path) -> list[str]:
    with tarfile.open(file) as tar:
        return tar.getnames()


def clicks_of(file: Path, tmp_path: Path) -> list[str]:
    """Return the contents of a backup after it was restored and settled."""
    target = tmp_path / "restored"
    restore(file, target, SILENT, NOW, hold=True)
    return settled_clicks(target)


def test_what_is_settled_and_what_stands_in_an_open_segment_are_both_in_it_once(folder: Folder, tmp_path: Path) -> None:
    folder.visit(4)
    manifest = take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert (manifest.counts.clicks, manifest.counts.clicks_in_journal) == (3, 4)
    assert clicks_of(tmp_path / "b.tar", tmp_path) == sorted(folder.clicks)


def test_a_closed_segment_that_is_not_settled_is_in_it(folder: Folder, tmp_path: Path) -> None:
    folder.visit(2)
    folder.writer.close_segment()
    folder.visit(1)
    manifest = take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert manifest.counts.clicks_in_journal == 3
    assert clicks_of(tmp_path / "b.tar", tmp_path) == sorted(folder.clicks)


def test_the_segments_of_a_dead_writer_are_in_it(folder: Folder, tmp_path: Path) -> None:
    dead = JournalWriter.open(folder.path / "journal", "clicks", "edge2", clock=lambda: NOW)
    click_id, line = click_line()
    dead.append(line)
    for file in (dead._fd, dead._lock):
        os.close(file)
    take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert clicks_of(tmp_path / "b.tar", tmp_path) == sorted([*folder.clicks, click_id])


def test_half_a_line_at_the_end_of_an_open_segment_is_left_out(folder: Folder, tmp_path: Path) -> None:
    folder.visit(1)
    (segment,) = folder.writer.path.glob("*.open")
    with segment.open("ab") as file:
        file.write(click_line()[1][:-20])
    take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert clicks_of(tmp_path / "b.tar", tmp_path) == sorted(folder.clicks)


def test_a_segment_that_was_loaded_but_not_put_away_counts_once(folder: Folder, tmp_path: Path) -> None:
    folder.visit(2)
    folder.writer.close_segment()
    reader = JournalReader(folder.path / "journal", folder.path / "settled")
    facts = DuckDbFacts.open(folder.path / "facts.duckdb")
    segments = reader.closed_segments(CLICKS_STREAM)
    assert facts.load_clicks([reader.verify(segment) for segment in segments]) == 2  # killed before the rename
    facts.close()
    take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert clicks_of(tmp_path / "b.tar", tmp_path) == sorted(folder.clicks)


def test_the_key_and_files_that_nobody_knows_are_in_it_and_what_belongs_to_the_place_is_not(
    folder: Folder, tmp_path: Path
) -> None:
    (folder.path / "identity.json").write_bytes(b"{}")
    (folder.path / "journal" / "clicks" / "marks.json").write_bytes(b"{}")
    (folder.path / "half.part").write_bytes(b"x")
    (folder.path / "catalog.json.4711").write_bytes(b"x")
    (folder.path / "reserve").write_bytes(b"x" * 100)
    (folder.path / "link").symlink_to("/etc/passwd")
    (folder.path / "earlier.tar").write_bytes(bytes(MAX_EXTRA_BYTES + 1))
    take_backup(folder.path, tmp_path / "b.tar", SILENT)
    found = names_in(tmp_path / "b.tar")
    assert {"click_id.key", "catalog.json", "identity.json", "journal/clicks/marks.json"} <= set(found)
    assert not {
        "half.part",
        "catalog.json.4711",
        "reserve",
        "link",
        "lock",
        "place.json",
        "delivery-hold.json",
        "earlier.tar",
    } & set(found)
    assert not [name for name in found if name.startswith("run/")]


def test_a_key_that_is_a_link_is_in_the_backup_as_a_file(folder: Folder, tmp_path: Path) -> None:
    key = folder.path / KEY_FILE
    (tmp_path / "secrets").mkdir()
    key.rename(tmp_path / "secrets" / "key")
    key.symlink_to(tmp_path / "secrets" / "key")
    take_backup(folder.path, tmp_path / "b.tar", SILENT)
    restore(tmp_path / "b.tar", tmp_path / "restored", SILENT, NOW, hold=True)
    restored = tmp_path / "restored" / KEY_FILE
    assert restored.read_bytes() == key.read_bytes()
    assert not restored.is_symlink()


LOST_KEYS: dict[str, Callable[[Path], object]] = {
    "is missing": Path.unlink,
    "has 31 bytes": lambda key: key.write_bytes(key.read_bytes()[:-1]),
    "another key": lambda key: key.write_bytes(b"x" * 32),
}


@pytest.mark.parametrize("told", LOST_KEYS)
def test_without_its_key_no_backup_replaces_one_with_it(tmp_path: Path, told: str) -> None:
    data, target = used(tmp_path / "data"), tmp_path / "b.tar"
    take_backup(data, target, SILENT)
    good = target.read_bytes()
    LOST_KEYS[told](data / KEY_FILE)
    with pytest.raises(BackupError, match=told):
        take_backup(data, target, SILENT, force=True)
    assert target.read_bytes() == good


def test_facts_of_another_installation_replace_no_good_backup(tmp_path: Path) -> None:
    data, other, target = used(tmp_path / "data"), used(tmp_path / "other"), tmp_path / "b.tar"
    shutil.copy(other / FACTS_FILE, data / FACTS_FILE)
    with pytest.raises(BackupError, match="facts belong to installation"):
        take_backup(data, target, SILENT)
    assert not target.exists()


class _Looks(ConsoleProgress):
    """Records where the facts have been copied to, while they are checked."""

    def __init__(self, *places: Path) -> None:
        super().__init__(silent=True)
        self.places = places
        self.found: list[int] = []

    def stage(self, text: str, total: int = 0) -> None:
        if text.startswith("Checking the facts"):
            self.found = [len(list(place.glob(f"{PREFIX}*/copies/{FACTS_FILE}"))) for place in self.places]


def test_stores_are_copied_on_the_disk_of_the_data_folder_however_slow_the_target_is(
    folder: Folder, tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    looks = _Looks(folder.path / "run", slow)
    take_backup(folder.path, slow / "b.tar", looks)
    assert looks.found == [1, 0]
    verify_backup(slow / "b.tar", SILENT)


@pytest.mark.parametrize("name", ["ledger.sqlite", "click_id.key", "new.tar", "journal/clicks/b.tar"])
def test_no_backup_is_written_into_the_data_folder(folder: Folder, name: str) -> None:
    before = (folder.path / "ledger.sqlite").read_bytes(), (folder.path / KEY_FILE).read_bytes()
    with pytest.raises(BackupError, match="in the data folder"):
        take_backup(folder.path, folder.path / name, SILENT, force=True)
    assert before == ((folder.path / "ledger.sqlite").read_bytes(), (folder.path / KEY_FILE).read_bytes())


def test_a_device_or_pipe_is_not_replaced_by_a_file(folder: Folder, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BackupError, match="not a regular file"):
        take_backup(folder.path, tmp_path / "pipe", SILENT, force=True)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_nothing_is_left_behind_and_the_folder_is_as_it_was(folder: Folder, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.is_file()}
    take_backup(folder.path, tmp_path / "b.tar", SILENT)
    after = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.is_file()}
    changed = {path.name for path, moment in after.items() if before.get(path) != moment}
    assert changed <= {"backup.lock", "lock"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "data"]
    assert sorted(path.name for path in (folder.path / "run").iterdir()) == ["backup.lock"]


def test_only_its_owner_may_read_it(folder: Folder, tmp_path: Path) -> None:
    take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600


def test_a_file_that_is_there_is_replaced_only_when_told_so(folder: Folder, tmp_path: Path) -> None:
    target = tmp_path / "b.tar"
    target.write_bytes(b"precious")
    with pytest.raises(BackupError, match="--force"):
        take_backup(folder.path, target, SILENT)
    assert target.read_bytes() == b"precious"
    take_backup(folder.path, target, SILENT, force=True)
    verify_backup(target, SILENT)


@pytest.mark.parametrize("name", ["none/b.tar", "."])
def test_a_target_that_cannot_be_is_refused_before_anything_is_done(folder: Folder, tmp_path: Path, name: str) -> None:
    with pytest.raises(BackupError):
        take_backup(folder.path, tmp_path / name, SILENT)
    assert not (folder.path / "run").exists()


def test_a_link_that_leads_nowhere_is_not_written_through(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "b.tar").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BackupError, match="already exists"):
        take_backup(folder.path, tmp_path / "b.tar", SILENT)


def test_a_stream_gets_the_same_archive(folder: Folder, tmp_path: Path) -> None:
    out = io.BytesIO()
    take_backup(folder.path, out, SILENT)
    (tmp_path / "b.tar").write_bytes(out.getvalue())
    verify_backup(tmp_path / "b.tar", SILENT)


def test_a_full_disk_is_said_to_be_full(folder: Folder) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(BackupError, match="disk is full"):
        take_backup(folder.path, full, SILENT)


def test_a_reader_that_goes_away_is_no_riddle(folder: Folder) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BackupError, match="ended too early"), os.fdopen(writing, "wb", buffering=0) as out:
        take_backup(folder.path, out, SILENT)


def test_too_little_room_is_noticed_before_anything_is_written(folder: Folder, tmp_path: Path) -> None:
    os.truncate(folder.path / "facts.duckdb", 1 << 43)  # sparse: 8 TiB that take no room
    with pytest.raises(BackupError, match="not enough space"):
        take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("missing", ["ledger.sqlite", "facts.duckdb"])
def test_a_folder_without_a_store_is_refused_and_never_made(folder: Folder, tmp_path: Path, missing: str) -> None:
    (folder.path / missing).unlink()
    with pytest.raises(BackupError, match=str(folder.path)):
        take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert not (tmp_path / "b.tar").exists()


def test_a_folder_that_no_tracker_has_used_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no ledger"):
        take_backup(tmp_path / "nowhere", tmp_path / "b.tar", SILENT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("store", "at"), [("ledger.sqlite", 4096 * 3), ("facts.duckdb", 4096 * 3 + 100)])
def test_a_damaged_store_replaces_no_good_backup(folder: Folder, tmp_path: Path, store: str, at: int) -> None:
    target = tmp_path / "b.tar"
    take_backup(folder.path, target, SILENT)
    good = target.read_bytes()
    with (folder.path / store).open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * 4096)
    with pytest.raises(BackupError, match="damaged"):
        take_backup(folder.path, target, SILENT, force=True)
    assert target.read_bytes() == good
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "data"]


class _Waits(io.BytesIO):
    """A slow reader, which keeps a backup running for as long as a test needs."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.go_on = threading.Event(), threading.Event()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.began.set()
        assert self.go_on.wait(30)
        return super().write(data)


def test_a_second_backup_of_the_same_folder_is_refused_while_the_first_runs(folder: Folder, tmp_path: Path) -> None:
    slow = _Waits()
    first = threading.Thread(target=take_backup, args=(folder.path, slow, SILENT))
    first.start()
    assert slow.began.wait(30)
    with pytest.raises(BackupError, match=f"process {os.getpid()}"):
        take_backup(folder.path, tmp_path / "b.tar", SILENT)
    slow.go_on.set()
    first.join()
    (tmp_path / "first.tar").write_bytes(slow.getvalue())
    verify_backup(tmp_path / "first.tar", SILENT)
    take_backup(folder.path, tmp_path / "b.tar", SILENT)


def test_a_tracker_can_be_started_while_the_archive_is_written(folder: Folder) -> None:
    slow = _Waits()
    writing = threading.Thread(target=take_backup, args=(folder.path, slow, SILENT))
    writing.start()
    assert slow.began.wait(30)
    from clickloop.running.supervisor import take_folder

    os.close(take_folder(folder.path))
    slow.go_on.set()
    writing.join()


def test_what_a_killed_backup_left_is_removed_by_the_next(folder: Folder, tmp_path: Path) -> None:
    left = tmp_path / ".clickloop-backup-dead"
    left.mkdir()
    for name in ("lock", "archive"):
        (left / name).write_bytes(b"")
    take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert not left.exists()
    with contextlib.suppress(FileNotFoundError):
        assert not list((folder.path / "run").glob(".clickloop-backup-*"))


def test_page_events_are_in_it_whether_settled_or_not_each_once(folder: Folder, tmp_path: Path) -> None:
    writer = JournalWriter.open(folder.path / "journal", PAGE_EVENTS_STREAM, "edge1", clock=lambda: NOW)
    views = [
        PageEvent(event_id=f"e{number}", at=NOW, kind=PageEventKind.LANDING_VIEW, click_id=folder.clicks[number])
        for number in range(3)
    ]
    writer.append(msgspec.json.encode(views[0]))
    writer.close_segment()
    settled_page_events(folder.path)
    writer.append(msgspec.json.encode(views[1]))
    writer.close_segment()
    writer.append(msgspec.json.encode(views[2]))
    manifest = take_backup(folder.path, tmp_path / "b.tar", SILENT)
    writer.close()
    assert manifest.counts.page_events_in_journal == 2
    restore(tmp_path / "b.tar", tmp_path / "restored", SILENT, NOW, hold=True)
    assert settled_page_events(tmp_path / "restored") == 3


def settled_page_events(folder: Path) -> int:
    """Settle a folder's page events, and return the number of landing views."""
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    reader = JournalReader(folder / "journal", folder / "settled")
    while settle_page_events(reader, facts, NOW).segments:
        pass
    views = sums_of(facts).landing_views
    facts.close()
    return views
