"""The snapshot: consistent copies of the parts of a data folder, taken while it is quiet.

The order makes it complete: small files are copied, the ledger's state is pinned, the facts are copied, the journal is linked. So
everything acknowledged before is in a store or a segment, and what is in both is recognised by name or id and settled once.
"""

import contextlib
import errno
import os
import shutil
import sqlite3
from pathlib import Path

import msgspec

from clickloop.backup.archive import is_safe_name
from clickloop.backup.manifest import BackupError
from clickloop.backup.place import FILE_NAME as PLACE_FILE
from clickloop.backup.place import LOCK_FILE
from clickloop.backup.quiet import DisturbedError
from clickloop.click_id import KEY_FILE
from clickloop.setup.catalog import COPY_NAME as CATALOG_COPY
from clickloop.setup.catalog import FILE_NAME as CATALOG_FILE
from clickloop.store.delivery_hold import FILE_NAME as HOLD_FILE
from clickloop.store.identity import FACTS_FILE, LEDGER_FILE, STAND_IN_FILE
from clickloop.store.identity import FILE_NAME as IDENTITY_FILE
from clickloop.store.journal.listing import segment_numbers, writer_directories
from clickloop.store.journal.segment import (
    CLICKS_STREAM,
    CLOSED_SUFFIX,
    DAMAGED_SUFFIX,
    NOTICES_STREAM,
    OPEN_SUFFIX,
    PART_SUFFIX,
)
from clickloop.store.journal.segment import LOCK_NAME as WRITER_LOCK

FACTS_LOG = FACTS_FILE + ".wal"
JOURNAL, SETTLED, UPLOADS = "journal", "settled", "uploads"
UPLOAD_SUFFIX, DATES_SUFFIX = ".text", ".dates"
MAX_EXTRA_BYTES = 16 * 1024 * 1024
"""Maximum size of an unknown file in the data folder. Larger ones are not ours (an earlier backup, say), and skipped."""
_LARGE_FILES = frozenset({CATALOG_FILE, CATALOG_COPY})
_OWN_FILES = frozenset({KEY_FILE, IDENTITY_FILE, CATALOG_FILE, CATALOG_COPY})
_LEFT_OUT = frozenset(
    {LEDGER_FILE, FACTS_FILE, PLACE_FILE, HOLD_FILE, LOCK_FILE, "reserve"}
    | {LEDGER_FILE + suffix for suffix in ("-wal", "-shm", "-journal")}
    | {FACTS_FILE + suffix for suffix in (".wal", ".loading")}
)
_UNFINISHED = (".new", ".part", ".tmp")
_NO_LINKS = frozenset({errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.EMLINK, errno.EACCES, errno.ENOSYS})
_BUSY_SECONDS = 30.0  # a checkpoint may lock the ledger for seconds
_PAGES_PER_STEP = 4096  # 16 MiB; the copy can be interrupted between steps


class SegmentCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A journal segment with its name in the archive. ``size``: where to cut it off; None to keep all of it."""

    name: str
    path: Path
    is_open: bool
    size: int | None = None


class Snapshot(msgspec.Struct, kw_only=True):
    """The copied and linked files. The ledger has yet to be copied from its pinned connection."""

    ledger: sqlite3.Connection
    files: list[tuple[str, Path]]
    segments: list[SegmentCopy]
    newest_segments: dict[str, int]
    left_out: list[str]
    """Names of unknown files that are not in the backup."""


def take_snapshot(folder: Path, copies: Path, links: Path) -> Snapshot:
    """Copy the facts into ``copies``, and link the rest into ``links``, which is on the data folder's file system.

    Call it while the folder is quiet. Raise DisturbedError if a file moved all the same, OSError or sqlite3.Error.
    """
    files: list[tuple[str, Path]] = []
    left_out: list[str] = []
    # Small files before the stores: API and panel keep changing the ledger, and with marks in installation.json or the catalog
    # ahead of the ledger's copy, a restored folder would be refused.
    _copy_extras(folder, links, files, left_out)
    snapshot = Snapshot(
        ledger=_pin(folder / LEDGER_FILE), files=files, segments=[], newest_segments={}, left_out=left_out
    )
    try:
        for name in (FACTS_FILE, FACTS_LOG):
            # There is no log while everything is in the file.
            with contextlib.suppress(FileNotFoundError):
                copy_file(folder / name, copies / name)
        _link_uploads(folder, links, snapshot)
        streams = sorted(entry.name for entry in _directories(folder / JOURNAL))
        # Notices first and clicks last, so that the landing click and the click of each notice in the backup are in it, too.
        for stream in sorted(streams, key=lambda name: (name != NOTICES_STREAM, name == CLICKS_STREAM, name)):
            _link_stream(folder, stream, links, snapshot)
    except BaseException as error:
        snapshot.ledger.close()
        if isinstance(error, FileNotFoundError):  # only settling and housekeeping remove files, so they were not paused
            raise DisturbedError from error
        raise
    return snapshot


def copy_ledger(snapshot: Snapshot, target: Path) -> None:
    """Copy the pinned state of the ledger, while others write to it. Raise sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(target)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # the archive is synced, not this
        snapshot.ledger.backup(copy, pages=_PAGES_PER_STEP)
    snapshot.ledger.close()


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks if the file system can, which takes neither time nor space. Raise OSError."""
    with source.open("rb") as file, target.open("xb") as copy:
        size = os.fstat(file.fileno()).st_size
        try:
            while size > 0 and (copied := os.copy_file_range(file.fileno(), copy.fileno(), size)):
                size -= copied
        except OSError as error:
            if error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF}:
                raise
        file.seek(copy.seek(0, os.SEEK_END))
        shutil.copyfileobj(file, copy, 1024 * 1024)


def _pin(path: Path) -> sqlite3.Connection:
    """Return a connection with a read transaction: as long as it is open it sees the current state, and blocks no writers."""
    # isolation_level None: otherwise the driver would begin transactions by itself.
    ledger = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        ledger.execute("BEGIN")
        ledger.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the transaction starts with the first read
    except BaseException:
        ledger.close()
        raise
    return ledger


def _copy_extras(folder: Path, links: Path, files: list[tuple[str, Path]], left_out: list[str]) -> None:
    """Copy all small files beside the stores: the key, the catalog, and unknown ones."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        # Our own files may be links, such as a key mounted as a secret. Other links may lead anywhere.
        is_file = entry.is_file(follow_symlinks=_is_own(entry.name))
        if not is_file or entry.name in _LEFT_OUT or _is_unfinished(entry.name):
            continue
        with contextlib.suppress(FileNotFoundError):  # a temporary file that has been renamed
            is_large = entry.name not in _LARGE_FILES and entry.stat().st_size > MAX_EXTRA_BYTES
            if is_large or not is_safe_name(entry.name):
                left_out.append(entry.name)
                continue
            # A copy, not a link: they may be changed in place.
            copy_file(Path(entry.path), _with_parents(links / entry.name))
            files.append((entry.name, links / entry.name))


def _link_uploads(folder: Path, links: Path, snapshot: Snapshot) -> None:
    """Link the files of uploads, which never change; the ledger tells later which of them are needed."""
    paths = [path for suffix in (UPLOAD_SUFFIX, DATES_SUFFIX) for path in (folder / UPLOADS).glob(f"*{suffix}")]
    for path in sorted(paths):
        name = f"{UPLOADS}/{path.name}"
        with contextlib.suppress(FileNotFoundError):  # it has just expired
            _link(path, _with_parents(links / name))
            snapshot.files.append((name, links / name))


def _link_stream(folder: Path, stream: str, links: Path, snapshot: Snapshot) -> None:
    root = folder / JOURNAL / stream
    for name in _small_files(root):
        _copy_small(root / name, f"{JOURNAL}/{stream}/{name}", links, snapshot)
    for directory in _directories(root):
        prefix = f"{JOURNAL}/{stream}/{directory.name}"
        for name in _small_files(directory):
            _copy_small(directory / name, f"{prefix}/{name}", links, snapshot)
        numbers = segment_numbers(directory)
        for number in sorted(numbers):
            is_fixed = stream != CLICKS_STREAM
            snapshot.segments.append(_link_segment(directory, number, prefix, links, is_fixed=is_fixed))
        newest = _newest_settled(folder / SETTLED / stream / directory.name)
        if newest is not None:
            # The numbers of this writer continue from its newest settled segment; without it they would seem to have a gap.
            name = f"{SETTLED}/{stream}/{directory.name}/{newest.name}"
            _link(newest, _with_parents(links / name))
            snapshot.files.append((name, links / name))
        known = [*numbers, *([int(newest.stem)] if newest else [])]
        if known:
            snapshot.newest_segments[f"{stream}/{directory.name}"] = max(known)


def _link_segment(directory: Path, number: int, prefix: str, links: Path, *, is_fixed: bool) -> SegmentCopy:
    """Link a segment, which may just be closed and thus renamed. ``is_fixed``: cut it off at its current size."""
    # The open name first: a segment that is closed in between has the other name at the second try, and never changes back.
    for suffix in (OPEN_SUFFIX, CLOSED_SUFFIX):
        name = f"{prefix}/{number:08d}{suffix}"
        try:
            _link(directory / f"{number:08d}{suffix}", _with_parents(links / name))
        except FileNotFoundError:
            continue
        size = (links / name).stat().st_size if is_fixed else None
        return SegmentCopy(name=name, path=links / name, is_open=suffix == OPEN_SUFFIX, size=size)
    raise DisturbedError


def _newest_settled(directory: Path) -> Path | None:
    try:
        paths = [path for path in directory.iterdir() if path.suffix == CLOSED_SUFFIX and path.stem.isdecimal()]
    except FileNotFoundError:
        return None
    return max(paths, key=lambda path: int(path.stem), default=None)


def _small_files(directory: Path) -> list[str]:
    """Return the names of files beside segments that are not part of writing or repairing them, such as witnesses."""
    segment_suffixes = {OPEN_SUFFIX, CLOSED_SUFFIX, DAMAGED_SUFFIX, PART_SUFFIX}
    return sorted(
        entry.name
        for entry in os.scandir(directory)
        if entry.is_file(follow_symlinks=False)
        and entry.name != WRITER_LOCK
        and os.path.splitext(entry.name)[1] not in segment_suffixes
        and not _is_unfinished(entry.name)
    )


def _copy_small(path: Path, name: str, links: Path, snapshot: Snapshot) -> None:
    if path.stat().st_size > MAX_EXTRA_BYTES or not is_safe_name(name):
        snapshot.left_out.append(name)
        return
    copy_file(path, _with_parents(links / name))
    snapshot.files.append((name, links / name))


def _directories(root: Path) -> list[Path]:
    return sorted(map(Path, writer_directories(root)))


def _is_own(name: str) -> bool:
    return name in _OWN_FILES or name.startswith(STAND_IN_FILE)


def _is_unfinished(name: str) -> bool:
    # The temporary name of a file that is being replaced ends with the process id.
    return name.startswith(".") or name.endswith(_UNFINISHED) or name.rpartition(".")[2].isdecimal()


def _with_parents(path: Path) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _link(source: Path, target: Path) -> None:
    """Link a file, or copy it if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        copy_file(source, target)


def segment_bytes(segment: SegmentCopy) -> bytes:
    """Return a segment up to its last complete line: its writer may be in the middle of one. Raise OSError."""
    data = segment.path.read_bytes()
    if not segment.is_open:
        return data
    data = data[: segment.size]
    return data[: data.rfind(b"\n") + 1]


def check_folder(folder: Path) -> None:
    """Raise BackupError unless the folder has both stores."""
    if not (folder / LEDGER_FILE).is_file():
        raise BackupError(f"There is no ledger in {folder}: pass the data folder with --data.")
    if not (folder / FACTS_FILE).is_file():
        raise BackupError(f"There are no facts in {folder}: {FACTS_FILE} is missing. Run clickloop doctor.")
