"""The place of a data folder: a folder that was copied and is started beside its original is noticed before it sends anything.

A started copy sends again what the original delivers. So the folder remembers where it was used: its path, what the file system
calls it, and the machine. A rename, another mount point of the same volume, or another name of the machine is the same place;
a copy has another inode, and a clone of a volume is on another machine. This module is loaded by the supervisor and stays light.
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
"""A folder within the data folder while a restore into it is not finished."""
LOCK_FILE = "lock"
_MACHINE_ID = Path("/etc/machine-id")


class Origin(enum.StrEnum):
    """The user's word for a folder that is started at another place than before."""

    UNSAID = ""
    MOVED = "moved"
    """The original is not used any more."""
    COPY = "copy"
    """The original may go on: nothing is sent from here until somebody releases it."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """From which backup a folder was restored."""

    backup_made_at: int
    restored_at: int


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a data folder was used last. Empty or 0: unknown."""

    path: str
    inode: int
    device: int
    file_system: int
    """The file system's own id, which holds over boots where the device's number may not."""
    machine: str
    used_at: int
    restored: Restored | None = None


class PlaceError(Exception):
    """The folder must not be started as it is; the text says why and what to do."""


class _DamagedPlaceError(Exception):
    """The file is there and does not tell where the folder was."""


def place_of(folder: Path, now_ms: int) -> Place:
    """Return where a folder is. Raise OSError."""
    state = folder.stat()
    try:
        machine = _MACHINE_ID.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        machine = ""
    return Place(
        path=str(folder.resolve()),
        inode=state.st_ino,
        device=state.st_dev,
        file_system=os.statvfs(folder).f_fsid,
        machine=machine,
        used_at=now_ms,
    )


def is_same(last: Place, now: Place) -> bool:
    """Return whether the folder is the one that was used last, and not a copy of it."""
    if last.inode != now.inode:
        return False
    # A container often has no id of its machine, and a new one gets none either: only two different ones say something.
    if last.machine and now.machine and last.machine != now.machine:
        return False
    # The root of a volume has the same inode on every volume of its kind, so the inode alone says nothing. The file system's
    # own id is made of its UUID by most; XFS makes it of the device's number, which another order of disks at boot changes.
    both_known = last.file_system and now.file_system
    if last.file_system == now.file_system if both_known else last.device == now.device:
        return True
    return bool(last.machine) and last.machine == now.machine and last.path == now.path


def settle_place(folder: Path, origin: Origin, now_ms: int) -> Place:
    """Make a folder's place the one where it is, and return it. Call it while the folder is locked.

    Where a damaged file does not tell whether the folder is a copy, its postbacks are held until somebody releases them.
    Raise PlaceError for an unfinished restore, and for a copy that nobody has said to be one. Raise OSError for a copy that cannot
    be held, and for a folder that cannot be read.
    """
    if (folder / RESTORING).exists():
        raise PlaceError(
            f"A restore into {folder} has not finished: run it again with --force, which moves aside what is there."
        )
    now = place_of(folder, now_ms)
    try:
        last = _read(folder)
    except _DamagedPlaceError:
        last = None
        if origin is not Origin.MOVED:
            # It may be a copy or not: visitors are redirected and everything is recorded, and nothing can be sent twice.
            hold_deliveries(
                folder, f"{FILE_NAME} is damaged, so this may be a copy of a folder in use elsewhere", now_ms
            )
    if last is not None and not is_same(last, now):
        if origin is Origin.UNSAID:
            raise PlaceError(_refusal(folder, last))
        if origin is Origin.MOVED and (holder := _holder_of_original(folder, last)):
            raise PlaceError(
                f"The data folder {folder} was not moved: {last.path}, of which it is a copy, is in use now (process {holder}). Both would "
                "send the same postbacks. Stop that one first, or start this one with --as-copy."
            )
        if origin is Origin.COPY:
            # Before the place is written: killed between the two, the copy is still refused.
            hold_deliveries(folder, f"this is a copy of the data folder {last.path}", now_ms)
    place = msgspec.structs.replace(now, restored=last.restored if last else None)
    # A full or read-only disk must not keep a machine that was restarted from redirecting visitors. Unwritten, the place stays what
    # it was, and a copy of the folder is refused all the same.
    with contextlib.suppress(OSError):
        write_place(folder, place)
    return place


def write_place(folder: Path, place: Place) -> None:
    """Write the place into the folder. Raise OSError."""
    replace_file(folder / FILE_NAME, msgspec.json.encode(place))


def _read(folder: Path) -> Place | None:
    """Return the last place; None: the folder is new, or of a version that did not write it. Raises _DamagedPlaceError, OSError."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Place)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _DamagedPlaceError from error


def _refusal(folder: Path, last: Place) -> str:
    used = f" at {iso_text(last.used_at)}" if last.used_at else ""
    return (
        f"The data folder {folder} is a copy of a folder that was last started{used} at {last.path}{_whereabouts(folder, last)}. "
        "Two trackers on copies of one folder would send the same postbacks twice. If it was moved and the other is no longer used, "
        "start it once with --moved. To try it beside the other, use --as-copy, which holds all postbacks until you release them."
    )


def _whereabouts(folder: Path, last: Place) -> str:
    """Return what is known of the original, as the end of a sentence; another machine's folder cannot be seen."""
    try:
        if Path(last.path) == folder.resolve():
            return ", on another disk or machine"
        holder = _holder(Path(last.path))
    except OSError:
        return ", where no data folder is now"
    return f", which is in use now (process {holder})" if holder else ", which is still there"


def _holder_of_original(folder: Path, last: Place) -> str:
    """Return the process that has the original open; empty: none that can be seen from here."""
    original = Path(last.path)
    with contextlib.suppress(OSError):
        # By now there may be another installation at the old path.
        if original != folder.resolve() and original.stat().st_ino == last.inode:
            return _holder(original)
    return ""


def _holder(original: Path) -> str:
    """Return the process id of the server on a data folder; empty: there is none. Raise OSError where there is no data folder."""
    lock = os.open(original / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Only tried: the descriptor is closed at once, so no start of the original is kept waiting.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return holder_of(lock)
    finally:
        os.close(lock)
    return ""
