"""Marks of the journal: the progress of each writer, stored apart from its segments, so that deleted segments are noticed.

``<data>/marks/<stream>/<writer>`` has two numbers of ten digits: the newest segment with a record known to be on disk, written by
the writer after a sync, and the newest settled segment, written by the reader after syncing its directory.
Marks themselves are not synced: after a power cut a mark may lag behind its segments, but is never ahead of them.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from clickloop.store.id_runs import id_runs
from clickloop.store.journal.listing import segment_numbers, writer_directories

FOLDER = "marks"
_LINE = b"%010d\n"
_LINE_BYTES = 11


class StreamMark(msgspec.Struct, frozen=True):
    """The numbers of a writer's newest segment on disk and its newest settled one; 0 if there is none yet."""

    on_disk: int = 0
    settled: int = 0


class MarkFile:
    """A writer's mark, open for writing."""

    __slots__ = ("_fd", "_noted", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._noted = 0

    def note(self, number: int) -> None:
        """Write that a segment is on disk, unless it was written before."""
        if number <= self._noted:
            return
        # On a full or failing disk the mark lags; the record must not fail because of it.
        with contextlib.suppress(OSError):
            if self._fd < 0:
                self._fd = _opened(self._path)
            # Fixed width, in place: needs no space on a full disk, and a reader never sees half a number.
            os.pwrite(self._fd, _LINE % number, 0)
            self._noted = number

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def mark_path(journal: Path, stream: str, writer: str) -> Path:
    """Return the path of a writer's mark. ``journal``: the journal's folder."""
    return journal.with_name(FOLDER) / stream / writer


def read_mark(journal: Path, stream: str, writer: str) -> StreamMark:
    """Return a writer's mark; both numbers are 0 if it is missing or damaged."""
    try:
        lines = mark_path(journal, stream, writer).read_bytes().split(b"\n")
    except OSError:
        return StreamMark()
    if len(lines) < 2 or not all(len(line) == _LINE_BYTES - 1 and line.isdigit() for line in lines[:2]):
        return StreamMark()
    return StreamMark(int(lines[0]), int(lines[1]))


def mark_settled(journal: Path, stream: str, writer: str, number: int) -> None:
    """Write that a writer's segments up to this one are settled for good."""
    # If it fails the mark lags until the next one.
    with contextlib.suppress(OSError):
        file = _opened(mark_path(journal, stream, writer))
        try:
            # In place, at its own offset: writer and reader write the same file without a lock.
            os.pwrite(file, _LINE % number, _LINE_BYTES)
        finally:
            os.close(file)


def delete_mark(journal: Path, stream: str, writer: str) -> None:
    """Delete the mark of a writer that has no segments left."""
    # A mark that stays does no harm: it doesn't keep anything from being settled.
    with contextlib.suppress(OSError):
        mark_path(journal, stream, writer).unlink(missing_ok=True)


def marked_writers(journal: Path, stream: str) -> list[str]:
    """Return the writers of a stream that have a mark, oldest first."""
    try:
        # Names begin with the time of creation.
        return sorted(os.listdir(journal.with_name(FOLDER) / stream))
    except OSError:
        return []


def missing_ranges(journal: Path, settled: Path, stream: str) -> Iterator[tuple[str, int, int]]:
    """Yield writer, first and last number of segments that were written but are neither in the journal nor settled. Read-only."""
    # The marks before the listing: what a live writer adds in between must not look missing.
    marks = {writer: read_mark(journal, stream, writer) for writer in marked_writers(journal, stream)}
    directories = {os.path.basename(path) for path in writer_directories(journal / stream)}
    for writer in sorted(directories | marks.keys()):
        mark = marks.get(writer, StreamMark())
        there = _numbers(journal / stream / writer)
        newest = max(mark.on_disk, max(there, default=0))
        gone = [number for number in range(mark.settled + 1, newest + 1) if number not in there]
        # Only then, since there may be millions, one for each notice of a day: the mark of what is settled may lag.
        if gone:
            settled_until = max(_numbers(settled / stream / writer), default=0)
            gone = [number for number in gone if number > settled_until]
        for start, end in id_runs(gone):
            yield writer, start, end


def _numbers(directory: Path) -> set[int]:
    try:
        return segment_numbers(directory)
    except OSError:
        return set()


def _opened(path: Path) -> int:
    """Open the file of a mark; create it with both numbers 0 if it is missing."""
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Without O_TRUNC: writer and reader may both create it, and must not erase each other's line.
    if os.fstat(file).st_size == 0:
        os.pwrite(file, _LINE % 0 + _LINE % 0, 0)
    return file
