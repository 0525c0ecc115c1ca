"""The journal's reader: finds finished segments, verifies and repairs them, and moves them away once they are settled."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from clickloop.clock import MINUTE_MS, Clock, wall_clock
from clickloop.store.directory import make_directories, sync_directory
from clickloop.store.identity import installation_id
from clickloop.store.journal.marks import (
    delete_mark,
    mark_settled,
    marked_writers,
    missing_ranges,
    read_mark,
)
from clickloop.store.journal.segment import (
    CLOSED_SUFFIX,
    DAMAGED_SUFFIX,
    LOCK_NAME,
    NEW_PREFIX,
    OPEN_SUFFIX,
    PART_SUFFIX,
    SEGMENT_SUFFIXES,
    Damage,
    DamageKind,
    Segment,
    SegmentContents,
    closed_segment_bytes,
    damages_of,
    is_foreign,
    keep_only,
    origin_of,
    quick_count,
    salvage,
)

# Not in every round: a failing disk takes seconds per attempt.
_RETRY_UNREADABLE_MS = MINUTE_MS
# A writer takes milliseconds from creating its directory to renaming it: after a minute it is dead.
_MAX_CREATION_MS = MINUTE_MS
MAX_DELETED = 50_000
"""Maximum number of settled segments of a writer deleted per call."""
_LOST_WRITERS_MS = MINUTE_MS
"""Time between searches for writers that have a mark but no directory."""


class JournalReader:
    """Reads the journal in ``root``, and moves settled segments to ``settled_root``. Use it from one thread of one process."""

    def __init__(self, root: Path, settled_root: Path, clock: Clock = wall_clock) -> None:
        self._root = root
        self._settled_root = settled_root
        self._clock = clock
        self._installation = installation_id(root.parent)
        self._next: dict[tuple[str, str], int] = {}
        self._settled_for_good: dict[tuple[str, str], int] = {}
        """By writer, the last segment whose settling was synced: if one up to it is in the journal, someone has put it back."""
        self._lost_checked_at: dict[str, int] = {}
        self._missing: list[Damage] = []
        self._reported: set[str] = set()
        self._retry_at: dict[str, int] = {}

    def closed_segments(self, stream: str) -> list[Segment]:
        """Return the finished segments, oldest first per writer, including those that dead writers left open."""
        now_ms = self._clock()
        segments: list[Segment] = []
        for directory in self._writers(stream, now_ms):
            segments += self._segments_of(stream, directory, now_ms)
        if abs(now_ms - self._lost_checked_at.get(stream, -_LOST_WRITERS_MS)) >= _LOST_WRITERS_MS:
            self._lost_checked_at[stream] = now_ms
            self._report_lost_writers(stream)
        return segments

    def missing(self) -> list[Damage]:
        """Return, once, the damage that the last listings found: segments that disappeared, and settled ones that came back."""
        damages, self._missing = self._missing, []
        return damages

    def verify(self, segment: Segment) -> SegmentContents:
        """Verify a segment. Cut out and report damaged lines, and keep the original file.

        If the file cannot be read, ``count`` is -1, and the file is left for a later attempt.
        """
        return self._check(segment, with_lines=False, accepts=None)

    def read(self, segment: Segment) -> SegmentContents:
        """Verify a segment and return its records, too."""
        return self._check(segment, with_lines=True, accepts=None)

    def keep_only(self, segment: Segment, accepts: Callable[[bytes], bool], why: str) -> SegmentContents:
        """Cut out records that a store cannot take although their checksums match, and report each as unreadable.

        ``why`` is the end of the sentence that reports it.
        """
        return self._check(segment, with_lines=False, accepts=accepts, why=why)

    def rewrite(self, segment: Segment, lines: Sequence[bytes]) -> SegmentContents:
        """Leave only these records in a segment, and keep the original file."""
        origin = origin_of(self._installation, segment.stream, segment.writer)
        segment = _rewrite(segment, closed_segment_bytes(segment.number, lines, origin), keep_original=True)
        return SegmentContents(segment, len(lines))

    def settled(self, segments: Sequence[Segment]) -> None:
        """Move segments away that the stores have committed, durably: a power cut does not bring them back."""
        changed: set[Path] = set()
        for segment in segments:
            target = self._settled_directory(segment)
            # The original first: if the process is killed in between, the closed segment is still here, and both are moved again.
            for suffix in (DAMAGED_SUFFIX, CLOSED_SUFFIX):
                name = f"{segment.number:08d}{suffix}"
                # An earlier call that was killed before it could sync may have moved it.
                with contextlib.suppress(FileNotFoundError):
                    (segment.path.parent / name).rename(target / name)
            changed |= {target, segment.path.parent}
            key = (segment.stream, segment.writer)
            self._next[key] = max(self._next.get(key, 1), segment.number + 1)
        for directory in changed:
            # Before the marks: after a power cut they must not include segments that came back into the journal.
            sync_directory(directory)
        for stream, writer in {(segment.stream, segment.writer) for segment in segments}:
            number = self._settled_for_good[stream, writer] = self._next[stream, writer] - 1
            mark_settled(self._root, stream, writer, number)

    def delete_settled(self, before_ms: int) -> int:
        """Delete settled segments last written before a moment, and return the number of bytes freed. Damaged originals stay.

        While a writer has a directory in the journal, its newest settled segment stays, because numbers continue from it, and so
        does its directory of settled segments, even if empty: a segment may be about to be moved there.

        At most ``MAX_DELETED`` per writer. Looking through millions takes seconds: see ``tracking.retention.sparing``.
        """
        freed = 0
        for directory in sorted(self._settled_root.glob("*/*")):
            journal_directory = self._root / directory.parent.name / directory.name
            is_needed = journal_directory.is_dir()
            newest, old = _newest_and_old(directory, before_ms)
            for number, path, size in old:
                # Never the newest of a live writer: without it numbers would start again from 1, and gaps go unnoticed.
                if not is_needed or number != newest:
                    os.unlink(path)
                    freed += size
            if not is_needed:
                # Fails while damaged originals are in it.
                with contextlib.suppress(OSError):
                    directory.rmdir()
        return freed

    def _writers(self, stream: str, now_ms: int) -> list[Path]:
        """Return the directories of all writers, oldest first, and remove those whose writer died while creating it."""
        try:
            # Names begin with the time of creation.
            entries = sorted(self._root.joinpath(stream).iterdir())
        except FileNotFoundError:
            return []
        writers = []
        for entry in entries:
            if entry.name.startswith(NEW_PREFIX):
                # Its writer may be renaming it.
                with contextlib.suppress(OSError):
                    if now_ms - entry.stat().st_mtime_ns // 1_000_000 > _MAX_CREATION_MS:
                        _remove_if_dead(entry)
            elif entry.is_dir():
                writers.append(entry)
        return writers

    def _segments_of(self, stream: str, directory: Path, now_ms: int) -> list[Segment]:
        """Return a writer's segments, and report gaps in their numbers. Remove an empty directory of a dead writer."""
        # Before the listing, which then has all that a dead writer will ever leave.
        dead = _is_dead(directory)
        entries = [path for path in directory.iterdir() if path.stem.isdecimal()]
        paths = {int(path.stem): path for path in entries if path.suffix in SEGMENT_SUFFIXES}
        repaired = {int(path.stem) for path in entries if path.suffix == DAMAGED_SUFFIX}
        key = (stream, directory.name)
        first = self._first_number(stream, directory.name)
        # The deleted last segment of a live writer is noticed once a next one makes it a gap.
        last = read_mark(self._root, stream, directory.name).on_disk + 1 if dead else 0
        newest = max(paths, default=0)
        # A dead writer without any segments is reported as a whole once its directory is gone.
        for number in range(first, max(last, newest) if newest else 0):
            if number not in paths:
                self._report_missing(stream, directory, number)
        segments = []
        for number in sorted(paths):
            path = paths[number]
            if path.suffix == OPEN_SUFFIX and not dead:
                continue
            size = path.stat().st_size
            if path.suffix == OPEN_SUFFIX and size == 0:
                path.unlink()
                continue
            returned = number <= self._settled_for_good.get(key, 0)
            if returned:
                self._report_returned(stream, path, size)
            # Without a mark, the writer was killed before its first sync, or its segments were settled long ago and put back.
            doubtful = returned or number in repaired or last == 1
            segment = Segment(path, stream, directory.name, number, size, doubtful)
            # A time further ahead than the interval means that the clock has been set back since.
            if not 0 < self._retry_at.get(segment.name, 0) - now_ms <= _RETRY_UNREADABLE_MS:
                segments.append(segment)
        if dead and not segments and not any(path.exists() for path in paths.values()):
            _remove_if_dead(directory)
            if last <= first:
                delete_mark(self._root, *key)
            self._next.pop(key, None)
        return segments

    def _report_lost_writers(self, stream: str) -> None:
        """Report unsettled segments of writers whose directory is gone; delete the marks of other writers without a directory."""
        lost = {writer: (start, end) for writer, start, end in missing_ranges(self._root, self._settled_root, stream)}
        for writer in marked_writers(self._root, stream):
            directory = self._root / stream / writer
            if directory.is_dir():
                continue
            if writer not in lost:
                delete_mark(self._root, stream, writer)
                continue
            start, end = lost[writer]
            if str(directory) not in self._reported:
                self._reported.add(str(directory))
                sentence = f"{directory} is missing with its segments {start} to {end}, which were not processed yet: they are lost."
                self._missing.append(Damage(DamageKind.MISSING_SEGMENT, str(directory), start, end, sentence))

    def _first_number(self, stream: str, writer: str) -> int:
        """Return the number that a writer's oldest unsettled segment must have."""
        key = (stream, writer)
        if key not in self._next:
            settled = [_number(path) for path in self._settled_root.joinpath(stream, writer).glob("*" + CLOSED_SUFFIX)]
            mark = read_mark(self._root, stream, writer)
            self._settled_for_good[key] = mark.settled if mark.on_disk else max(settled, default=0)
            self._next[key] = max(mark.settled, max(settled, default=0)) + 1
        return self._next[key]

    def _report_missing(self, stream: str, directory: Path, number: int) -> None:
        """Report a gap once, unless the listing only missed a file that was being renamed."""
        path = directory / f"{number:08d}{CLOSED_SUFFIX}"
        if str(path) in self._reported or path.exists() or path.with_suffix(OPEN_SUFFIX).exists():
            return
        self._reported.add(str(path))
        sentence = f"Segment {number} of {stream}/{directory.name} is missing: {path} was written but is gone; its contents are lost."
        self._missing.append(Damage(DamageKind.MISSING_SEGMENT, str(path), 0, 0, sentence))

    def _report_returned(self, stream: str, path: Path, size: int) -> None:
        """Report once a settled segment that is in the journal again."""
        if str(path) not in self._reported:
            self._reported.add(str(path))
            sentence = (
                f"Segment {path.stem} of {stream}/{path.parent.name} was processed before and is back in the journal ({path}): records "
                "that are in the stores already are not counted twice."
            )
            self._missing.append(Damage(DamageKind.REPEATED, str(path), 0, size, sentence))

    def _check(
        self, segment: Segment, with_lines: bool, accepts: Callable[[bytes], bool] | None, why: str = ""
    ) -> SegmentContents:
        """Verify the whole file by one checksum or, if that fails, line by line."""
        try:
            data = segment.path.read_bytes()
        except OSError as error:
            return self._unreadable(segment, error)
        origin = origin_of(self._installation, segment.stream, segment.writer)
        count = quick_count(data, segment.number, origin)
        if count is not None and accepts is None:
            if segment.path.suffix == OPEN_SUFFIX:
                segment = _close(segment)
            lines = tuple(data.split(b"\n")[:count]) if with_lines else ()
            return SegmentContents(segment, count, (), lines)
        found = salvage(data)
        damages = damages_of(data, found, segment, segment.path.suffix == CLOSED_SUFFIX, origin)
        good: Sequence[bytes] = () if is_foreign(found.trailer, origin) else found.lines
        if accepts is not None:
            good, refused = keep_only(good, accepts)
            damages += tuple(_refusal(segment, data, found.lines[index], why) for index in refused)
        segment = _rewrite(segment, closed_segment_bytes(segment.number, good, origin), keep_original=bool(damages))
        return SegmentContents(segment, len(good), damages, tuple(good) if with_lines else ())

    def _unreadable(self, segment: Segment, error: OSError) -> SegmentContents:
        """Skip an unreadable file for a while, and report it once."""
        self._retry_at[segment.name] = self._clock() + _RETRY_UNREADABLE_MS
        if segment.name in self._reported:
            return SegmentContents(segment, -1)
        self._reported.add(segment.name)
        sentence = (
            f"{segment.path} cannot be read ({error.strerror}). Clickloop leaves it there and retries every minute."
        )
        return SegmentContents(
            segment, -1, (Damage(DamageKind.UNREADABLE, str(segment.path), 0, segment.size, sentence),)
        )

    def _settled_directory(self, segment: Segment) -> Path:
        """Return the directory of a writer's settled segments, durably created if it is new."""
        target = self._settled_root / segment.stream / segment.writer
        make_directories(target)
        return target


def _number(path: Path) -> int:
    return int(path.stem)


def _newest_and_old(directory: Path, before_ms: int) -> tuple[int, list[tuple[int, str, int]]]:
    """Return the newest number in a writer's directory of settled segments, and number, path and size of old ones.

    There may be millions, one for each notice of a day: nothing is remembered of those that are not old.
    """
    newest = 0
    old: list[tuple[int, str, int]] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)
            if suffix != CLOSED_SUFFIX:
                continue
            newest = max(newest, int(stem))
            if len(old) < MAX_DELETED and (state := entry.stat()).st_mtime_ns // 1_000_000 < before_ms:
                old.append((int(stem), entry.path, state.st_size))
    return newest, old


def _refusal(segment: Segment, data: bytes, line: bytes, why: str) -> Damage:
    first = data.find(line)
    end = first + len(line) + 1
    sentence = f"The record in {segment.path}, from byte {first} up to {end}, cannot be read: {why}."
    return Damage(DamageKind.UNREADABLE, str(segment.path), first, end, sentence)


def _close(segment: Segment) -> Segment:
    """Rename a complete segment whose writer died before it could."""
    path = segment.path.with_suffix(CLOSED_SUFFIX)
    segment.path.rename(path)
    return msgspec.structs.replace(segment, path=path)


def _rewrite(segment: Segment, data: bytes, keep_original: bool) -> Segment:
    """Replace a segment's contents. If the process is killed at any point, it is either done or can be repeated."""
    part = segment.path.with_suffix(PART_SUFFIX)
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        # Before the rename: a power cut could otherwise leave an empty file in place of the segment.
        os.fsync(file.fileno())
    if keep_original:
        # If a repair was killed it has kept the original already; the current file may be its half-done work.
        with contextlib.suppress(FileExistsError):
            segment.path.with_suffix(DAMAGED_SUFFIX).hardlink_to(segment.path)
    path = segment.path.with_suffix(CLOSED_SUFFIX)
    # Two renames, the first to the old name, so that there is never both an open and a closed segment with the same number.
    part.rename(segment.path)
    segment.path.rename(path)
    sync_directory(path.parent)
    return msgspec.structs.replace(segment, path=path, size=len(data))


def _is_dead(directory: Path) -> bool:
    """Return whether the writer's process has ended, which released its lock."""
    try:
        # Without O_CREAT: a lock file made here would make a dead writer look alive.
        lock = os.open(directory / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        # The system releases the lock however the process ends; a process id might be reused by now.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _remove_if_dead(directory: Path) -> None:
    """Remove the directory of a dead writer that left only its lock and perhaps an unfinished repair."""
    if not _is_dead(directory):
        return
    for path in (*directory.glob("*" + PART_SUFFIX), directory / LOCK_NAME):
        # The lock last: a directory without it counts as dead anyway.
        path.unlink(missing_ok=True)
    # Fails while damaged originals are in it.
    with contextlib.suppress(OSError):
        directory.rmdir()
