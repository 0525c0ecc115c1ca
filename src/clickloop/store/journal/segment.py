"""The journal's format: records as lines with checksums, the trailer of a segment, and the salvage of a damaged one.

A line is a JSON object whose last field is ``"crc"``: the CRC-32 of the object without that field. A closed segment ends with
another such line, the trailer: ``{"segment":number,"count":records,"checksum":CRC-32 of all lines before it}``, and ``"origin"``.
"""

import enum
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from zlib import crc32

import msgspec

OPEN_SUFFIX = ".open"
CLOSED_SUFFIX = ".ndjson"
DAMAGED_SUFFIX = ".damaged"
PART_SUFFIX = ".part"
LOCK_NAME = "lock"
NEW_PREFIX = ".new-"
SEGMENT_SUFFIXES = frozenset({OPEN_SUFFIX, CLOSED_SUFFIX})
CLICKS_STREAM = "clicks"
NOTICES_STREAM = "notices"
PAGE_EVENTS_STREAM = "page-events"
DEFERRED_WRITER = "deferred"
"""Prefix of the names of writers whose segments are settled after all others."""
STREAMS = (CLICKS_STREAM, NOTICES_STREAM, PAGE_EVENTS_STREAM)
MAIN_NODE = "main"
_NODE_MARK = "_"
"""Separates process and node: occurs in neither, and is allowed in file names of a backup."""
TRAILER_START = b'{"segment":'
_CRC_FIELD = b',"crc":'
_LINE_END = re.compile(rb',"crc":[0-9]{1,10}\}')


class JournalError(Exception):
    """An operation of the journal failed; its records must not be acknowledged."""


class DamageKind(enum.StrEnum):
    """A kind of damage to a segment, or to a file beside the journal."""

    TORN_TAIL = "torn_tail"
    FLIPPED_BITS = "flipped_bits"
    MISSING_SEGMENT = "missing_segment"
    UNREADABLE = "unreadable"
    FOREIGN = "foreign"
    """A segment of another installation."""
    REPEATED = "repeated"
    """Records that the stores had taken already."""
    MENDED = "mended"
    """A lost or damaged file beside the journal that has been rewritten."""


class Damage(msgspec.Struct, frozen=True):
    """A damage, with the bytes of the file that it affects: from ``first_byte`` up to but not including ``end_byte``."""

    kind: DamageKind
    file: str
    first_byte: int
    end_byte: int
    sentence: str


class Segment(msgspec.Struct, frozen=True):
    """A finished segment on disk. Its ``name`` never changes and is unique among all nodes of the installation."""

    path: Path
    stream: str
    writer: str
    number: int
    size: int
    """Size of the file in bytes."""
    doubtful: bool = False
    """Whether the stores may already have some of the records, because the segment was settled before or repaired."""

    @property
    def is_deferred(self) -> bool:
        """Return whether it is settled after the segments of other writers."""
        # A writer's name has time, name, process id and random digits.
        return self.writer.partition("-")[2].startswith(DEFERRED_WRITER)

    @property
    def name(self) -> str:
        """Return the name by which stores remember a loaded segment: ``stream/node/process/number``."""
        process, separator, node = self.writer.rpartition(_NODE_MARK)
        # Segments from before writers had a node keep the name under which they may have been loaded.
        writer = f"{node}/{process}" if separator else self.writer
        return f"{self.stream}/{writer}/{self.number:08d}"


def writer_name(node: str, process: str) -> str:
    """Return the name of a writer's directory. It begins with the process, and thus its time, so that the oldest sorts first."""
    return f"{process}{_NODE_MARK}{node}"


class SegmentContents(msgspec.Struct, frozen=True):
    """A verified segment: its file has ``count`` good lines and a trailer. -1: it could not be read."""

    segment: Segment
    count: int
    damages: tuple[Damage, ...] = ()
    lines: tuple[bytes, ...] = ()
    """The records without newline, each still with its ``crc`` field; empty unless requested."""


class Trailer(msgspec.Struct, frozen=True):
    """The last line of a closed segment. ``origin``: installation, stream and writer; empty in old segments."""

    segment: int
    count: int
    checksum: int
    origin: str = ""


class Salvage(msgspec.Struct, frozen=True):
    """The contents of a damaged segment: good lines (without newline), bad ranges (first, end), and the trailer, if any."""

    lines: tuple[bytes, ...]
    bad: tuple[tuple[int, int], ...]
    trailer: Trailer | None


def record_line(record: bytes) -> bytes:
    """Return the line of a record, which is a JSON object with at least one field and no newline."""
    return b'%b,"crc":%d}\n' % (record[:-1], crc32(record))


def trailer_line(number: int, count: int, checksum: int, origin: str = "") -> bytes:
    """Return the trailer of a segment whose ``count`` lines have the CRC-32 ``checksum``."""
    # Not escaped: an origin has only letters, digits, "-", "_" and "/".
    field = b',"origin":"%b"' % origin.encode() if origin else b""
    return record_line(b'{"segment":%d,"count":%d,"checksum":%d%b}' % (number, count, checksum, field))


def origin_of(installation: str, stream: str, writer: str) -> str:
    """Return the origin of a segment for its trailer; empty if the installation has no id yet."""
    return f"{installation}/{stream}/{writer}" if installation else ""


def closed_segment_bytes(number: int, lines: Iterable[bytes], origin: str = "") -> bytes:
    """Return the contents of a closed segment with these lines (without newline)."""
    lines = list(lines)
    body = b"".join(line + b"\n" for line in lines)
    return body + trailer_line(number, len(lines), crc32(body), origin)


def is_good_line(line: bytes) -> bool:
    """Return whether a line (without newline) ends with its checksum, formatted exactly as we write it."""
    at = line.rfind(_CRC_FIELD)
    if at < 1 or line[-1:] != b"}":
        return False
    return line[at + len(_CRC_FIELD) : -1] == b"%d" % crc32(line[:at] + b"}")


def quick_count(data: bytes, number: int, origin: str = "") -> int | None:
    """Return the number of records of an undamaged closed segment, or None if it must be examined line by line.

    ``origin``: the expected origin. An empty one, and a trailer without one, match any.
    """
    if data[-2:] != b"}\n":
        return None
    start = data.rfind(b"\n", 0, -1) + 1
    trailer = _trailer_of(data[start:-1])
    if (
        trailer is None
        or trailer.segment != number
        or not _matches(trailer, origin)
        # A view, because slicing bytes would copy the whole segment.
        or trailer.checksum != crc32(memoryview(data)[:start])
    ):
        return None
    return trailer.count if data.count(b"\n") == trailer.count + 1 else None


def salvage(data: bytes) -> Salvage:
    """Return the good lines and bad ranges of a damaged segment."""
    lines: list[bytes] = []
    bad: list[tuple[int, int]] = []
    trailer = None
    for start, end, good in _pieces(data):
        if not good:
            if bad and bad[-1][1] == start:
                bad[-1] = (bad[-1][0], end)
            else:
                bad.append((start, end))
            continue
        line = data[start:end].removesuffix(b"\n")
        if (parsed := _trailer_of(line)) is not None:
            trailer = parsed
        else:
            lines.append(line)
    return Salvage(tuple(lines), tuple(bad), trailer)


def _matches(trailer: Trailer, origin: str) -> bool:
    return not origin or not trailer.origin or trailer.origin == origin


def is_foreign(trailer: Trailer | None, origin: str) -> bool:
    """Return whether a segment was written by another installation."""
    if trailer is None or _matches(trailer, origin):
        return False
    return trailer.origin.partition("/")[0] != origin.partition("/")[0]


def damages_of(data: bytes, found: Salvage, segment: Segment, closed: bool, origin: str = "") -> tuple[Damage, ...]:
    """Return the damages of a segment, with sentences for the user. Only a ``closed`` one must have a trailer."""
    if found.trailer is not None and is_foreign(found.trailer, origin):
        sentence = (
            f"{segment.path} is a segment of another installation ({found.trailer.origin}): it is not processed, and kept as "
            f"{segment.number:08d}{DAMAGED_SUFFIX}."
        )
        return (Damage(DamageKind.FOREIGN, str(segment.path), 0, len(data), sentence),)
    damages = [_damage(data, found, segment, first, end) for first, end in found.bad]
    if found.trailer is not None and found.trailer.segment != segment.number:
        sentence = (
            f"The trailer of {segment.path} says segment {found.trailer.segment}: the file was renamed or copied."
        )
        damages.append(Damage(DamageKind.FLIPPED_BITS, str(segment.path), 0, len(data), sentence))
    elif found.trailer is not None and not _matches(found.trailer, origin):
        sentence = f"The trailer of {segment.path} says that it was copied from {found.trailer.origin}."
        damages.append(Damage(DamageKind.FLIPPED_BITS, str(segment.path), 0, len(data), sentence))
    if not damages and found.trailer is not None and found.trailer.count != len(found.lines):
        sentence = f"{segment.path} has {len(found.lines)} records, but its trailer says {found.trailer.count}."
        damages.append(Damage(DamageKind.FLIPPED_BITS, str(segment.path), 0, len(data), sentence))
    if not damages and closed and (found.trailer is None or data[-1:] != b"\n"):
        sentence = (
            f"{segment.path} ends early, at byte {len(data)}: the rest is lost; {len(found.lines)} records are kept."
        )
        damages.append(Damage(DamageKind.TORN_TAIL, str(segment.path), len(data), len(data), sentence))
    return tuple(damages)


def keep_only(lines: Iterable[bytes], accepts: Callable[[bytes], bool]) -> tuple[list[bytes], list[int]]:
    """Return the accepted lines, and the indexes of the others."""
    kept, refused = [], []
    for index, line in enumerate(lines):
        if accepts(line):
            kept.append(line)
        else:
            refused.append(index)
    return kept, refused


def _damage(data: bytes, found: Salvage, segment: Segment, first: int, end: int) -> Damage:
    """Return the damage of a bad range: a torn tail if the file ends there, else flipped bits."""
    torn = end == len(data) and found.trailer is None and (data[-1:] != b"\n" or b"\0" in data[first:end])
    kind = DamageKind.TORN_TAIL if torn else DamageKind.FLIPPED_BITS
    what = "an incomplete last line" if torn else "bytes that do not match their checksum"
    lost = ""
    if found.trailer is not None:
        lost = f"; {max(0, found.trailer.count - len(found.lines))} of {found.trailer.count} records are lost"
    sentence = (
        f"{segment.path} has {what}, from byte {first} up to {end}{lost}. The other {len(found.lines)} records are processed; "
        f"the original file is kept as {segment.number:08d}{DAMAGED_SUFFIX}."
    )
    return Damage(kind, str(segment.path), first, end, sentence)


def _pieces(data: bytes) -> Iterable[tuple[int, int, bool]]:
    """Split all bytes, in order, into pieces (first, end, good); the newline of a good line belongs to it."""
    start = 0
    while start < len(data):
        newline = data.find(b"\n", start)
        end = len(data) if newline < 0 else newline + 1
        if newline >= 0 and is_good_line(data[start:newline]):
            yield start, end, True
        else:
            yield from _pieces_of_bad(data, start, end)
        start = end


def _pieces_of_bad(data: bytes, start: int, end: int) -> Iterable[tuple[int, int, bool]]:
    """Split a bad stretch between newlines, which may contain good lines whose newline was damaged or torn off."""
    for match in _LINE_END.finditer(data, start, end):
        if is_good_line(data[start : match.end()]):
            yield start, match.end(), True
            start = match.end()
        else:
            opening = data.find(b"{", start, match.start())
            while opening >= 0 and not is_good_line(data[opening : match.end()]):
                # Bounded: a checksum for every brace in a large damaged stretch would take minutes.
                opening = data.find(b'{"', opening + 1, match.start()) if opening - start < _MAX_SEARCH_BYTES else -1
            if opening >= 0:
                yield start, opening, False
                yield opening, match.end(), True
                start = match.end()
    if start < end:
        yield start, end, False


_MAX_SEARCH_BYTES = 65_536  # maximum distance from the start of a bad stretch to a good line in it


def _trailer_of(line: bytes) -> Trailer | None:
    """Return the trailer in a line, or None if it is a record or damaged."""
    if not line.startswith(TRAILER_START) or not is_good_line(line):
        return None
    try:
        return msgspec.json.decode(line, type=Trailer)
    except msgspec.DecodeError:
        return None  # the checksum is right, so it counts as a record
