"""The journal's writer: one ``write`` per record, appended to a segment that is closed after a fraction of a second."""

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
    BIRTH_PREFIX,
    CLOSED_SUFFIX,
    LOCK_NAME,
    MAIN_NODE,
    OPEN_SUFFIX,
    JournalError,
    origin_of,
    trailer_line,
    writer_name,
)

MAX_SEGMENT_OCTETS = 16 * 1024 * 1024  # a reader holds one in memory, and a repair rewrites one
# Each keeps a descriptor open until it is synced.
_MAX_UNSYNCED_SEGMENTS = 64
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = _FULL | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE}
"""Why a file cannot be created that is not there yet: nothing is stored, and it may work later. A disk that fails is often mounted
read-only by the system; a writer that broke then, and so an edge that ended, would turn visitors away instead of redirecting them."""
# O_EXCL: a segment that is there is somebody's records. O_APPEND: after a cut-back the next write is at the end.
_SEGMENT_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC


class JournalFull(JournalError):  # noqa: N818 – a state of the disk, not a fault of the caller
    """The record is not stored: there was no room, or no file could be made. The segment is whole; a later record may be stored."""


class JournalBroken(JournalError):  # noqa: N818 – a state of the writer
    """A write or sync failed in a way that leaves unknown what is stored. The process must stop; the next one replays."""


class SyncTicket:
    """The files that one sync covers: everything that was appended before ``position`` was reached."""

    __slots__ = ("directory", "error", "files", "finished_files", "number", "position")

    def __init__(
        self, position: int, files: list[int], finished_files: list[int], directory: int, number: int = 0
    ) -> None:
        self.position = position
        self.number = number
        """The newest segment that has a record which the sync covers."""
        self.files = files
        self.finished_files = finished_files
        """Those of ``files`` that belong to closed segments: closed for good after the sync."""
        self.directory = directory
        """The writer's directory when names in it changed since the last sync, else -1."""
        self.error: OSError | None = None

    def run(self) -> None:
        """Waits for the disk; may be called in another thread. Keeps an error instead of raising it."""
        try:
            for file in self.files:
                # fdatasync: contents and size, not the times, which saves a write of the inode.
                os.fdatasync(file)
            # After the files: a name on disk then never leads to contents that are not.
            if self.directory >= 0:
                os.fsync(self.directory)
        except OSError as error:
            self.error = error


class JournalWriter:
    """Writes one stream of one process. For one thread; only ``SyncTicket.run`` may be in another.

    It must be opened in the process that uses it (after a fork): its lock says that this process lives.
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
        "_octets",
        "_opened_at",
        "_origin",
        "_position",
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
        self._octets = 0
        self._checksum = 0
        self._opened_at = 0
        self._position = 0
        self._synced = 0
        self._directory_changed = False
        self._finished: list[int] = []
        self._gathered: list[bytes] = []
        self._failure: str = ""
        # Tickets end in the order in which they began: a later one that succeeds must not hide an earlier failure.
        self._sync_lock = threading.Lock()

    @classmethod
    def open(
        cls, root: Path, stream: str, name: str, clock: Clock = wall_clock, node: str = MAIN_NODE
    ) -> "JournalWriter":
        """A writer with a directory of its own under ``root/stream``, which appears there with its lock already held.

        ``name``: of the process on its ``node``, which is at most 24 letters, digits and hyphens.

        When the disk is full or refuses to be written it appears later: with the first record that can be stored.
        """
        process = f"{clock():013d}-{name}-{os.getpid()}-{secrets.token_hex(4)}"
        writer = cls(root / stream / writer_name(node, process), clock)
        # It moves in with the first record that can be stored; until then visitors are redirected without one.
        with contextlib.suppress(JournalFull):
            writer._move_in()
        return writer

    @property
    def position(self) -> int:
        """How many records were appended."""
        return self._position

    @property
    def synced(self) -> int:
        """How many of them are known to be on disk."""
        return self._synced

    @property
    def failure(self) -> str:
        """Why the writer refuses all further use; empty while it works."""
        return self._failure

    def append(self, record: bytes) -> int:
        """Writes a record: one JSON object with at least one field and no newline. Answers its position, for syncing.

        Raises ``JournalFull`` (the record is not stored) or ``JournalBroken`` (unknown whether it is).
        """
        self.gather(record)
        self.flush()
        return self._position

    def gather(self, record: bytes) -> None:
        """Takes a record that the next ``flush`` writes with all others gathered since the last one."""
        self._gathered.append(b'%b,"crc":%d}\n' % (record[:-1], crc32(record)))

    @property
    def gathered(self) -> int:
        """How many records wait for the next ``flush``."""
        return len(self._gathered)

    def flush(self) -> None:
        """Writes all that was gathered with one ``write``. Raises as ``append`` does, for all of it together."""
        if not self._gathered:
            return
        lines, self._gathered = self._gathered, []
        if self._fd < 0:
            self._open_segment()
        octets = b"".join(lines)
        try:
            written = os.write(self._fd, octets)
        except OSError as error:
            raise self._write_failed(error) from error
        if written != len(octets):
            raise self._cut_back(f"only {written} of {len(octets)} bytes could be written")
        self._checksum = crc32(octets, self._checksum)
        self._count += len(lines)
        self._octets += written
        self._position += len(lines)

    def due(self, now_ms: int, max_age_ms: int) -> bool:
        """Whether the segment has records and is old or large enough to be closed. A clock that jumped back makes it due."""
        if not self._count:
            return False
        return not 0 <= now_ms - self._opened_at < max_age_ms or self._octets >= MAX_SEGMENT_OCTETS

    def close_segment(self) -> None:
        """Hands the segment over to whoever settles; nothing happens when it is empty. Raises as ``append`` does."""
        if self._failure:
            raise JournalBroken(self._failure)
        if not self._count:
            return
        line = trailer_line(self._number, self._count, self._checksum, self._origin)
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            raise self._write_failed(error) from error
        if written != len(line):
            raise self._cut_back(f"only {written} of the trailer's {len(line)} bytes could be written")
        # The trailer is written before the rename: whoever sees a closed segment finds it whole.
        name = f"{self._number:08d}"
        try:
            os.rename(name + OPEN_SUFFIX, name + CLOSED_SUFFIX, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError as error:
            raise self._broke(f"{name}{OPEN_SUFFIX} could not be renamed", error) from error
        # Not closed yet: its data may not be on disk, and a failed write-back is reported to open descriptors only.
        self._finished.append(self._fd)
        self._directory_changed = True
        self._fd = -1
        self._count = 0
        if len(self._finished) > _MAX_UNSYNCED_SEGMENTS:
            self.sync()

    def sync(self) -> None:
        """Waits until all that was appended is on disk. A failure breaks the writer for ever: the system may have dropped the data."""
        ticket = self.begin_sync()
        ticket.run()
        self.end_sync(ticket)

    def begin_sync(self) -> SyncTicket:
        """What a sync has to cover. One at a time: ``run`` the ticket, then ``end_sync``."""
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
        """Believes the ticket's result: moves ``synced`` on, or breaks the writer."""
        # First: a failure below leaves the writer broken, not locked for ever.
        self._sync_lock.release()
        for file in ticket.finished_files:
            os.close(file)
        if ticket.error is not None:
            raise self._broke("a sync failed", ticket.error) from ticket.error
        self._synced = max(self._synced, ticket.position)
        # After the sync that proves it: a mark ahead of its segments would report a loss that never was.
        self._mark.note(ticket.number)

    def close(self) -> None:
        """Closes the segment, syncs, and gives the lock free. A broken writer only gives the lock free: what it wrote is salvaged."""
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

    def _move_in(self) -> None:
        """Makes the writer's directory, with its lock held before anybody can see it. Raises as ``append`` does."""
        newborn = self.path.with_name(BIRTH_PREFIX + self.path.name)
        lock = directory = -1
        is_born = False
        try:
            make_directories(self.path.parent)
            newborn.mkdir()
            lock = os.open(newborn / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            # Before the rename that shows the directory: a reader takes a writer without a lock for dead.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            directory = os.open(newborn, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            # The lock's name must be on disk before the directory is visible under its own.
            os.fsync(directory)
            is_born = True
            newborn.rename(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            for file in (directory, lock):
                if file >= 0:
                    os.close(file)
            # The fault that led here is the one to report; a directory that stays is removed by the reader.
            with contextlib.suppress(OSError):
                (newborn / LOCK_NAME).unlink(missing_ok=True)
                newborn.rmdir()
            # Before the rename nothing of this writer is there, whatever the fault, a file in the place of a directory, say: an edge
            # that ended for it, again and again, would turn visitors away.
            if not is_born or error.errno in _REFUSED:
                raise JournalFull(f"{self.path} could not be made: {error.strerror}") from error
            raise self._broke("its directory could not be made", error) from error
        self._lock, self._directory = lock, directory

    def _open_segment(self) -> None:
        """Begins the next segment."""
        if self._failure:
            raise JournalBroken(self._failure)
        if self._directory < 0:
            self._move_in()
        # Fixed width, so that names sort as their numbers do.
        name = f"{self._number + 1:08d}{OPEN_SUFFIX}"
        try:
            self._fd = os.open(name, _SEGMENT_FLAGS, 0o644, dir_fd=self._directory)
        except OSError as error:
            if error.errno in _REFUSED:
                raise JournalFull(f"{self.path / name} could not be made: {error.strerror}") from error
            raise self._broke(f"{name} could not be created", error) from error
        self._number += 1
        self._octets = self._checksum = self._count = 0
        self._opened_at = self._clock()
        self._directory_changed = True

    def _write_failed(self, error: OSError) -> JournalError:
        """The exception for a write that stored nothing (no room) or nobody knows what (all else)."""
        if self._failure:
            return JournalBroken(self._failure)
        if error.errno in _FULL:
            return self._cut_back(str(error.strerror))
        return self._broke("a write failed", error)

    def _cut_back(self, why: str) -> JournalError:
        """Takes back a partial line, so that the segment stays whole."""
        try:
            os.ftruncate(self._fd, self._octets)
        except OSError as error:
            return self._broke("a partly written line could not be taken back", error)
        return JournalFull(f"no room in {self.path}: {why}; the record is not stored")

    def _broke(self, what: str, error: OSError) -> JournalBroken:
        """Refuses all further use, and leaves the files as they are for salvage."""
        self._failure = f"the journal {self.path} is broken: {what} ({error}); restart this process, what is stored will be replayed"
        if self._fd >= 0:
            self._finished.append(self._fd)  # a sync may be using it: closed with the writer
            self._fd = -1
        self._count = 0
        return JournalBroken(self._failure)
