"""Marks of the journal: the progress of each writer, stored outside of its segments, so that deleted ones are noticed.

``<data>/marks/<stream>/<writer>`` holds two numbers of ten digits: the newest segment with a record that is known to be on disk,
written by the writer after the sync that proved it, and the newest settled one, written by the reader after its directory was
synced. Neither is synced by itself: after a power cut a mark is behind its segments, never ahead of them.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from clickloop.store.journal.listing import segment_numbers, writer_directories

FOLDER = "marks"
_LINE = b"%010d\n"
_LINE_BYTES = 11


class StreamMark(msgspec.Struct, frozen=True):
    """The numbers of a writer's newest segment on disk and of its newest settled one; 0: none yet."""

    on_disk: int = 0
    settled: int = 0


class MarkFile:
    """A writer's mark as the writer moves it on. A disk that refuses it costs the mark, never the record."""

    __slots__ = ("_fd", "_noted", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._noted = 0

    def note(self, number: int) -> None:
        """Write that this segment is on disk; does nothing when it was written before."""
        if number <= self._noted:
            return
        # A full or failing disk costs the mark, which then lags, never the record that it is about.
        with contextlib.suppress(OSError):
            if self._fd < 0:
                self._fd = _opened(self._path)
            # Fixed width, in place: needs no room on a full disk, and a reader never sees half a number.
            os.pwrite(self._fd, _LINE % number, 0)
            self._noted = number

    def close(self) -> None:
        """Let the file go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def mark_path(journal: Path, stream: str, writer: str) -> Path:
    """Return where the mark of a writer is. ``journal``: the journal's folder."""
    return journal.with_name(FOLDER) / stream / writer


def read_mark(journal: Path, stream: str, writer: str) -> StreamMark:
    """Return a writer's mark; one that is missing or damaged tells nothing."""
    try:
        lines = mark_path(journal, stream, writer).read_bytes().split(b"\n")
    except OSError:
        return StreamMark()
    if len(lines) < 2 or not all(len(line) == _LINE_BYTES - 1 and line.isdigit() for line in lines[:2]):
        return StreamMark()
    return StreamMark(int(lines[0]), int(lines[1]))


def note_settled(journal: Path, stream: str, writer: str, number: int) -> None:
    """Write that a writer's segments up to this one are settled and stay so."""
    # A mark that lags is made good by the next one.
    with contextlib.suppress(OSError):
        file = _opened(mark_path(journal, stream, writer))
        try:
            # In place, at its own offset: writer and reader write the same file without a lock.
            os.pwrite(file, _LINE % number, _LINE_BYTES)
        finally:
            os.close(file)


def forget_mark(journal: Path, stream: str, writer: str) -> None:
    """Remove the mark of a writer that has left nothing. One that cannot be removed stays, and keeps nothing from being settled."""
    with contextlib.suppress(OSError):
        mark_path(journal, stream, writer).unlink(missing_ok=True)


def marked_writers(journal: Path, stream: str) -> list[str]:
    """Return the writers of a stream that have a mark, oldest first."""
    try:
        # Sorted by name, which begins with the time of birth.
        return sorted(os.listdir(journal.with_name(FOLDER) / stream))
    except OSError:
        return []


def missing_ranges(journal: Path, settled: Path, stream: str) -> Iterator[tuple[str, int, int]]:
    """Yield writer, first and last number of segments that were written and are neither in the journal nor settled. Only reads."""
    marks = {writer: read_mark(journal, stream, writer) for writer in marked_writers(journal, stream)}
    # The marks first: what a live writer adds meanwhile is then in the listing, and not the other way round.
    directories = {os.path.basename(path) for path in writer_directories(journal / stream)}
    for writer in sorted(directories | marks.keys()):
        mark = marks.get(writer, StreamMark())
        there = _numbers(journal / stream / writer)
        first = max(mark.settled, max(_numbers(settled / stream / writer), default=0)) + 1
        gone = [number for number in range(first, max(mark.on_disk, max(there, default=0)) + 1) if number not in there]
        for start, end in _ranges(gone):
            yield writer, start, end


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last number of each run of ascending numbers."""
    start = 0
    for index, number in enumerate(numbers):
        if index + 1 == len(numbers) or numbers[index + 1] != number + 1:
            yield numbers[start], number
            start = index + 1


def _numbers(directory: Path) -> set[int]:
    try:
        return segment_numbers(directory)
    except OSError:
        return set()


def _opened(path: Path) -> int:
    """Open the mark's file, made with both numbers 0 where it is missing."""
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Not with O_TRUNC: writer and reader may both be the first, and each keeps its own line.
    if os.fstat(file).st_size == 0:
        os.pwrite(file, _LINE % 0 + _LINE % 0, 0)
    return file
