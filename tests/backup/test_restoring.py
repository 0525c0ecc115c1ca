"""Restoring: an intact backup is restored completely, and any other leaves the folder unchanged."""

import fcntl
import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from clickloop import __version__
from clickloop.backup.archive import BLOCK, ArchiveWriter
from clickloop.backup.manifest import FORMAT, BackupError, BackupMarks, Counts, Manifest
from clickloop.backup.place import RESTORING, FolderOrigin, FolderPlace, PlaceError, update_place
from clickloop.backup.restoring import restore
from clickloop.backup.taking import take_backup, verify_backup
from clickloop.store.delivery_hold import read_hold
from clickloop.store.ledger.migrations import HEAD, knows_revision
from tests.backup.folders import NOW, SILENT, Folder, ledger_rows, settled_clicks


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Folder]]:
    """A backup of a folder."""
    folder = Folder(tmp_path_factory.mktemp("backup") / "data")
    folder.visit(2)
    file = folder.path.with_name("b.tar")
    take_backup(folder.path, file, SILENT)
    yield file, folder
    folder.close()


@pytest.fixture(scope="module")
def file(made: tuple[Path, Folder]) -> Path:
    return made[0]


def tree_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_restored_folder_holds_what_the_original_held(made: tuple[Path, Folder], tmp_path: Path) -> None:
    file, folder = made
    target = tmp_path / "deep" / "data"
    restored = restore(file, target, SILENT, NOW, hold=False)
    assert restored.aside is None
    assert restored.manifest == verify_backup(file, SILENT)
    assert (target / "click_id.key").read_bytes() == (folder.path / "click_id.key").read_bytes()
    assert ledger_rows(target, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert settled_clicks(target) == sorted(folder.clicks)
    assert not (target / RESTORING).exists()


def test_a_restored_folder_is_at_its_place_knows_its_backup_and_starts(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    manifest = restore(file, target, SILENT, NOW, hold=False).manifest
    place = update_place(target, FolderOrigin.UNSAID, NOW + 1)
    assert place.restored is not None
    assert (place.restored.backup_made_at, place.restored.restored_at) == (manifest.made_at, NOW)


def test_nobody_else_may_read_a_restored_folder(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    restore(file, target, SILENT, NOW, hold=False)
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*") if path.is_file()} == {0o600}


@pytest.mark.parametrize("hold", [True, False])
def test_postbacks_are_held_if_it_was_said_so(file: Path, tmp_path: Path, hold: bool) -> None:
    restore(file, tmp_path / "data", SILENT, NOW, hold=hold)
    found = read_hold(tmp_path / "data")
    assert (found is not None) == hold
    assert found is None or "restored from a backup of" in found.why


def test_a_folder_that_is_not_empty_is_refused_and_stays_as_it_was(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "ledger.sqlite").write_bytes(b"precious")
    with pytest.raises(BackupError, match=r"not empty, it has ledger\.sqlite\..*--force"):
        restore(file, target, SILENT, NOW, hold=True)
    assert (target / "ledger.sqlite").read_bytes() == b"precious"


def test_with_force_what_was_there_is_moved_aside_each_time(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "ledger.sqlite").write_bytes(b"precious")
    first = restore(file, target, SILENT, NOW, hold=True, force=True)
    second = restore(file, target, SILENT, NOW, hold=False, force=True)
    assert first.aside is not None
    assert second.aside is not None
    assert tree_of(first.aside) == {"ledger.sqlite": b"precious"}
    assert (second.aside / "facts.duckdb").is_file()
    assert read_hold(target) is None
    update_place(target, FolderOrigin.UNSAID, NOW)


def test_an_empty_folder_and_a_fresh_file_system_are_filled(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    (target / "lost+found").mkdir(parents=True)
    restore(file, target, SILENT, NOW, hold=True)
    assert (target / "ledger.sqlite").is_file()


def test_a_folder_in_use_is_refused_even_with_force(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    with (target / "lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="in use \\(process 4711\\)"):
            restore(file, target, SILENT, NOW, hold=True, force=True)
    assert [path.name for path in target.iterdir()] == ["lock"]


def test_a_folder_whose_killed_tracker_is_still_ending_is_refused_and_stays_as_it_was(
    file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "data"
    restore(file, target, SILENT, NOW, hold=True)
    ending = subprocess.Popen(
        [sys.executable, "-c", _HOLDS_FACTS, str(target / "facts.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert ending.stdout is not None
    assert ending.stdout.readline() == b"open\n"
    before = sorted(path.name for path in target.iterdir())
    try:
        with pytest.raises(BackupError, match="still ending"):
            restore(file, target, SILENT, NOW, hold=True, force=True)
        assert sorted(path.name for path in target.iterdir()) == before
    finally:
        ending.communicate(b"")
    restore(file, target, SILENT, NOW, hold=True, force=True)


_HOLDS_FACTS = "import duckdb, sys; facts = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@pytest.mark.parametrize("force", [False, True])
def test_a_link_in_the_place_of_what_is_unpacked_into_is_not_followed(file: Path, tmp_path: Path, force: bool) -> None:
    target, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    target.mkdir()
    elsewhere.mkdir()
    (elsewhere / "precious").write_bytes(b"x")
    (target / "restoring").symlink_to(elsewhere)
    with pytest.raises(BackupError, match="not a folder made by a restore"):
        restore(file, target, SILENT, NOW, hold=True, force=force)
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]
    (target / "restoring").unlink()
    restore(file, target, SILENT, NOW, hold=True, force=force)


def test_a_file_in_the_place_of_the_folder_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x")
    with pytest.raises(BackupError, match="not a folder"):
        restore(file, tmp_path / "data", SILENT, NOW, hold=True)


def damaged(file: Path, tmp_path: Path, change: Callable[[bytearray], bytes]) -> Path:
    target = tmp_path / "damaged.tar"
    target.write_bytes(change(bytearray(file.read_bytes())))
    return target


def test_damage_anywhere_leaves_nothing(file: Path, tmp_path: Path) -> None:
    size = file.stat().st_size
    for at in range(100, size, size // 60):

        def flip(data: bytearray, at: int = at) -> bytes:
            data[at] ^= 0x10
            return bytes(data)

        with pytest.raises(BackupError):
            restore(damaged(file, tmp_path, flip), tmp_path / "data", SILENT, NOW, hold=True)
        assert not (tmp_path / "data").exists()


def test_a_cut_at_any_border_leaves_nothing(file: Path, tmp_path: Path) -> None:
    blocks = file.stat().st_size // BLOCK
    for block in {*range(0, blocks, max(1, blocks // 60)), blocks - 3, blocks - 2, blocks - 1}:
        cut = damaged(file, tmp_path, lambda data, end=block * BLOCK: bytes(data[:end]))  # type: ignore[misc]
        with pytest.raises(BackupError):
            restore(cut, tmp_path / "data", SILENT, NOW, hold=True)
        assert not (tmp_path / "data").exists()


def test_damage_leaves_a_folder_that_was_to_be_moved_aside_as_it_was(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "ledger.sqlite").write_bytes(b"precious")
    middle = file.stat().st_size // 2

    def flip(data: bytearray) -> bytes:
        data[middle] ^= 1
        return bytes(data)

    with pytest.raises(BackupError, match="damaged"):
        restore(damaged(file, tmp_path, flip), target, SILENT, NOW, hold=True, force=True)
    assert tree_of(target) == {"ledger.sqlite": b"precious", "lock": b""}


@pytest.mark.parametrize("foreign", ["nothing", "folder", "fifo", "text"])
def test_what_is_no_backup_is_refused_in_words(tmp_path: Path, foreign: str) -> None:
    path = tmp_path / "b.tar"
    if foreign == "folder":
        path.mkdir()
    elif foreign == "text":
        path.write_text("hello")
    elif foreign == "fifo":
        path.symlink_to("/dev/null")
    with pytest.raises(BackupError, match=r"no file|not a regular file|cannot be read|not a Clickloop backup"):
        restore(path, tmp_path / "data", SILENT, NOW, hold=True)
    assert not (tmp_path / "data").exists()


def archive_with(tmp_path: Path, files: dict[str, bytes], **fields: object) -> Path:
    out = io.BytesIO()
    writer = ArchiveWriter(out, __version__, NOW, lambda _size: None)
    for name, data in files.items():
        writer.add_bytes(name, data)
    usual = {
        "format": FORMAT,
        "clickloop": __version__,
        "made_at": NOW,
        "ledger_schema": HEAD,
        "folder": "/data",
        "counts": Counts(),
        "marks": BackupMarks(),
        "files": writer.entries,
    }
    writer.finish(Manifest(**usual | fields))  # type: ignore[arg-type]
    path = tmp_path / "made.tar"
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize(
    "name",
    ["lock", "run/core.json", "restoring/x", "place.json", "delivery-hold.json", "before-restore-x/y", "reserve"],
)
def test_files_that_no_backup_holds_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BackupError, match="which no backup of ours does"):
        restore(archive_with(tmp_path, {name: b"x"}), tmp_path / "data", SILENT, NOW, hold=True)
    assert not (tmp_path / "data").exists()


def test_a_ledger_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="newer Clickloop"):
        restore(archive_with(tmp_path, {"a": b""}, ledger_schema="9999"), tmp_path / "data", SILENT, NOW, hold=True)
    assert knows_revision(HEAD)
    assert not knows_revision("9999")


def test_a_restore_that_was_ended_while_it_put_things_in_place_cannot_be_started_but_run_again(
    file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "data"
    restore(file, target, SILENT, NOW, hold=True)
    (target / RESTORING).mkdir()
    (target / "facts.duckdb").rename(target / RESTORING / "facts.duckdb")
    with pytest.raises(PlaceError):
        update_place(target, FolderOrigin.UNSAID, NOW)
    with pytest.raises(BackupError, match="not finished"):
        restore(file, target, SILENT, NOW, hold=True)
    restore(file, target, SILENT, NOW, hold=True, force=True)
    update_place(target, FolderOrigin.UNSAID, NOW)
    assert (target / "facts.duckdb").is_file()


def test_a_half_restored_folder_is_not_startable_after_a_second_restore_that_failed(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    restore(file, target, SILENT, NOW, hold=True)
    (target / RESTORING).mkdir()
    (target / "journal").rename(target / RESTORING / "journal")  # killed before the journal was in its place
    middle = file.stat().st_size // 2
    other = damaged(
        file, tmp_path, lambda data: bytes(data[:middle]) + bytes([data[middle] ^ 1]) + bytes(data[middle + 1 :])
    )
    with pytest.raises(BackupError):
        restore(other, target, SILENT, NOW, hold=True, force=True)
    with pytest.raises(PlaceError, match="has not finished"):
        update_place(target, FolderOrigin.UNSAID, NOW)


def test_a_restore_that_was_killed_while_it_unpacked_is_simply_run_again(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    (target / RESTORING / "journal").mkdir(parents=True)
    (target / RESTORING / "ledger.sqlite").write_bytes(b"half")
    restore(file, target, SILENT, NOW, hold=True)
    assert ledger_rows(target, "SELECT count(*) FROM conversions") == [(0,)]


def test_a_restored_place_is_what_is_written(file: Path, tmp_path: Path) -> None:
    restore(file, tmp_path / "data", SILENT, NOW, hold=False)
    place = msgspec.json.decode((tmp_path / "data" / "place.json").read_bytes(), type=FolderPlace)
    assert (place.path, place.inode) == (str(tmp_path / "data"), os.stat(tmp_path / "data").st_ino)
