"""Taking a backup: a snapshot while settling is paused, packed into an archive that gets its name only when it is complete."""

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from clickloop import __version__
from clickloop.backup.archive import Archive, ArchiveWriter
from clickloop.backup.examining import FactsSummary, LedgerSummary, check_belonging, examine_facts, examine_ledger
from clickloop.backup.manifest import FORMAT, BackupError, Manifest
from clickloop.backup.progress import ConsoleProgress
from clickloop.backup.quiet import DisturbedError, quiet
from clickloop.backup.scratch import scratch_folder
from clickloop.backup.snapshot import (
    FACTS_LOG,
    JOURNAL,
    UPLOADS,
    Snapshot,
    check_folder,
    copy_ledger,
    segment_bytes,
    take_snapshot,
)
from clickloop.click_id import KEY_FILE
from clickloop.clock import wall_clock
from clickloop.machine.file_lock import LockedError, take_lock, write_holder
from clickloop.store.directory import sync_directory
from clickloop.store.disk_room import MIN_FREE_BYTES
from clickloop.store.identity import FACTS_FILE, LEDGER_FILE
from clickloop.store.journal.segment import CLICKS_STREAM, NOTICES_STREAM, PAGE_EVENTS_STREAM, TRAILER_START

MAX_TRIES = 20
"""Maximum number of snapshots to begin, if the core is restarted during each."""
_RUN = "run"
_LOCK = "backup.lock"
_MARGIN_BYTES = 64 * 1024 * 1024  # for directories, headers, and what the tracker writes meanwhile
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def take_backup(folder: Path, target: Path | BinaryIO, progress: ConsoleProgress, *, force: bool = False) -> Manifest:
    """Write a backup of a data folder to a file, or to a stream such as standard output, and return its manifest.

    A file is created completely or not at all; an existing one is replaced only with ``force``. Raise BackupError.
    """
    check_folder(folder)
    if isinstance(target, Path):
        _check_target(folder, target, force)
    try:
        with _alone(folder), contextlib.ExitStack() as stack:
            to_file = isinstance(target, Path)
            parent = target.parent if isinstance(target, Path) else folder / _RUN
            scratch = stack.enter_context(scratch_folder(parent))
            # On the data folder's file system, since the target is often on another one and hard links cannot cross it.
            links = stack.enter_context(scratch_folder(folder / _RUN))
            # Settling is paused while the facts are copied: on the data folder's disk that is short, however slow the target.
            copies = links if _has_room_for_copies(folder, links) else scratch
            _check_room(folder, scratch, to_file=to_file, with_copies=copies == scratch)
            made_at, snapshot = _snapshot(folder, copies, links, progress)
            with contextlib.closing(snapshot.ledger):
                if not isinstance(target, Path):
                    return _pack(target, snapshot, copies, folder, made_at, progress)
                archive = scratch / "archive"
                with os.fdopen(
                    os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
                ) as out:
                    manifest = _pack(out, snapshot, copies, folder, made_at, progress)
                    # Before it gets its name: a backup must be complete even after a power cut.
                    os.fsync(out.fileno())
                _publish(archive, target, force)
                return manifest
    except sqlite3.Error as error:
        raise BackupError(f"The ledger of {folder} cannot be read: {error}. Run clickloop doctor.") from error
    except OSError as error:
        raise BackupError(_failure(error)) from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raise BackupError if another backup of the folder is running."""
    (folder / _RUN).mkdir(mode=0o700, exist_ok=True)
    try:
        lock = take_lock(folder / _RUN / _LOCK)
    except LockedError as locked:
        raise BackupError(
            f"Another backup of {folder} is running (process {locked.holder}): wait until it has ended."
        ) from None
    try:
        write_holder(lock)
        yield
    finally:
        os.close(lock)


def _check_target(folder: Path, target: Path, force: bool) -> None:
    if not target.parent.is_dir():
        raise BackupError(f"The folder {target.parent} does not exist: create it, or name another file.")
    if target.is_dir():
        raise BackupError(f"{target} is a folder: name a file in it, such as {target / 'clickloop.tar'}.")
    if target.resolve().is_relative_to(folder.resolve()):
        raise BackupError(
            f"{target} is in the data folder and would be lost with it: name a file elsewhere, preferably on another disk."
        )
    if target.exists() and not target.is_file():
        raise BackupError(f"{target} is not a regular file: name another one, or - for standard output.")
    if os.path.lexists(target) and not force:
        raise BackupError(f"{target} already exists: name another file, or replace it with --force.")


def _stores_bytes(folder: Path) -> int:
    return sum(_size(folder / name) for name in (LEDGER_FILE, LEDGER_FILE + "-wal", FACTS_FILE, FACTS_LOG))


def _has_room_for_copies(folder: Path, links: Path) -> bool:
    return shutil.disk_usage(links).free >= _MARGIN_BYTES + _stores_bytes(folder) + MIN_FREE_BYTES


def _check_room(folder: Path, scratch: Path, *, to_file: bool, with_copies: bool) -> None:
    """Raise BackupError unless archive and copies fit, and leave the tracker the space that it needs."""
    stores = _stores_bytes(folder)
    # os.walk, unlike Path.rglob, tolerates folders that disappear meanwhile.
    walks = (found for part in (JOURNAL, UPLOADS) for found in os.walk(folder / part))
    rest = sum(_size(Path(place) / name) for place, _, names in walks for name in names)
    needed = _MARGIN_BYTES + (stores + rest if to_file else 0)
    if with_copies or scratch.stat().st_dev == folder.stat().st_dev:
        needed += stores
    if scratch.stat().st_dev == folder.stat().st_dev:
        needed += MIN_FREE_BYTES
    free = shutil.disk_usage(scratch).free
    if free < needed:
        raise BackupError(
            f"There is not enough space in {scratch.parent}: {free / 2**20:,.0f} MiB are free, {needed / 2**20:,.0f} MiB are "
            "needed. Name a file on another disk."
        )


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _snapshot(folder: Path, scratch: Path, links: Path, progress: ConsoleProgress) -> tuple[int, Snapshot]:
    """Return the time up to which the snapshot has everything, and the snapshot."""
    for number in range(MAX_TRIES):
        copies, linked = scratch / f"copies{number}", links / f"links{number}"
        copies.mkdir()
        linked.mkdir()
        progress.stage(
            "Copying the stores while settling is paused …" if number == 0 else "… again, since the core was restarted"
        )
        # Before the snapshot, which thus has everything up to this time.
        made_at = wall_clock()
        snapshot = None
        try:
            with quiet(folder, folder / FACTS_FILE):
                snapshot = take_snapshot(folder, copies, linked)
        except DisturbedError:
            if snapshot is not None:
                snapshot.ledger.close()
            shutil.rmtree(copies)
            shutil.rmtree(linked)
            continue
        except BaseException:
            if snapshot is not None:
                snapshot.ledger.close()
            raise
        copies.rename(scratch / "copies")
        return made_at, snapshot
    raise BackupError(f"The core was restarted {MAX_TRIES} times during the copy: see the tracker's log for the cause.")


def _pack(
    out: IO[bytes], snapshot: Snapshot, scratch: Path, folder: Path, made_at: int, progress: ConsoleProgress
) -> Manifest:
    """Copy the ledger from its pinned state, check the copies, and write the archive."""
    ledger, facts = scratch / "copies" / LEDGER_FILE, scratch / "copies" / FACTS_FILE
    progress.stage("Copying and checking the ledger …")
    # Settling has resumed, but the pinned connection still sees the state of the snapshot.
    copy_ledger(snapshot, ledger)
    found = examine_ledger(ledger)
    progress.stage("Checking the facts …")
    known = examine_facts(facts)
    key = dict(snapshot.files).get(KEY_FILE)
    check_belonging(folder, key.read_bytes() if key is not None else None, found, known)
    files = [(name, path) for name, path in snapshot.files if _matters(name, found.unfinished_uploads)]
    total = sum(_size(path) for _, path in files) + _size(ledger) + _size(facts)
    progress.stage("Writing the archive …", total)
    writer = ArchiveWriter(out, __version__, made_at, progress.moved)
    for name, path in files:
        writer.add_file(name, path)
    for name, path in ((LEDGER_FILE, ledger), (FACTS_FILE, facts)):
        writer.add_file(name, path)
        path.unlink()  # the archive needs the space
    records = _pack_segments(writer, snapshot)
    manifest = _manifest(writer, snapshot, found, known, records, str(folder), made_at)
    writer.finish(manifest)
    for name in snapshot.left_out:
        progress.stage(f"Skipped, because it does not belong to the tracker or has an unusual name: {name}")
    return manifest


def _matters(name: str, unfinished_uploads: frozenset[str]) -> bool:
    """Return whether a file is needed; files of uploads are, until the upload is finished."""
    if not name.startswith(f"{UPLOADS}/"):
        return True
    return name.removeprefix(f"{UPLOADS}/").partition(".")[0] in unfinished_uploads


def _pack_segments(writer: ArchiveWriter, snapshot: Snapshot) -> dict[str, int]:
    """Write the journal's segments, and return the number of records by stream."""
    records: dict[str, int] = {}
    for segment in snapshot.segments:
        data = segment_bytes(segment)
        if not data:
            continue
        writer.add_bytes(segment.name, data)
        stream = segment.name.split("/")[1]
        has_trailer = data[data.rfind(b"\n", 0, -1) + 1 :].startswith(TRAILER_START)
        records[stream] = records.get(stream, 0) + data.count(b"\n") - has_trailer
    return records


def _manifest(
    writer: ArchiveWriter,
    snapshot: Snapshot,
    ledger: LedgerSummary,
    facts: FactsSummary,
    records: dict[str, int],
    folder: str,
    made_at: int,
) -> Manifest:
    change = msgspec.structs.replace
    return Manifest(
        format=FORMAT,
        clickloop=__version__,
        made_at=made_at,
        ledger_schema=ledger.schema,
        folder=folder,
        counts=change(
            ledger.counts,
            clicks=facts.clicks,
            clicks_in_journal=records.get(CLICKS_STREAM, 0),
            notices_in_journal=records.get(NOTICES_STREAM, 0),
            page_events_in_journal=records.get(PAGE_EVENTS_STREAM, 0),
        ),
        marks=change(
            ledger.marks,
            click_id=facts.newest_click_id,
            outbox_taken=facts.outbox_taken,
            segments=snapshot.newest_segments,
        ),
        files=writer.entries,
    )


def _publish(archive: Path, target: Path, force: bool) -> None:
    """Give the complete archive its name."""
    if force:
        archive.replace(target)
    else:
        try:
            os.link(archive, target)  # unlike a rename, it fails if the file has been created meanwhile
        except FileExistsError:
            raise BackupError(f"{target} has been created in the meantime. Name another file.") from None
        # A file system without links: an existing file cannot be noticed.
        except OSError:
            archive.rename(target)
    sync_directory(target.parent)


def _failure(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    if error.errno in _FULL:
        return (
            f"The disk is full{where}: the incomplete backup was deleted. Free space, or name a file on another disk."
        )
    if isinstance(error, BrokenPipeError):
        return "The program that reads the backup ended too early: what it has read is incomplete."
    return f"The backup could not be made: {error.strerror or error}{where}. The incomplete backup was deleted."


def verify_backup(path: Path, progress: ConsoleProgress) -> Manifest:
    """Verify every byte of a backup, and return its manifest. Raise BackupError."""
    with open_archive(path) as archive:
        progress.stage(f"Checking {path} …", sum(entry.size for entry in archive.manifest.files))
        archive.verify(progress.moved)
        return archive.manifest


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a backup. Raise BackupError, also for a read error while it is open."""
    try:
        with path.open("rb") as file:
            if not path.is_file():
                raise BackupError(f"{path} is not a regular file: write a streamed backup to a file first.")
            yield Archive(file, os.fstat(file.fileno()).st_size, __version__)
    except FileNotFoundError as error:
        raise BackupError(f"There is no file {path}.") from error
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror or error}.") from error
