"""The place of a data folder, by which a copy is noticed before it sends anything.

A copy that is started sends again what the original delivers. So the folder remembers where it was used: its path, inode, file
system and machine. After a rename, or with another mount point or host name, it is still the same place; a copy has another
inode, and the clone of a volume is on another machine. The supervisor loads this module, so it has few imports.
"""

import contextlib
import enum
import fcntl
import os
from pathlib import Path

import msgspec

from clickloop.clock import iso_text
from clickloop.machine.file_lock import holder_of
from clickloop.machine.replacing_file import replace_file
from clickloop.store.delivery_hold import hold_deliveries

FILE_NAME = "place.json"
RESTORING = "restoring"
"""Name of a folder within the data folder that exists during a restore."""
LOCK_FILE = "lock"
_MACHINE_ID = Path("/etc/machine-id")


class FolderOrigin(enum.StrEnum):
    """The user's answer on whether a folder that starts in a new location was moved or copied."""

    UNSAID = ""
    MOVED = "moved"
    """The original is no longer used."""
    COPY = "copy"
    """The original may still be used: this folder sends nothing until a user releases its postbacks."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """The backup that a folder was restored from."""

    backup_made_at: int
    restored_at: int


class FolderPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a data folder was last used. Empty or 0 means unknown."""

    path: str
    inode: int
    device: int
    file_system: int
    """The file system's id, which survives a reboot, unlike the device number."""
    machine: str
    used_at: int
    restored: Restored | None = None


class PlaceError(Exception):
    """The folder must not be started as it is; the message says why and what to do."""


class _DamagedPlaceError(Exception):
    """The file exists but cannot be parsed."""


def place_of(folder: Path, now_ms: int) -> FolderPlace:
    """Return the current place of a folder. Raise OSError."""
    state = folder.stat()
    try:
        machine = _MACHINE_ID.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        machine = ""
    return FolderPlace(
        path=str(folder.resolve()),
        inode=state.st_ino,
        device=state.st_dev,
        file_system=os.statvfs(folder).f_fsid,
        machine=machine,
        used_at=now_ms,
    )


def is_same(last: FolderPlace, now: FolderPlace) -> bool:
    """Return whether the folder is the one used last, not a copy of it."""
    if last.inode != now.inode:
        return False
    # Containers often have no machine id, so only two different ids prove anything.
    if last.machine and now.machine and last.machine != now.machine:
        return False
    # The root of a volume has the same inode on every volume of its kind, so the inode is not enough. Most file systems derive
    # their id from a UUID; XFS derives it from the device number, which changes with the order of disks at boot.
    both_known = last.file_system and now.file_system
    if last.file_system == now.file_system if both_known else last.device == now.device:
        return True
    return bool(last.machine) and last.machine == now.machine and last.path == now.path


def update_place(folder: Path, origin: FolderOrigin, now_ms: int) -> FolderPlace:
    """Record where a folder is now, and return it. Call it while the folder is locked.

    If a damaged file does not tell whether the folder is a copy, hold its postbacks until a user releases them.
    Raise PlaceError for an unfinished restore, and for a copy with an ``origin`` of UNSAID. Raise OSError if the postbacks of a
    copy cannot be held, or the folder cannot be read.
    """
    if (folder / RESTORING).exists():
        raise PlaceError(
            f"A restore into {folder} has not finished: run it again with --force, which moves existing files aside."
        )
    now = place_of(folder, now_ms)
    try:
        last = _read(folder)
    except _DamagedPlaceError:
        last = None
        if origin is not FolderOrigin.MOVED:
            # It may be a copy: start it, so that visitors are redirected and everything is recorded, but send nothing.
            hold_deliveries(
                folder, f"{FILE_NAME} is damaged, so this may be a copy of a folder in use elsewhere", now_ms
            )
    if last is not None and not is_same(last, now):
        if origin is FolderOrigin.UNSAID:
            raise PlaceError(_refusal(folder, last))
        if origin is FolderOrigin.MOVED and (holder := _holder_of_original(folder, last)):
            raise PlaceError(
                f"The data folder {folder} was not moved: it is a copy of {last.path}, which is in use now (process {holder}). "
                "Both would send the same postbacks. Stop that one first, or start this one with --as-copy."
            )
        if origin is FolderOrigin.COPY:
            # Before the place is written: if the process is killed in between, the copy is still refused.
            hold_deliveries(folder, f"this is a copy of the data folder {last.path}", now_ms)
    place = msgspec.structs.replace(now, restored=last.restored if last else None)
    # A full or read-only disk must not keep a restarted machine from redirecting visitors. The old place stays in the file then,
    # and a copy of the folder is still refused.
    with contextlib.suppress(OSError):
        write_place(folder, place)
    return place


def write_place(folder: Path, place: FolderPlace) -> None:
    """Write the place into the folder. Raise OSError."""
    replace_file(folder / FILE_NAME, msgspec.json.encode(place))


def _read(folder: Path) -> FolderPlace | None:
    """Return the last place; None for a new folder, or one of an old version. Raise _DamagedPlaceError or OSError."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=FolderPlace)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _DamagedPlaceError from error


def _refusal(folder: Path, last: FolderPlace) -> str:
    used = f" at {iso_text(last.used_at)}" if last.used_at else ""
    return (
        f"The data folder {folder} is a copy of a folder that was last started{used} at {last.path}{_whereabouts(folder, last)}. "
        "Two trackers on copies of one folder would send the same postbacks twice. If you have moved it and no longer use the "
        "original, start it once with --moved. To try it beside the original, use --as-copy, which holds all postbacks until you "
        "release them."
    )


def _whereabouts(folder: Path, last: FolderPlace) -> str:
    """Return what is known about the original, as the end of a sentence; a folder on another machine is out of sight."""
    try:
        if Path(last.path) == folder.resolve():
            return ", on another disk or machine"
        holder = _holder(Path(last.path))
    except OSError:
        return ", where no data folder is now"
    return f", which is in use now (process {holder})" if holder else ", which is still there"


def _holder_of_original(folder: Path, last: FolderPlace) -> str:
    """Return the process that has the original open; empty if none can be seen from here."""
    original = Path(last.path)
    with contextlib.suppress(OSError):
        # The old path may belong to another installation by now.
        if original != folder.resolve() and original.stat().st_ino == last.inode:
            return _holder(original)
    return ""


def _holder(original: Path) -> str:
    """Return the process id of the server on a data folder, or an empty string. Raise OSError if it is not a data folder."""
    lock = os.open(original / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # The descriptor is closed at once, so that a start of the original is not refused.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return holder_of(lock)
    finally:
        os.close(lock)
    return ""
