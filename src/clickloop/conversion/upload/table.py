"""Read the records of a table with separated, possibly quoted cells, and the exact position of faults."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clickloop.conversion.pairs import MAX_KEYS
from clickloop.conversion.upload.text import MAX_LINE_BYTES, PhysicalLine
from clickloop.explained import Explained

MAX_CELLS = MAX_KEYS - 1
"""Maximum number of cells of a line: with one parameter that we add they are as many as a notice may have."""
_QUOTE = b'"'


class LineFault(Explained):
    """The reasons why a line cannot be read. It makes no notice; the lines after it are read anyway."""

    TOO_LONG = "line_too_long", f"The line is longer than {MAX_LINE_BYTES} bytes."
    NUL = "nul", "The line contains a NUL byte, so it is not text."
    TOO_MANY_CELLS = "too_many_cells", "The line has more values than the file has columns, or than a line may have."
    UNCLOSED_QUOTE = "unclosed_quote", 'A quote " is opened here but not closed at the end of its cell.'
    TEXT_AFTER_QUOTE = "text_after_quote", 'A quote " is closed here, but more text follows before the next separator.'
    DAMAGED_ID = (
        "damaged_id",
        (
            "A spreadsheet has rounded an ID, such as 1.23457E+14, so orders can no longer be told apart. "
            "Export the file again, and open it with this column as text."
        ),
    )
    AMBIGUOUS_DATE = (
        "ambiguous_date",
        (
            "Its date, such as 05/06/2026, can be read in two ways, and no other line of the file shows whether the day "
            "or the month comes first. Choose the order when you upload the file (dates=day_first, --dates), or write 2026-06-05."
        ),
    )


class BadRecord(NamedTuple):
    """A physical line with a fault. ``column`` counts characters from 1; 0: the whole line."""

    line: PhysicalLine
    fault: LineFault
    column: int = 0


class Record(NamedTuple):
    """The cells of one record. It may span several physical lines; ``number`` is that of the first."""

    number: int
    next_number: int
    ends_at: int
    cells: list[bytes]


def records(lines: Iterable[PhysicalLine], separator: bytes) -> Iterator[Record | BadRecord]:
    """Yield the records of a table, without those whose cells are all empty.

    Quotes as in RFC 4180: only at a cell's beginning, doubled within it; separators and line ends between them are text (a line
    end becomes LF). If a quote is never closed, only the line that opens it is at fault, and reading goes on with the next
    one. So however a file is broken, each byte is read at most twice.
    """
    waiting = deque[PhysicalLine]()
    source = iter(lines)
    while (line := waiting.popleft() if waiting else next(source, None)) is not None:
        if bad := fault_of_line(line):
            yield bad
        elif _QUOTE not in line.content:
            if line.content.strip(separator + b" \t"):
                yield Record(line.number, line.number + 1, line.ends_at, line.content.split(separator))
        else:
            record, ahead = _quoted(line, waiting, source, separator)
            waiting.extendleft(reversed(ahead))
            if isinstance(record, BadRecord) or any(cell.strip() for cell in record.cells):
                yield record


def fault_of_line(line: PhysicalLine) -> BadRecord | None:
    """Return the fault of a line that is invalid in any format; None: it is valid."""
    if line.is_cut:
        return BadRecord(line, LineFault.TOO_LONG)
    if b"\0" in line.content:
        return BadRecord(line, LineFault.NUL, column_of(line.content, line.content.index(b"\0")))
    return None


def column_of(line: bytes, position: int) -> int:
    """Return the column of a byte position in a line, in characters from 1."""
    return len(line[:position].decode("utf-8", "replace")) + 1


class _Cells:
    """A parser of a record's cells. ``parts`` are those of the quoted cell that is still open; None if none is open."""

    def __init__(self, separator: bytes) -> None:
        self.cells: list[bytes] = []
        self.parts: list[bytes] | None = None
        self.fault_at = -1
        self.opened_at = 0
        self._separator = separator

    def take(self, content: bytes) -> bool:
        """Parse a physical line. Return False if text follows a closed quote; its position is then ``fault_at``."""
        at = 0
        while True:
            if self.parts is None:
                start = at
                while content[start : start + 1] == b" ":
                    start += 1
                if content[start : start + 1] != _QUOTE:
                    end = content.find(self._separator, at)
                    if end < 0:
                        self.cells.append(content[at:])
                        return True
                    self.cells.append(content[at:end])
                    at = end + 1
                    continue
                self.parts, self.opened_at, at = [], start, start + 1
            end = content.find(_QUOTE, at)
            if end < 0:
                self.parts.append(content[at:])
                return True
            self.parts.append(content[at:end])
            if content[end + 1 : end + 2] == _QUOTE:
                self.parts.append(_QUOTE)
                at = end + 2
                continue
            after = end + 1
            while content[after : after + 1] == b" ":
                after += 1
            if content[after : after + 1] not in (b"", self._separator):
                self.fault_at = after
                return False
            self.cells.append(b"".join(self.parts))
            self.parts = None
            if after == len(content):
                return True
            at = after + 1


def _quoted(
    first: PhysicalLine, waiting: deque[PhysicalLine], source: Iterator[PhysicalLine], separator: bytes
) -> tuple[Record | BadRecord, list[PhysicalLine]]:
    """Return the record that begins with this line, which contains a quote, and lines read ahead that are not part of it."""
    cells = _Cells(separator)
    if not cells.take(first.content):
        return BadRecord(first, LineFault.TEXT_AFTER_QUOTE, column_of(first.content, cells.fault_at)), []
    opened_at = cells.opened_at
    ahead: list[PhysicalLine] = []
    size = len(first.content)
    while cells.parts is not None:
        line = waiting.popleft() if waiting else next(source, None)
        if line is not None:
            ahead.append(line)
            size += len(line.content) + 1
            cells.parts.append(b"\n")
        if line is None or size > MAX_LINE_BYTES or fault_of_line(line) or not cells.take(line.content):
            return BadRecord(first, LineFault.UNCLOSED_QUOTE, column_of(first.content, opened_at)), ahead
    last = ahead[-1] if ahead else first
    return Record(first.number, last.number + 1, last.ends_at, cells.cells), []
