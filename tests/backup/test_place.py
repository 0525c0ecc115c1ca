"""A data folder knows its place: a renamed folder is not taken for a copy, and a copy is noticed before anything is sent."""

import fcntl
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from clickloop.backup.place import FILE_NAME, RESTORING, FolderOrigin, PlaceError, is_same, place_of, update_place
from clickloop.running.supervisor import CannotStartError, take_folder
from clickloop.store.delivery_hold import UNREADABLE, DeliveryHold, hold_deliveries, read_hold

NOW = 1_800_000_000_000


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A folder that has been started here."""
    folder = tmp_path / "data"
    folder.mkdir()
    update_place(folder, FolderOrigin.UNSAID, NOW)
    return folder


def copied(folder: Path, name: str = "copy") -> Path:
    target = folder.with_name(name)
    shutil.copytree(folder, target)
    return target


def test_the_same_folder_starts_again_and_again(used: Path) -> None:
    for hour in range(3):
        assert update_place(used, FolderOrigin.UNSAID, NOW + hour).used_at == NOW + hour


def test_a_renamed_folder_starts_without_a_word_and_is_at_its_new_place(used: Path) -> None:
    renamed = used.rename(used.with_name("renamed"))
    assert update_place(renamed, FolderOrigin.UNSAID, NOW).path == str(renamed)


def test_a_folder_reached_over_a_link_is_the_same(used: Path) -> None:
    link = used.with_name("link")
    link.symlink_to(used)
    update_place(link, FolderOrigin.UNSAID, NOW)


def test_a_copy_is_refused_and_the_refusal_names_the_original_the_moment_and_both_options(used: Path) -> None:
    with pytest.raises(PlaceError) as refused:
        update_place(copied(used), FolderOrigin.UNSAID, NOW)
    for part in (str(used), "2027-01-15T08:00:00", "--moved", "--as-copy"):
        assert part in str(refused.value)


def test_a_refused_copy_is_refused_again(used: Path) -> None:
    copy = copied(used)
    for _ in range(2):
        with pytest.raises(PlaceError):
            update_place(copy, FolderOrigin.UNSAID, NOW)


def test_a_refusal_says_that_the_original_is_in_use(used: Path) -> None:
    copy = copied(used)
    lock = take_folder(used)
    try:
        with pytest.raises(PlaceError, match=f"which is in use now \\(process {os.getpid()}\\)"):
            update_place(copy, FolderOrigin.UNSAID, NOW)
    finally:
        os.close(lock)


def test_a_copy_is_not_taken_for_moved_while_its_original_is_in_use(used: Path) -> None:
    copy = copied(used)
    lock = take_folder(used)
    try:
        with pytest.raises(PlaceError, match=f"was not moved: .*in use now \\(process {os.getpid()}\\)"):
            update_place(copy, FolderOrigin.MOVED, NOW)
    finally:
        os.close(lock)
    assert update_place(copy, FolderOrigin.MOVED, NOW).path == str(copy)


def test_a_refusal_says_that_the_original_is_gone(used: Path) -> None:
    copy = copied(used)
    shutil.rmtree(used)
    with pytest.raises(PlaceError, match="where no data folder is now"):
        update_place(copy, FolderOrigin.UNSAID, NOW)


def test_a_copy_in_the_place_of_the_original_is_noticed(used: Path) -> None:
    copy = copied(used)
    used.rename(used.with_name("old"))
    put = copy.rename(used)
    with pytest.raises(PlaceError, match="on another disk or machine"):
        update_place(put, FolderOrigin.UNSAID, NOW)


def test_a_moved_folder_starts_once_told_so_and_sends(used: Path) -> None:
    copy = copied(used)
    update_place(copy, FolderOrigin.MOVED, NOW)
    update_place(copy, FolderOrigin.UNSAID, NOW)
    assert read_hold(copy) is None


def test_a_started_copy_holds_its_postbacks_until_they_are_released(used: Path) -> None:
    copy = copied(used)
    update_place(copy, FolderOrigin.COPY, NOW)
    update_place(copy, FolderOrigin.UNSAID, NOW)
    hold = DeliveryHold(copy)
    assert hold.current is not None
    assert str(used) in hold.current.why
    assert hold.release()
    assert not hold.release()
    assert read_hold(copy) is None
    assert read_hold(used) is None


def test_the_options_do_nothing_to_a_folder_in_its_place(used: Path) -> None:
    for origin in (FolderOrigin.COPY, FolderOrigin.MOVED):
        update_place(used, origin, NOW)
    assert read_hold(used) is None


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"null", b'{"path":1}', b"\xff" * 20, b'{"path":"\xb1"}'])
def test_a_folder_whose_place_is_damaged_starts_and_holds_its_postbacks(used: Path, damaged: bytes) -> None:
    (used / FILE_NAME).write_bytes(damaged)
    assert update_place(used, FolderOrigin.UNSAID, NOW).path == str(used)
    hold = read_hold(used)
    assert hold is not None
    assert "place.json is damaged" in hold.why


def test_a_folder_whose_place_is_damaged_and_that_was_moved_holds_nothing(used: Path) -> None:
    (used / FILE_NAME).write_bytes(b"{")
    update_place(used, FolderOrigin.MOVED, NOW)
    assert read_hold(used) is None


def test_a_place_that_cannot_be_written_keeps_no_tracker_from_starting(used: Path) -> None:
    (used / f"{FILE_NAME}.{os.getpid()}.new").mkdir()  # where the fresh file would be written
    assert update_place(used, FolderOrigin.UNSAID, NOW + 1).used_at == NOW + 1


def test_an_unfinished_restore_is_never_started(used: Path) -> None:
    (used / RESTORING).mkdir()
    for origin in FolderOrigin:
        with pytest.raises(PlaceError, match="has not finished"):
            update_place(used, origin, NOW)


def test_the_place_holds_over_boots_containers_and_mounts_and_a_clone_elsewhere_does_not(tmp_path: Path) -> None:
    here = msgspec.structs.replace(
        place_of(tmp_path, NOW), path="/data", machine="a", inode=2, device=5, file_system=77
    )
    change = msgspec.structs.replace
    assert is_same(here, change(here, device=6)), "another number at this boot"
    assert is_same(here, change(here, path="/mnt/data")), "another mount point"
    assert is_same(here, change(here, machine="")), "a container without an ID"
    assert is_same(here, change(here, device=6, file_system=78)), "XFS, another order of disks"
    assert is_same(change(here, file_system=0), change(here, file_system=0, path="/other")), "no ID of the file system"
    assert not is_same(here, change(here, machine="b")), "a cloned volume on another machine"
    assert not is_same(here, change(here, inode=3))
    assert not is_same(here, change(here, file_system=78, path="/other")), "the root of another volume"
    nameless = change(here, machine="")
    assert not is_same(nameless, change(nameless, file_system=78)), "the root of another volume in a container"


def test_the_server_refuses_a_copy_and_lets_go_of_it(used: Path) -> None:
    copy = copied(used)
    for _ in range(2):
        with pytest.raises(CannotStartError, match="--moved"):
            take_folder(copy)
    with (copy / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_hold_that_cannot_be_read_holds(tmp_path: Path) -> None:
    hold_deliveries(tmp_path, "of a reason", NOW)
    (tmp_path / "delivery-hold.json").write_bytes(b'{"since":1,"why":"\xb1"}')
    hold = DeliveryHold(tmp_path)
    assert hold.current is not None
    assert hold.current.why == UNREADABLE
    assert hold.release()
    assert read_hold(tmp_path) is None
