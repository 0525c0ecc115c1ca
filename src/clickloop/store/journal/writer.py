"""The journal's writer: appends each record with one ``write`` to a segment, which is closed after a fraction of a second."""

import contextlib
import errno
import fcntl
import os
import secrets
import threading
from pathlib import Path
from zlib import crc32

from clickloop.clock import Clock, wall_clock
from clickloop.store.directory import make_directories, sync_directory
from clickloop.store.identity import installation_id
from clickloop.store.journal.marks import MarkFile, mark_path
from clickloop.store.journal.segment import (
    CLOSED_SUFFIX,
    LOCK_NAME,
    MAIN_NODE,
    NEW_PREFIX,
    OPEN_SUFFIX,
    JournalError,
    origin_of,
    record_line,
    trailer_line,
    writer_name,
)

MAX_SEGMENT_BYTES = 16 * 1024 * 1024  # a reader holds a segment in memory, and a repair rewrites it
_MAX_UNSYNCED_SEGMENTS = 64  # each keeps a descriptor open until it is synced
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = _FULL | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE}
"""Errors of creating a file that may pass: nothing is stored. The system often remounts a failing disk read-only; if that
broke the writer, and thus ended the edge, visitors would be turned away instead of redirected."""
# O_EXCL: never append to another writer's segment. O_APPEND: after truncation the next write is at the end.
_SEGMENT_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC


class JournalFull(JournalError):  # noqa: N818 – a state of the disk, not a fault of the caller
    """The record is not stored: the disk is full or no file could be created. The segment is intact, and usable later."""


class JournalBroken(JournalError):  # noqa: N818 – a state of the writer
    """A write or sync failed, and it is unknown what is stored. The process must stop; what it stored is settled later."""


class SyncTicket:
    """The files of one sync, which covers all records up to ``position``."""

    __slots__ = ("directory", "error", "files", "finished_files", "number", "position")

    def __init__(
        self, position: int, files: list[int], finished_files: list[int], directory: int, number: int = 0
    ) -> None:
        self.position = position
        self.number = number
        """The newest segment with a record that the sync covers."""
        self.files = files
        self.finished_files = finished_files
        """The subset of ``files`` that belongs to closed segments; these descriptors are closed after the sync."""
        self.directory = directory
        """The writer's directory if names in it changed since the last sync, else -1."""
        self.error: OSError | None = None

    def run(self) -> None:
        """Wait for the disk. Any thread may call it. An error is stored, not raised."""
        try:
            for file in self.files:
                # Contents and size without the times, which saves a write of the inode.
                os.fdatasync(file)
            # After the files: a name on disk then always leads to its contents.
            if self.directory >= 0:
                os.fsync(self.directory)
        except OSError as error:
            self.error = error


class JournalWriter:
    """Writes one stream of one process. Use it from one thread; only ``SyncTicket.run`` may run in another.

    Open it in the process that uses it (after a fork): its lock shows that this process is alive.
    """

    __slots__ = (
        "_checksum",
        "_clock",
        "_count",
        "_directory",
        "_directory_changed",
        "_failure",
        "_fd",
        "_finished",
        "_gathered",
        "_lock",
        "_mark",
        "_number",
        "_opened_at",
        "_origin",
        "_position",
        "_size",
        "_sync_lock",
        "_synced",
        "path",
    )

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        journal = path.parent.parent
        self._mark = MarkFile(mark_path(journal, path.parent.name, path.name))
        self._origin = origin_of(installation_id(journal.parent), path.parent.name, path.name)
        self._lock = -1
        self._directory = -1
        self._clock = clock
        self._fd = -1
        self._number = 0
        self._count = 0
        self._size = 0
        self._checksum = 0
        self._opened_at = 0
        self._position = 0
        self._synced = 0
        self._directory_changed = False
        self._finished: list[int] = []
        self._gathered: list[bytes] = []
        self._failure: str = ""
        # Held from begin_sync to end_sync: a later sync that succeeds must not hide the failure of an earlier one.
        self._sync_lock = threading.Lock()

    @classmethod
    def open(
        cls, root: Path, stream: str, name: str, clock: Clock = wall_clock, node: str = MAIN_NODE
    ) -> "JournalWriter":
        """Create a writer with a directory under ``root/stream``, which appears there already locked.

        ``name`` is the name of the process on its ``node``; a node has at most 24 letters, digits and hyphens.

        While the disk is full or cannot be written, the directory is not created until a record can be stored.
        """
        process = f"{clock():013d}-{name}-{os.getpid()}-{secrets.token_hex(4)}"
        writer = cls(root / stream / writer_name(node, process), clock)
        # Tried again with each record; until then visitors are redirected without a record.
        with contextlib.suppress(JournalFull):
            writer._create_directory()
        return writer

    @property
    def position(self) -> int:
        """Return the number of records appended."""
        return self._position

    @property
    def synced(self) -> int:
        """Return the number of records known to be on disk."""
        return self._synced

    @property
    def failure(self) -> str:
        """Return why the writer is broken; empty while it works."""
        return self._failure

    def append(self, record: bytes) -> int:
        """Write a record, a JSON object with at least one field and no newline. Return its position, for syncing.

        Raise JournalFull (the record is not stored) or JournalBroken (it is unknown whether it is).
        """
        self.gather(record)
        self.flush()
        return self._position

    def gather(self, record: bytes) -> None:
        """Buffer a record for the next ``flush``."""
        self._gathered.append(record_line(record))

    @property
    def gathered(self) -> int:
        """Return the number of buffered records."""
        return len(self._gathered)

    def flush(self) -> None:
        """Write all buffered records with one ``write``. Raise the errors of ``append``, for all of them together."""
        if not self._gathered:
            return
        lines, self._gathered = self._gathered, []
        if self._fd < 0:
            self._open_segment()
        data = b"".join(lines)
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise self._write_error(error) from error
        if written != len(data):
            raise self._truncate(f"only {written} of {len(data)} bytes could be written")
        self._checksum = crc32(data, self._checksum)
        self._count += len(lines)
        self._size += written
        self._position += len(lines)

    def due(self, now_ms: int, max_age_ms: int) -> bool:
        """Return whether to close the segment: it has records and is old or large enough. A clock that jumped back makes it due."""
        if not self._count:
            return False
        return not 0 <= now_ms - self._opened_at < max_age_ms or self._size >= MAX_SEGMENT_BYTES

    def close_segment(self) -> None:
        """Hand the segment over to settling, unless it is empty. Raise the errors of ``append``."""
        if self._failure:
            raise JournalBroken(self._failure)
        if not self._count:
            return
        line = trailer_line(self._number, self._count, self._checksum, self._origin)
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            raise self._write_error(error) from error
        if written != len(line):
            raise self._truncate(f"only {written} of the trailer's {len(line)} bytes could be written")
        # After the trailer: a closed segment is always complete.
        name = f"{self._number:08d}"
        try:
            os.rename(name + OPEN_SUFFIX, name + CLOSED_SUFFIX, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError as error:
            raise self._break(f"{name}{OPEN_SUFFIX} could not be renamed", error) from error
        # The descriptor stays open until a sync: the system reports a failed write-back to open descriptors only.
        self._finished.append(self._fd)
        self._directory_changed = True
        self._fd = -1
        self._count = 0
        if len(self._finished) > _MAX_UNSYNCED_SEGMENTS:
            self.sync()

    def sync(self) -> None:
        """Wait until all records are on disk. A failure breaks the writer for good: the system may have dropped the data."""
        ticket = self.begin_sync()
        ticket.run()
        self.end_sync(ticket)

    def begin_sync(self) -> SyncTicket:
        """Begin a sync. One at a time: call the ticket's ``run``, then ``end_sync``."""
        if self._failure:
            raise JournalBroken(self._failure)
        if not self._sync_lock.acquire(blocking=False):
            raise RuntimeError("two syncs of one journal writer at once: end the first before you begin another")
        finished, self._finished = self._finished, []
        files = finished + ([self._fd] if self._fd >= 0 and self._position > self._synced else [])
        directory = self._directory if self._directory_changed else -1
        self._directory_changed = False
        is_open_and_empty = self._fd >= 0 and not self._count
        return SyncTicket(self._position, files, finished, directory, self._number - is_open_and_empty)

    def end_sync(self, ticket: SyncTicket) -> None:
        """Update ``synced``, or break the writer if the sync failed."""
        # First: a failure below must not leave the writer locked.
        self._sync_lock.release()
        for file in ticket.finished_files:
            os.close(file)
        if ticket.error is not None:
            raise self._break("a sync failed", ticket.error) from ticket.error
        self._synced = max(self._synced, ticket.position)
        # After the sync: a mark ahead of its segments would report a loss that never happened.
        self._mark.note(ticket.number)

    def close(self) -> None:
        """Close the segment, sync, and release the lock. A broken writer only releases the lock; its files are salvaged later."""
        try:
            if not self._failure:
                self.flush()
                self.close_segment()
                self.sync()
        finally:
            self._mark.close()
            for file in (*self._finished, self._fd, self._directory, self._lock):
                if file >= 0:
                    os.close(file)
            self._finished = []
            self._fd = self._directory = self._lock = -1
            self._failure = self._failure or "the journal's writer was closed"

    def _create_directory(self) -> None:
        """Create the writer's directory, locked before it becomes visible. Raise the errors of ``append``."""
        temporary = self.path.with_name(NEW_PREFIX + self.path.name)
        lock = directory = -1
        is_renamed = False
        try:
            make_directories(self.path.parent)
            temporary.mkdir()
            lock = os.open(temporary / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            # Before the rename that makes the directory visible: to a reader, a writer without a lock is dead.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            directory = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            # The lock's name must be on disk before the directory is visible.
            os.fsync(directory)
            is_renamed = True
            temporary.rename(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            for file in (directory, lock):
                if file >= 0:
                    os.close(file)
            # Report the first error; the reader removes a directory that stays.
            with contextlib.suppress(OSError):
                (temporary / LOCK_NAME).unlink(missing_ok=True)
                temporary.rmdir()
            # Before the rename nothing of this writer exists, even after errors such as a file in place of a directory. An edge
            # that ended because of it, over and over, would turn visitors away.
            if not is_renamed or error.errno in _REFUSED:
                raise JournalFull(f"{self.path} could not be created: {error.strerror}") from error
            raise self._break("its directory could not be created", error) from error
        self._lock, self._directory = lock, directory

    def _open_segment(self) -> None:
        if self._failure:
            raise JournalBroken(self._failure)
        if self._directory < 0:
            self._create_directory()
        # Fixed width, so that names sort like their numbers.
        name = f"{self._number + 1:08d}{OPEN_SUFFIX}"
        try:
            self._fd = os.open(name, _SEGMENT_FLAGS, 0o644, dir_fd=self._directory)
        except OSError as error:
            if error.errno in _REFUSED:
                raise JournalFull(f"{self.path / name} could not be created: {error.strerror}") from error
            raise self._break(f"{name} could not be created", error) from error
        self._number += 1
        self._size = self._checksum = self._count = 0
        self._opened_at = self._clock()
        self._directory_changed = True

    def _write_error(self, error: OSError) -> JournalError:
        """Return JournalFull for a write that stored nothing (no space), else JournalBroken."""
        if self._failure:
            return JournalBroken(self._failure)
        if error.errno in _FULL:
            return self._truncate(str(error.strerror))
        return self._break("a write failed", error)

    def _truncate(self, why: str) -> JournalError:
        """Cut off a partial line, so that the segment stays intact, and return the error to raise."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            return self._break("a partly written line could not be cut off", error)
        return JournalFull(f"no space in {self.path}: {why}; the record is not stored")

    def _break(self, what: str, error: OSError) -> JournalBroken:
        """Refuse all further use, leave the files as they are for salvage, and return the error to raise."""
        self._failure = (
            f"the journal {self.path} is broken: {what} ({error}); restart this process to process what is stored"
        )
        if self._fd >= 0:
            self._finished.append(self._fd)  # a sync may be using it: closed with the writer
            self._fd = -1
        self._count = 0
        return JournalBroken(self._failure)
