"""The journal's reader: finds segments that nobody writes any more, checks and repairs them, and puts them away when settled."""

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
    forget_mark,
    marked_writers,
    missing_ranges,
    note_settled,
    read_mark,
)
from clickloop.store.journal.segment import (
    BIRTH_PREFIX,
    CLOSED_SUFFIX,
    DAMAGED_SUFFIX,
    LOCK_NAME,
    OPEN_SUFFIX,
    PART_SUFFIX,
    SEGMENT_SUFFIXES,
    Damage,
    DamageKind,
    Segment,
    SegmentContents,
    damages_of,
    is_foreign,
    keep_only,
    origin_of,
    quick_count,
    salvage,
    sealed,
)

# A disk that fails takes seconds for each try: not with every round.
_UNREADABLE_AGAIN_MS = MINUTE_MS
# A writer takes milliseconds from making its directory to naming it: after a minute it is dead.
_BIRTH_MS = MINUTE_MS
_LOST_WRITERS_MS = MINUTE_MS
"""Time between looks for writers that have a mark and no directory."""


class JournalReader:
    """Reads the journal below ``root``; settled segments go to ``settled_root``. For one thread of one process."""

    def __init__(self, root: Path, settled_root: Path, clock: Clock = wall_clock) -> None:
        self._root = root
        self._settled_root = settled_root
        self._clock = clock
        self._installation = installation_id(root.parent)
        self._next: dict[tuple[str, str], int] = {}
        self._settled_for_good: dict[tuple[str, str], int] = {}
        """By writer, the number up to which settled segments were synced: one of these in the journal has been put back there."""
        self._lost_looked_at: dict[str, int] = {}
        self._missing: list[Damage] = []
        self._reported: set[str] = set()
        self._look_again_at: dict[str, int] = {}

    def closed_segments(self, stream: str) -> list[Segment]:
        """Segments that nobody writes any more, oldest first per writer, including what dead writers left unclosed."""
        now_ms = self._clock()
        segments: list[Segment] = []
        for directory in self._writers(stream, now_ms):
            segments += self._segments_of(stream, directory, now_ms)
        if abs(now_ms - self._lost_looked_at.get(stream, -_LOST_WRITERS_MS)) >= _LOST_WRITERS_MS:
            self._lost_looked_at[stream] = now_ms
            self._look_for_lost_writers(stream)
        return segments

    def missing(self) -> list[Damage]:
        """Segments that must have been written but are not there, as the last listings found. Each is told once."""
        found, self._missing = self._missing, []
        return found

    def verify(self, segment: Segment) -> SegmentContents:
        """Makes sure that the segment's file holds nothing but good lines; damages are cut out and told, the original is kept aside.

        Only when the file cannot be read is ``count`` -1: it stays where it is and is looked at again later.
        """
        return self._checked(segment, with_lines=False, accepts=None)

    def read(self, segment: Segment) -> SegmentContents:
        """As ``verify``, and answers the records as well."""
        return self._checked(segment, with_lines=True, accepts=None)

    def keep_only(self, segment: Segment, accepts: Callable[[bytes], bool], why: str) -> SegmentContents:
        """Cuts out the records that a store cannot take although their checksums are right, each told as unreadable.

        ``why`` is a sentence for people, without the place.
        """
        return self._checked(segment, with_lines=False, accepts=accepts, why=why)

    def rewrite(self, segment: Segment, lines: Sequence[bytes]) -> SegmentContents:
        """Leave only these records in a segment; the original is put aside."""
        origin = origin_of(self._installation, segment.stream, segment.writer)
        segment = _rewritten(segment, sealed(segment.number, lines, origin), keep_original=True)
        return SegmentContents(segment, len(lines))

    def settled(self, segments: Sequence[Segment]) -> None:
        """Puts segments away whose records the stores have committed. On return they will not come back, even after a power cut."""
        changed: set[Path] = set()
        for segment in segments:
            target = self._settled_directory(segment)
            # The original first: killed in between, the closed segment is still here, and putting it away is done again.
            for suffix in (DAMAGED_SUFFIX, CLOSED_SUFFIX):
                name = f"{segment.number:08d}{suffix}"
                # Already moved by a call that was killed before it could sync.
                with contextlib.suppress(FileNotFoundError):
                    (segment.path.parent / name).rename(target / name)
            changed |= {target, segment.path.parent}
            key = (segment.stream, segment.writer)
            self._next[key] = max(self._next.get(key, 1), segment.number + 1)
        for directory in changed:
            # Before the marks: after a power cut they must not count what came back into the journal.
            sync_directory(directory)
        for stream, writer in {(segment.stream, segment.writer) for segment in segments}:
            number = self._settled_for_good[stream, writer] = self._next[stream, writer] - 1
            note_settled(self._root, stream, writer, number)

    def delete_settled(self, before_ms: int) -> int:
        """Deletes settled segments last written before a moment; answers the bytes that this freed. Damaged originals stay.

        Of each writer that still has a directory in the journal the newest stays: it says where the numbers go on; and so does
        the directory, even an empty one: segments may be about to be put into it.
        """
        freed = 0
        for directory in sorted(self._settled_root.glob("*/*")):
            names = sorted(directory.glob("*" + CLOSED_SUFFIX), key=_number)
            journal_directory = self._root / directory.parent.name / directory.name
            is_needed = journal_directory.is_dir()
            # Never the newest of a live writer: with it the numbers would begin anew, and gaps go unseen.
            for path in names[:-1] if is_needed else names:
                state = path.stat()
                if state.st_mtime_ns // 1_000_000 < before_ms:
                    path.unlink()
                    freed += state.st_size
            if not is_needed:
                # Not empty: damaged originals stay in it.
                with contextlib.suppress(OSError):
                    directory.rmdir()
        return freed

    def _writers(self, stream: str, now_ms: int) -> list[Path]:
        """The directories of all writers, oldest first; those that died at birth are removed."""
        try:
            # Names begin with the time of birth: by name is oldest first.
            entries = sorted(self._root.joinpath(stream).iterdir())
        except FileNotFoundError:
            return []
        writers = []
        for entry in entries:
            if entry.name.startswith(BIRTH_PREFIX):
                # Its writer may name it at this moment.
                with contextlib.suppress(OSError):
                    if now_ms - entry.stat().st_mtime_ns // 1_000_000 > _BIRTH_MS:
                        _remove_if_dead(entry)
            elif entry.is_dir():
                writers.append(entry)
        return writers

    def _segments_of(self, stream: str, directory: Path, now_ms: int) -> list[Segment]:
        """One writer's segments; notes gaps in their numbers; removes the directory of a dead writer that left nothing."""
        dead = _is_dead(
            directory
        )  # asked before listing: what is listed is then all that a dead writer will ever leave
        entries = [path for path in directory.iterdir() if path.stem.isdecimal()]
        paths = {int(path.stem): path for path in entries if path.suffix in SEGMENT_SUFFIXES}
        repaired = {int(path.stem) for path in entries if path.suffix == DAMAGED_SUFFIX}
        key = (stream, directory.name)
        first = self._first_number(stream, directory.name)
        # Of a live writer a deleted last segment is noticed when the next one has made a gap of it.
        last = read_mark(self._root, stream, directory.name).on_disk + 1 if dead else 0
        newest = max(paths, default=0)
        # A dead writer that has none left is reported as a whole, when its directory is gone.
        for number in range(first, max(last, newest) if newest else 0):
            if number not in paths:
                self._note_missing(stream, directory, number)
        segments = []
        for number in sorted(paths):
            path = paths[number]
            if path.suffix == OPEN_SUFFIX and not dead:
                continue
            octets = path.stat().st_size
            if path.suffix == OPEN_SUFFIX and octets == 0:
                path.unlink()
                continue
            returned = number <= self._settled_for_good.get(key, 0)
            if returned:
                self._note_returned(stream, path, octets)
            # Without a mark the writer was killed before its first sync, or all of this was settled long ago and put back.
            doubtful = returned or number in repaired or last == 1
            segment = Segment(path, stream, directory.name, number, octets, doubtful)
            if not 0 < self._look_again_at.get(segment.name, 0) - now_ms <= _UNREADABLE_AGAIN_MS:
                segments.append(segment)  # also where that is further ahead: the clock has been set back since
        if dead and not segments and not any(path.exists() for path in paths.values()):
            _remove_if_dead(directory)
            if last <= first:
                forget_mark(self._root, *key)
            self._next.pop(key, None)
        return segments

    def _look_for_lost_writers(self, stream: str) -> None:
        """Report the segments of writers whose directory is gone before they were settled; forget the marks of all others."""
        lost = {writer: (start, end) for writer, start, end in missing_ranges(self._root, self._settled_root, stream)}
        for writer in marked_writers(self._root, stream):
            directory = self._root / stream / writer
            if directory.is_dir():
                continue
            if writer not in lost:
                forget_mark(self._root, stream, writer)
                continue
            start, end = lost[writer]
            if str(directory) not in self._reported:
                self._reported.add(str(directory))
                sentence = f"{directory} is missing with its segments {start} to {end}, which were not processed yet: they are lost."
                self._missing.append(Damage(DamageKind.MISSING_SEGMENT, str(directory), start, end, sentence))

    def _first_number(self, stream: str, writer: str) -> int:
        """The number that the oldest unsettled segment of a writer must have."""
        key = (stream, writer)
        if key not in self._next:
            settled = [_number(path) for path in self._settled_root.joinpath(stream, writer).glob("*" + CLOSED_SUFFIX)]
            mark = read_mark(self._root, stream, writer)
            self._settled_for_good[key] = mark.settled if mark.on_disk else max(settled, default=0)
            self._next[key] = max(mark.settled, max(settled, default=0)) + 1
        return self._next[key]

    def _note_missing(self, stream: str, directory: Path, number: int) -> None:
        """Reports a gap once, unless the listing only missed a file that was being renamed."""
        path = directory / f"{number:08d}{CLOSED_SUFFIX}"
        if str(path) in self._reported or path.exists() or path.with_suffix(OPEN_SUFFIX).exists():
            return
        self._reported.add(str(path))
        sentence = f"Segment {number} of {stream}/{directory.name} is missing: {path} was written but is gone; its contents are lost."
        self._missing.append(Damage(DamageKind.MISSING_SEGMENT, str(path), 0, 0, sentence))

    def _note_returned(self, stream: str, path: Path, octets: int) -> None:
        """Report a segment that was settled for good and is there again, once."""
        if str(path) not in self._reported:
            self._reported.add(str(path))
            sentence = (
                f"Segment {path.stem} of {stream}/{path.parent.name} was processed before and is back in the journal ({path}): records "
                "that are in the stores already are not counted twice."
            )
            self._missing.append(Damage(DamageKind.REPEATED, str(path), 0, octets, sentence))

    def _checked(
        self, segment: Segment, with_lines: bool, accepts: Callable[[bytes], bool] | None, why: str = ""
    ) -> SegmentContents:
        """The quick check of the whole file, and where it fails the slow one of each line."""
        try:
            data = segment.path.read_bytes()
        except OSError as error:
            return self._unreadable(segment, error)
        origin = origin_of(self._installation, segment.stream, segment.writer)
        count = quick_count(data, segment.number, origin)
        if count is not None and accepts is None:
            if segment.path.suffix == OPEN_SUFFIX:
                segment = _renamed(segment)
            lines = tuple(data.split(b"\n")[:count]) if with_lines else ()
            return SegmentContents(segment, count, (), lines)
        found = salvage(data)
        damages = damages_of(data, found, segment, segment.path.suffix == CLOSED_SUFFIX, origin)
        kept: Sequence[bytes] = () if is_foreign(found.trailer, origin) else found.lines
        if accepts is not None:
            kept, refused = keep_only(kept, accepts)
            damages += tuple(_refusal(segment, data, found.lines[index], why) for index in refused)
        segment = _rewritten(segment, sealed(segment.number, kept, origin), keep_original=bool(damages))
        return SegmentContents(segment, len(kept), damages, tuple(kept) if with_lines else ())

    def _unreadable(self, segment: Segment, error: OSError) -> SegmentContents:
        """Leaves a file alone that the system does not give us, for a while, and tells it once."""
        self._look_again_at[segment.name] = self._clock() + _UNREADABLE_AGAIN_MS
        if segment.name in self._reported:
            return SegmentContents(segment, -1)
        self._reported.add(segment.name)
        sentence = (
            f"{segment.path} cannot be read ({error.strerror}): it stays where it is and is tried again every minute."
        )
        return SegmentContents(
            segment, -1, (Damage(DamageKind.UNREADABLE, str(segment.path), 0, segment.octets, sentence),)
        )

    def _settled_directory(self, segment: Segment) -> Path:
        """Where the writer's settled segments are; created and synced when it is new."""
        target = self._settled_root / segment.stream / segment.writer
        make_directories(target)
        return target


def _number(path: Path) -> int:
    """The sequence number in a segment's name."""
    return int(path.stem)


def _refusal(segment: Segment, data: bytes, line: bytes, why: str) -> Damage:
    """A record that a store cannot take."""
    first = data.find(line)
    end = first + len(line) + 1
    sentence = f"The record in {segment.path}, from byte {first} up to {end}, cannot be read: {why}."
    return Damage(DamageKind.UNREADABLE, str(segment.path), first, end, sentence)


def _renamed(segment: Segment) -> Segment:
    """A whole segment whose writer died before it could rename it."""
    path = segment.path.with_suffix(CLOSED_SUFFIX)
    segment.path.rename(path)
    return msgspec.structs.replace(segment, path=path)


def _rewritten(segment: Segment, data: bytes, keep_original: bool) -> Segment:
    """Replaces the file by good bytes. Killed at any point, it is either done or can be done again."""
    part = segment.path.with_suffix(PART_SUFFIX)
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        # Before the rename: else a power cut could leave an empty file in the place of the segment.
        os.fsync(file.fileno())
    if keep_original:
        # A repair that was killed has kept it already; what is here now may be its half-done work.
        with contextlib.suppress(FileExistsError):
            segment.path.with_suffix(DAMAGED_SUFFIX).hardlink_to(segment.path)
    path = segment.path.with_suffix(CLOSED_SUFFIX)
    # Two renames: under its old name first, so that no moment has both an open and a closed segment of one number.
    part.rename(segment.path)
    segment.path.rename(path)
    sync_directory(path.parent)
    return msgspec.structs.replace(segment, path=path, octets=len(data))


def _is_dead(directory: Path) -> bool:
    """Whether the writer is gone: nobody holds its lock."""
    try:
        # Without O_CREAT: a lock file made here would make a dead writer look alive.
        lock = os.open(directory / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        # The system drops the lock of a process that ends, however it ends; a process id could be another's by now.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _remove_if_dead(directory: Path) -> None:
    """Removes the directory of a dead writer that left nothing but its lock and perhaps an unfinished repair."""
    if not _is_dead(directory):
        return
    for path in (*directory.glob("*" + PART_SUFFIX), directory / LOCK_NAME):
        # The lock last: a directory without one counts as dead anyway.
        path.unlink(missing_ok=True)
    # Not empty: damaged originals stay in it.
    with contextlib.suppress(OSError):
        directory.rmdir()
