"""The journal's format: records as lines with a checksum each, a segment's trailer, and what can be saved of a damaged one.

A line is one JSON object whose last field is ``"crc"``: the CRC-32 of the object without that field. A closed segment ends with
one more such line, the trailer: ``{"segment":number,"count":records,"checksum":CRC-32 of all lines before it}``.
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
BIRTH_PREFIX = ".new-"
SEGMENT_SUFFIXES = frozenset({OPEN_SUFFIX, CLOSED_SUFFIX})
CLICKS_STREAM = "clicks"
NOTICES_STREAM = "notices"
DEFERRED_WRITER = "deferred"
"""Begins the names of writers whose segments are settled after those of the others."""
STREAMS = (CLICKS_STREAM, NOTICES_STREAM)
MAIN_NODE = "main"
_NODE_MARK = "_"
"""In no process's and no node's name, and among the characters that names in a backup may have."""
TRAILER_START = b'{"segment":'
_CRC_FIELD = b',"crc":'
_LINE_END = re.compile(rb',"crc":[0-9]{1,10}\}')


class JournalError(Exception):
    """Something is wrong with the journal; nothing may be acknowledged on the ground of what failed."""


class DamageKind(enum.StrEnum):
    """What can be wrong with a stored segment, or with a file beside the journal."""

    TORN_TAIL = "torn_tail"
    FLIPPED_BITS = "flipped_bits"
    MISSING_SEGMENT = "missing_segment"
    UNREADABLE = "unreadable"
    FOREIGN = "foreign"
    """A segment of another installation."""
    REPEATED = "repeated"
    """Records that the stores have taken before."""
    MENDED = "mended"
    """A file beside the journal, lost or damaged, that was written anew."""


class Damage(msgspec.Struct, frozen=True):
    """One damage, with the exact bytes of the file, from ``first_byte`` up to but not including ``end_byte``."""

    kind: DamageKind
    file: str
    first_byte: int
    end_byte: int
    sentence: str


class Segment(msgspec.Struct, frozen=True):
    """A segment on disk that nobody writes any more. ``name`` is the same for ever and unique among all nodes of the installation."""

    path: Path
    stream: str
    writer: str
    number: int
    octets: int
    """Size of the file in bytes."""
    doubtful: bool = False
    """True where some of its records may be in the stores already: it was settled before, or was repaired."""

    @property
    def is_deferred(self) -> bool:
        """Whether it is settled after those of other writers. A writer is named by time, name, process and chance."""
        return self.writer.partition("-")[2].startswith(DEFERRED_WRITER)

    @property
    def name(self) -> str:
        """What stores remember of a segment that they have taken: ``stream/node/process/number``."""
        process, mark, node = self.writer.rpartition(_NODE_MARK)
        # Segments from before writers carried their node keep the name under which they may have been loaded.
        of = f"{node}/{process}" if mark else self.writer
        return f"{self.stream}/{of}/{self.number:08d}"


def writer_name(node: str, process: str) -> str:
    """Return the name of a writer's directory. The process, which begins with its time, comes first: the oldest is then listed first."""
    return f"{process}{_NODE_MARK}{node}"


class SegmentContents(msgspec.Struct, frozen=True):
    """A segment whose file now holds nothing but good lines: ``count`` records and a trailer."""

    segment: Segment
    count: int
    damages: tuple[Damage, ...] = ()
    lines: tuple[bytes, ...] = ()
    """The records without newline, each still with its ``crc`` field; empty unless they were asked for."""


class Trailer(msgspec.Struct, frozen=True):
    """The last line of a closed segment. ``origin``: installation, stream and writer; empty: written before there was one."""

    segment: int
    count: int
    checksum: int
    origin: str = ""


class Salvage(msgspec.Struct, frozen=True):
    """What stands in a segment's bytes: good lines (without newline), bad ranges (first, end), the trailer if there is one."""

    lines: tuple[bytes, ...]
    bad: tuple[tuple[int, int], ...]
    trailer: Trailer | None


def framed(record: bytes) -> bytes:
    """A record (one JSON object, not empty, without newline) as its line in a segment."""
    return b'%b,"crc":%d}\n' % (record[:-1], crc32(record))


def trailer_line(number: int, count: int, checksum: int, origin: str = "") -> bytes:
    """The trailer of a segment whose ``count`` lines have the CRC-32 ``checksum``. ``origin``: letters, digits, ``-``, ``_`` and ``/``."""
    of = b',"origin":"%b"' % origin.encode() if origin else b""
    return framed(b'{"segment":%d,"count":%d,"checksum":%d%b}' % (number, count, checksum, of))


def origin_of(installation: str, stream: str, writer: str) -> str:
    """Return where a segment is written, as its trailer has it; empty where the installation has no id yet."""
    return f"{installation}/{stream}/{writer}" if installation else ""


def sealed(number: int, lines: Iterable[bytes], origin: str = "") -> bytes:
    """A whole closed segment of these lines (given without newline)."""
    kept = list(lines)
    body = b"".join(line + b"\n" for line in kept)
    return body + trailer_line(number, len(kept), crc32(body), origin)


def is_good_line(line: bytes) -> bool:
    """Whether the line (without newline) carries its own right checksum, written the one way that we write it."""
    at = line.rfind(_CRC_FIELD)
    if at < 1 or line[-1:] != b"}":
        return False
    return line[at + len(_CRC_FIELD) : -1] == b"%d" % crc32(line[:at] + b"}")


def quick_count(data: bytes, number: int, origin: str = "") -> int | None:
    """Return the number of records in a whole, undamaged segment; None when it must be looked at line by line.

    ``origin``: where it must have been written; empty, or a trailer without one: anywhere.
    """
    if data[-2:] != b"}\n":
        return None
    start = data.rfind(b"\n", 0, -1) + 1
    trailer = _trailer_of(data[start:-1])
    if (
        trailer is None
        or trailer.segment != number
        or not _is_of(trailer, origin)
        # A view: slicing would copy the whole segment.
        or trailer.checksum != crc32(memoryview(data)[:start])
    ):
        return None
    return trailer.count if data.count(b"\n") == trailer.count + 1 else None


def salvage(data: bytes) -> Salvage:
    """Line by line, what is good in the bytes of a segment and which ranges are not."""
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
        found = _trailer_of(line)
        if found is None:
            lines.append(line)
        else:
            trailer = found
    return Salvage(tuple(lines), tuple(bad), trailer)


def _is_of(trailer: Trailer, origin: str) -> bool:
    return not origin or not trailer.origin or trailer.origin == origin


def is_foreign(trailer: Trailer | None, origin: str) -> bool:
    """Return whether a segment was written by another installation."""
    if trailer is None or _is_of(trailer, origin):
        return False
    return trailer.origin.partition("/")[0] != origin.partition("/")[0]


def damages_of(data: bytes, found: Salvage, segment: Segment, closed: bool, origin: str = "") -> tuple[Damage, ...]:
    """The damages for people. A segment that its writer never closed may lack its trailer."""
    if found.trailer is not None and is_foreign(found.trailer, origin):
        sentence = (
            f"{segment.path} is a segment of another installation ({found.trailer.origin}): nothing in it is processed; it is kept as "
            f"{segment.number:08d}{DAMAGED_SUFFIX}."
        )
        return (Damage(DamageKind.FOREIGN, str(segment.path), 0, len(data), sentence),)
    damages = [_damage(data, found, segment, first, end) for first, end in found.bad]
    if found.trailer is not None and found.trailer.segment != segment.number:
        sentence = f"The trailer of {segment.path} says segment {found.trailer.segment}: the file was renamed or copied from another."
        damages.append(Damage(DamageKind.FLIPPED_BITS, str(segment.path), 0, len(data), sentence))
    elif found.trailer is not None and not _is_of(found.trailer, origin):
        sentence = (
            f"The trailer of {segment.path} says it was written as {found.trailer.origin}: it was copied from there."
        )
        damages.append(Damage(DamageKind.FLIPPED_BITS, str(segment.path), 0, len(data), sentence))
    if not damages and found.trailer is not None and found.trailer.count != len(found.lines):
        sentence = f"{segment.path} holds {len(found.lines)} records where its trailer says {found.trailer.count}."
        damages.append(Damage(DamageKind.FLIPPED_BITS, str(segment.path), 0, len(data), sentence))
    if not damages and closed and (found.trailer is None or data[-1:] != b"\n"):
        sentence = f"{segment.path} breaks off at byte {len(data)}: what came after is lost; {len(found.lines)} records are kept."
        damages.append(Damage(DamageKind.TORN_TAIL, str(segment.path), len(data), len(data), sentence))
    return tuple(damages)


def keep_only(lines: Iterable[bytes], accepts: Callable[[bytes], bool]) -> tuple[list[bytes], list[int]]:
    """The lines that a reader accepts, and the indexes of those that it does not."""
    kept, refused = [], []
    for index, line in enumerate(lines):
        if accepts(line):
            kept.append(line)
        else:
            refused.append(index)
    return kept, refused


def _damage(data: bytes, found: Salvage, segment: Segment, first: int, end: int) -> Damage:
    """One bad range: a torn tail when the file breaks off there, else flipped bits."""
    torn = end == len(data) and found.trailer is None and (data[-1:] != b"\n" or b"\0" in data[first:end])
    kind = DamageKind.TORN_TAIL if torn else DamageKind.FLIPPED_BITS
    what = "a last line that was not written to its end" if torn else "bytes that do not match their checksum"
    lost = ""
    if found.trailer is not None:
        lost = f"; {max(0, found.trailer.count - len(found.lines))} of {found.trailer.count} records are lost"
    sentence = (
        f"{segment.path} holds {what}, from byte {first} up to {end}{lost}. The other {len(found.lines)} records are settled; "
        f"the original file is kept as {segment.number:08d}{DAMAGED_SUFFIX}."
    )
    return Damage(kind, str(segment.path), first, end, sentence)


def _pieces(data: bytes) -> Iterable[tuple[int, int, bool]]:
    """Splits into (first, end, good) that together cover all bytes in order; a good line's newline belongs to it."""
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
    """Looks inside a stretch between newlines that is no good line, for lines whose newline itself was damaged or torn off."""
    for found in _LINE_END.finditer(data, start, end):
        if is_good_line(data[start : found.end()]):
            yield start, found.end(), True
            start = found.end()
        else:
            opening = data.find(b"{", start, found.start())
            while opening >= 0 and not is_good_line(data[opening : found.end()]):
                # Bounded: a checksum for every brace in a large damaged stretch would take minutes.
                opening = data.find(b'{"', opening + 1, found.start()) if opening - start < _MAX_SEARCH_BYTES else -1
            if opening >= 0:
                yield start, opening, False
                yield opening, found.end(), True
                start = found.end()
    if start < end:
        yield start, end, False


_MAX_SEARCH_BYTES = 65_536  # no record of ours is longer, so none begins further back


def _trailer_of(line: bytes) -> Trailer | None:
    """The trailer in a good line, or ``None`` when it is a record or damaged."""
    if not line.startswith(TRAILER_START) or not is_good_line(line):
        return None
    try:
        return msgspec.json.decode(line, type=Trailer)
    # A good checksum over something that is no trailer: it is looked at as a record.
    except msgspec.DecodeError:
        return None
