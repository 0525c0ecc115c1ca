"""Restoring: the archive is unpacked and verified within the target folder, and only then moved into place.

Meanwhile the folder has a subfolder ``restoring``, with which no tracker starts; removing that completes the restore.
Existing files are never deleted: with ``force`` they are moved aside within the folder, which may be a mount point.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from clickloop.backup.archive import Archive
from clickloop.backup.manifest import HEAD_NAME, BackupError, Manifest
from clickloop.backup.place import FILE_NAME as PLACE_FILE
from clickloop.backup.place import LOCK_FILE, RESTORING, Restored, place_of, write_place
from clickloop.backup.progress import ConsoleProgress
from clickloop.backup.quiet import is_open
from clickloop.backup.taking import open_archive
from clickloop.clock import iso_text
from clickloop.machine.file_lock import LockedError, take_lock
from clickloop.store.delivery_hold import FILE_NAME as HOLD_FILE
from clickloop.store.delivery_hold import hold_deliveries
from clickloop.store.directory import make_directories, sync_directory
from clickloop.store.identity import FACTS_FILE
from clickloop.store.ledger.migrations import HEAD, knows_revision

ASIDE = "before-restore-"
_MARGIN_BYTES = 64 * 1024 * 1024  # for directories, the stores' logs, and what the tracker writes in its first minutes
_IGNORED = frozenset({LOCK_FILE, "lost+found"})
"""Names that do not count as contents: our lock, and the folder of a new file system."""
_RESERVED = frozenset({LOCK_FILE, RESTORING, PLACE_FILE, HOLD_FILE, "run", "reserve"})


class Restoration(msgspec.Struct, frozen=True):
    """The restored backup, and the folder with the earlier contents, if there were any."""

    manifest: Manifest
    aside: Path | None


def restore(
    path: Path, folder: Path, progress: ConsoleProgress, now_ms: int, *, hold: bool, force: bool = False
) -> Restoration:
    """Restore a backup into a data folder. ``hold``: send no postbacks until a user releases them.

    Raise BackupError for a backup that is not intact, and for a folder that is in use or, without ``force``, not empty; the
    folder is then unchanged.
    """
    with open_archive(path) as archive:
        manifest = archive.manifest
        _check_contents(manifest)
        try:
            with _taken(folder) as is_new:
                _check_ended(folder)
                _check_empty(folder, force)
                _check_room(folder, manifest)
                staging = folder / RESTORING
                if os.path.lexists(staging) and (staging.is_symlink() or not staging.is_dir()):
                    # Emptying the target of a link would delete other files.
                    raise BackupError(f"{staging} is not a folder made by a restore: check what it is, and remove it.")
                # An earlier restore may have moved some files into place: until one is finished, the folder must not start.
                is_half = staging.exists() and any(
                    entry.name not in _IGNORED for entry in folder.iterdir() if entry != staging
                )
                _clear(staging)
                try:
                    progress.stage(f"Unpacking and checking {path} …", sum(entry.size for entry in manifest.files))
                    _unpack(archive, staging, progress)
                # BaseException, to clean up after an interrupt, too.
                except BaseException:
                    _clear(staging)
                    if not is_half:
                        staging.rmdir()
                    if is_new:
                        _remove_new(folder)
                    raise
                return Restoration(manifest, _put_in_place(folder, staging, manifest, now_ms, hold=hold))
        except OSError as error:
            raise BackupError(_failure(error, folder)) from error


def _clear(staging: Path) -> None:
    """Empty the staging folder without removing it, because it keeps a half-restored folder from starting."""
    staging.mkdir(mode=0o700, exist_ok=True)
    for entry in staging.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


@contextlib.contextmanager
def _taken(folder: Path) -> Iterator[bool]:
    """Lock the folder, creating it if necessary, and yield whether it is new. Raise BackupError if a tracker runs on it."""
    is_new = not folder.exists()
    if not is_new and not folder.is_dir():
        raise BackupError(f"{folder} is not a folder: name another one with --data.")
    make_directories(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        lock = take_lock(folder / LOCK_FILE)
    except LockedError as locked:
        raise BackupError(
            f"The folder {folder} is in use (process {locked.holder}): stop what uses it, or name another one with --data."
        ) from None
    try:
        yield is_new
    finally:
        os.close(lock)


def _check_ended(folder: Path) -> None:
    """Raise BackupError while the core of a killed tracker is still ending: it would write into the restored folder."""
    # Without facts, or with a folder in their place, no core can have them open.
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        if is_open(folder / FACTS_FILE):
            raise BackupError(
                f"A tracker that was killed is still ending in {folder}: wait a few seconds, or stop its processes."
            )


def _remove_new(folder: Path) -> None:
    (folder / LOCK_FILE).unlink(missing_ok=True)
    # Fails if the folder is not empty.
    with contextlib.suppress(OSError):
        folder.rmdir()


def _check_empty(folder: Path, force: bool) -> None:
    entries = sorted(entry.name for entry in folder.iterdir() if entry.name not in _IGNORED)
    # Files of an earlier restore that were not moved into place yet do not count.
    if not entries or force or entries == [RESTORING]:
        return
    if RESTORING in entries:
        raise BackupError(
            f"An earlier restore into {folder} was not finished: run it again with --force, which moves existing files aside."
        )
    shown = ", ".join(entries[:3]) + (" …" if len(entries) > 3 else "")
    raise BackupError(
        f"The folder {folder} is not empty, it has {shown}. Name another one with --data, or pass --force, which moves existing "
        "files aside and deletes nothing."
    )


def _check_room(folder: Path, manifest: Manifest) -> None:
    needed = sum(entry.size for entry in manifest.files) + _MARGIN_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(
            f"There is not enough space in {folder}: {free / 2**20:,.0f} MiB are free, {needed / 2**20:,.0f} MiB are needed."
        )


def _check_contents(manifest: Manifest) -> None:
    """Raise BackupError for a file that no backup of ours contains, and for a ledger of a newer version."""
    for entry in manifest.files:
        top = entry.name.partition("/")[0]
        if top in _RESERVED or top.startswith(ASIDE):
            raise BackupError(f"The backup contains {entry.name}, which no backup of ours does.")
    if not knows_revision(manifest.ledger_schema):
        raise BackupError(
            f"The backup's ledger has schema revision {manifest.ledger_schema[:40]}, expected at most {HEAD}: it was made by a "
            f"newer Clickloop. Install Clickloop {manifest.clickloop} or newer."
        )


def _unpack(archive: Archive, staging: Path, progress: ConsoleProgress) -> None:
    """Write and verify every file, durably. Raise BackupError or OSError."""
    for entry, pieces in archive.read(progress.moved):
        if entry.name == HEAD_NAME:
            for _ in pieces:
                pass
            continue
        path = staging / entry.name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # O_EXCL and O_NOFOLLOW: a name in an archive must never overwrite an existing file nor follow a link.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            # Before anything is moved into place: a completed restore must survive a power cut.
            os.fsync(file.fileno())
    # Bottom-up: a folder's contents must be on disk before its name.
    for directory, _, _ in os.walk(staging, topdown=False):
        sync_directory(Path(directory))


def _put_in_place(folder: Path, staging: Path, manifest: Manifest, now_ms: int, *, hold: bool) -> Path | None:
    """Move existing files aside and the unpacked ones in. If killed in between, the folder cannot be started."""
    aside = _move_aside(folder, now_ms)
    if hold:
        hold_deliveries(folder, f"restored from a backup of {iso_text(manifest.made_at)}", now_ms)
    restored = Restored(backup_made_at=manifest.made_at, restored_at=now_ms)
    write_place(folder, msgspec.structs.replace(place_of(folder, now_ms), restored=restored))
    for entry in sorted(staging.iterdir()):
        entry.rename(folder / entry.name)
    # Before the staging folder is removed, which until then prevents a start: everything must be in place after a power cut.
    sync_directory(folder)
    staging.rmdir()
    sync_directory(folder)
    return aside


def _move_aside(folder: Path, now_ms: int) -> Path | None:
    old = [
        entry
        for entry in folder.iterdir()
        if entry.name not in _IGNORED and entry.name != RESTORING and not entry.name.startswith(ASIDE)
    ]
    if not old:
        return None
    stem = ASIDE + iso_text(now_ms).replace(":", "").replace(".", "-").replace("+", "")
    aside = folder / stem
    number = 1
    while aside.exists():
        number += 1
        aside = folder / f"{stem}-{number}"
    aside.mkdir(mode=0o700)
    for entry in old:
        entry.rename(aside / entry.name)
    # The target first: after a power cut a file may be in both folders, never in neither.
    sync_directory(aside)
    sync_directory(folder)
    return aside


def _failure(error: OSError, folder: Path) -> str:
    where = f" {error.filename}" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk of {folder} is full, and the backup was not restored: free space, or name a folder on another disk."
    return f"The backup could not be restored: {error.strerror or error}{where}."
