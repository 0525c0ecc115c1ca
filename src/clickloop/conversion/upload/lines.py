"""Read a file of conversions: detect its format, and turn each line into a notice. Pure, streaming."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote_from_bytes

import msgspec

from clickloop.conversion.moment import DateOrder
from clickloop.conversion.notice import NAMES, Channel, RawNotice
from clickloop.conversion.upload.cells import damaged_id, resolve_dates, without_apostrophes, without_text_quotes
from clickloop.conversion.upload.columns import (
    RESULT_PREFIX,
    RepeatedColumn,
    UploadColumn,
    column_name,
    keyed_pairs,
    missing_columns_sentence,
    missing_values,
    payout_currencies,
    read_columns,
    unused_columns,
)
from clickloop.conversion.upload.table import (
    MAX_CELLS,
    BadRecord,
    LineFault,
    Record,
    column_of,
    fault_of_line,
    records,
)
from clickloop.conversion.upload.text import BINARY_MARKS, MAX_LINE_BYTES, PhysicalLine, physical_lines
from clickloop.explained import Explained
from clickloop.record_id import base32_tail, base32_time
from clickloop.text import escape_bytes, unescape_bytes

HEAD_BYTES = 64 * 1024
"""Bytes of a file examined to detect its format."""
MAX_FILE_BYTES = 2**32 - 1
"""Maximum size of a file, so that each line's number fits into its notice's id."""
MOMENT = "at"
"""The parameter for the time of a conversion."""
NO_POSTBACK = "&disable_postback=1"
_MAX_QUERY = MAX_LINE_BYTES - len(NO_POSTBACK)
_EXCERPT = 200  # enough to recognise the line

_SEPARATORS = (b"\t", b";", b",")
_LONE = re.compile(rb"[^\s,;\"':=]{1,200}")
_KEY = re.compile(rb"\s*([A-Za-z_][A-Za-z0-9_.\-]{0,63})\s*=")
_SEPARATOR_LINE = re.compile(rb"sep=([\t;,])", re.IGNORECASE)
_ID_NAMES = frozenset((*NAMES["click_id"], *NAMES["txid"], "conversion_id"))


class UploadFormat(Explained):
    """The format of a file. The last three are one grammar, and the first line decides which one is reported."""

    CSV = "csv", "A table with a header, separated by commas."
    SEMICOLON = "semicolon", "A table with a header, separated by semicolons."
    TSV = "tsv", "A table with a header, separated by tabs."
    CLICK_IDS = "click_ids", "Click IDs, one per line."
    PAYOUT_STATUS = "payout_status", "Lines such as clickid:payout:status."
    KEY_VALUE = "key_value", "Lines such as clickid:payout=5:cnv_status=Hold."


_TABLES = {b",": UploadFormat.CSV, b";": UploadFormat.SEMICOLON, b"\t": UploadFormat.TSV}


class FileFault(Explained):
    """The reasons why a file is rejected as a whole."""

    EMPTY = "empty", f"The first {HEAD_BYTES // 1024} KiB of the file are empty."
    NOT_TEXT = (
        "not_text",
        "The file is not text, but for example a workbook or an archive. Save it as CSV and upload that.",
    )
    ENCODING = "encoding", "The file looks like UTF-16 without a byte order mark. Save it as UTF-8 and upload that."
    NO_HEADER = (
        "no_header",
        (
            "The first line is neither a header with a column for the click ID (cid, clickid, click_id or subid), "
            "nor a click ID, nor clickid:payout:status, nor clickid:key=value."
        ),
    )
    HEADER_UNREADABLE = (
        "header_unreadable",
        "The header contains an unclosed quote or a NUL byte, or is too long.",
    )
    REPEATED_COLUMN = (
        "repeated_column",
        "Two columns have the same known name, so it is unclear which one counts. Rename one of them.",
    )
    TOO_MANY_COLUMNS = "too_many_columns", f"The header has more than {MAX_CELLS} columns."
    COLUMNS_NOT_UNDERSTOOD = (
        "columns_not_understood",
        "Nothing was registered: a column that may be the payout or the transaction ID was not recognised.",
    )


class RejectedFile(msgspec.Struct, frozen=True):
    """A rejected file and the position of its fault: line and character from 1; 0: the whole."""

    fault: FileFault
    line: int = 0
    column: int = 0
    detail: str = ""
    """Further sentences: what exactly was found, and what to do."""

    @property
    def sentence(self) -> str:
        detail = f" {self.detail}" if self.detail else ""
        return self.fault.sentence + detail + _position(self.line, self.column)


class UploadLayout(msgspec.Struct, frozen=True):
    """The layout of a file. ``columns`` are the names as they came; the conversions begin with line ``first_line``."""

    format: UploadFormat
    columns: tuple[str, ...] = ()
    """Empty if there is no header."""
    first_line: int = 1
    begins_at: int = 0
    """Byte offset of that line."""
    date_order: DateOrder | None = None
    """The order of dates such as 05/06/2026; None if unknown, so lines with such a date are unreadable."""

    def column_uses(self) -> tuple[UploadColumn, ...]:
        """Return the meaning of each column; empty if there is no header."""
        columns = read_columns(self.columns)
        assert not isinstance(columns, RepeatedColumn), "detect() rejects repeated columns"
        return columns

    def unused(self) -> tuple[str, ...]:
        """Return the headers of unrecognised columns."""
        return unused_columns(self.column_uses())

    def missing(self) -> tuple[str, ...]:
        """Return which of payout and txid have no column in the table."""
        return missing_values(self.column_uses()) if self.columns else ()


class UploadLine(NamedTuple):
    """One conversion of a file. ``ends_at``: byte offset of the next line, whose number is ``next_number``."""

    number: int
    next_number: int
    ends_at: int
    cells: tuple[bytes, ...]
    """The cells as they came, by column; without a header the whole line."""
    query: str
    """The parameters of the notice, as a query string."""


class UnreadableLine(NamedTuple):
    """An unreadable line, which makes no notice. ``column`` counts characters from 1; 0: the whole line."""

    number: int
    next_number: int
    ends_at: int
    cells: tuple[bytes, ...]
    """The beginning of the line."""
    fault: LineFault
    column: int

    @property
    def sentence(self) -> str:
        return self.fault.sentence + _position(self.number, self.column)


def _position(line: int, column: int) -> str:
    place = f" Line {line}, character {column}." if column else f" Line {line}."
    return place if line else ""


def detect(head: bytes) -> UploadLayout | RejectedFile:
    """Return the layout of a file by its first ``HEAD_BYTES``, already decoded by ``upload_text.Utf8Decoder``. Never raises.

    Column names are a notice's parameters and their aliases, in any case; ``Click ID`` and ``click-id`` mean ``click_id`` too.
    The first line may be ``sep=;``, as spreadsheets write it.
    """
    if head.startswith(BINARY_MARKS):
        return RejectedFile(FileFault.NOT_TEXT)
    beginning = head[:4096]
    if (zeros := beginning.count(0)) * 5 > len(beginning):
        # In UTF-16 that is mostly ASCII every other byte is zero, either all even ones or all odd ones.
        fewer = min(beginning[::2].count(0), beginning[1::2].count(0))
        return RejectedFile(FileFault.ENCODING if fewer * 10 < zeros else FileFault.NOT_TEXT)
    separators: tuple[bytes, ...] = _SEPARATORS
    begins_at = 0
    for line in physical_lines([head]):
        named = _SEPARATOR_LINE.fullmatch(line.content.strip(b" ")) if separators is _SEPARATORS else None
        if named:
            separators = (named[1],)
        elif line.content.strip():
            return _layout(line, begins_at, separators)
        begins_at = line.ends_at
    return RejectedFile(FileFault.EMPTY)


def _layout(line: PhysicalLine, begins_at: int, separators: tuple[bytes, ...]) -> UploadLayout | RejectedFile:
    """Return the layout by the first non-empty line."""
    unreadable = RejectedFile(FileFault.HEADER_UNREADABLE, line.number)
    headers: list[tuple[int, bytes, list[bytes]]] = []
    for separator in separators:
        match next(records([line], separator), None):
            case Record(cells=cells):
                if any(
                    column_name(escape_bytes(without_text_quotes(cell.strip()))) in NAMES["click_id"] for cell in cells
                ):
                    headers.append((len(cells), separator, cells))
            case BadRecord(fault=fault, column=column):
                if fault is not LineFault.TEXT_AFTER_QUOTE or len(separators) == 1:
                    unreadable = RejectedFile(FileFault.HEADER_UNREADABLE, line.number, column)
    if headers:
        _, separator, cells = max(headers, key=lambda found: (found[0], found[1] == b","))
        return _header(line, _TABLES[separator], cells)
    if fault_of_line(line) or unreadable.column:
        return unreadable
    head, *parts = line.content.split(b":")
    if not _LONE.fullmatch(head.strip()):
        return RejectedFile(FileFault.NO_HEADER, line.number)
    form = UploadFormat.CLICK_IDS
    if parts:
        form = UploadFormat.KEY_VALUE if _KEY.match(parts[0]) else UploadFormat.PAYOUT_STATUS
    return UploadLayout(form, (), line.number, begins_at)


def _header(line: PhysicalLine, form: UploadFormat, cells: list[bytes]) -> UploadLayout | RejectedFile:
    columns = tuple(escape_bytes(without_text_quotes(cell.strip())) for cell in cells)
    if len(columns) > MAX_CELLS:
        return RejectedFile(FileFault.TOO_MANY_COLUMNS, line.number)
    match read_columns(columns):
        case RepeatedColumn(position=position):
            before = line.content.find(cells[position], sum(len(cell) + 1 for cell in cells[:position]))
            return RejectedFile(FileFault.REPEATED_COLUMN, line.number, column_of(line.content, max(before, 0)))
    return UploadLayout(form, columns, line.number + 1, line.ends_at)


def reject_incomplete(layout: UploadLayout) -> UploadLayout | RejectedFile:
    """Return the layout, or reject it if an unrecognised column may be the payout or the transaction id."""
    missing, unused = layout.missing(), layout.unused()
    if not missing or not unused:
        return layout
    return RejectedFile(FileFault.COLUMNS_NOT_UNDERSTOOD, detail=missing_columns_sentence(missing, unused))


def lines_of(
    layout: UploadLayout, pieces: Iterable[bytes], first_line: int | None = None, begins_at: int | None = None
) -> Iterator[UploadLine | UnreadableLine]:
    """Yield the non-empty lines of a file from ``begins_at`` on, where ``pieces`` begin. Never raises, even for arbitrary bytes.

    Reading can stop after any line and resume at its ``ends_at`` with its ``next_number``.
    """
    number = layout.first_line if first_line is None else first_line
    found = physical_lines(pieces, number, layout.begins_at if begins_at is None else begins_at)
    if layout.columns:
        return _table_lines(layout, found)
    return (_read_line(line, layout.date_order) for line in found if line.content.strip() or line.is_cut)


def separator_of(layout: UploadLayout) -> bytes:
    """Return the separator of a table's cells."""
    return next(separator for separator, form in _TABLES.items() if form is layout.format)


def _table_lines(layout: UploadLayout, found: Iterator[PhysicalLine]) -> Iterator[UploadLine | UnreadableLine]:
    separator = separator_of(layout)
    columns = layout.column_uses()
    is_result = any(column.name.startswith(RESULT_PREFIX) for column in columns)
    prefixes = [
        "" if column.name.startswith(RESULT_PREFIX) else f"{_quoted(unescape_bytes(column.name)) or f'column{at}'}="
        for at, column in enumerate(columns, 1)
    ]
    ids = [column.name in _ID_NAMES for column in columns]
    moments = [at for at, column in enumerate(columns) if column.name == MOMENT]
    currencies = payout_currencies(columns)
    width = len(prefixes)
    for record in records(found, separator):
        if isinstance(record, BadRecord):
            yield _bad(*record)
            continue
        cells = record.cells
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            excerpt = separator.join(cells)[:_EXCERPT]
            yield UnreadableLine(
                record.number, record.next_number, record.ends_at, (excerpt,), LineFault.TOO_MANY_CELLS, 0
            )
            continue
        values = [without_text_quotes(cell.strip()) for cell in cells[:width]]
        if damaged := damaged_id(values, ids):
            yield _faulty(record, damaged, LineFault.DAMAGED_ID)
            continue
        if ambiguous := resolve_dates(values, moments, layout.date_order):
            yield _faulty(record, ambiguous, LineFault.AMBIGUOUS_DATE)
            continue
        pairs = _currency_pair(values, currencies)
        for prefix, value in zip(prefixes, values, strict=False):
            if prefix and value:
                pairs.append(prefix + _quoted(without_apostrophes(value) if is_result else value))
        yield _line(record.number, record.next_number, record.ends_at, tuple(cells[:width]), "&".join(pairs))


def _currency_pair(values: list[bytes], currencies: list[tuple[int, str]]) -> list[str]:
    """Return the currency parameter of a line, from the header of the column that its payout is in; empty if none."""
    filled = next((currency for at, currency in currencies if at < len(values) and values[at]), "")
    return [f"cnv_currency={_quoted(filled.encode())}"] if filled else []


def _faulty(line: Record | PhysicalLine, value: bytes, fault: LineFault) -> UnreadableLine:
    """Return a line that is unreadable because of one value."""
    text = line.content if isinstance(line, PhysicalLine) else b",".join(line.cells)
    at = column_of(text, max(text.find(value), 0))
    next_number = line.number + 1 if isinstance(line, PhysicalLine) else line.next_number
    return UnreadableLine(line.number, next_number, line.ends_at, (text[:_EXCERPT],), fault, at)


def _read_line(line: PhysicalLine, order: DateOrder | None) -> UploadLine | UnreadableLine:
    """Parse a line such as ``clickid``, ``clickid:payout:status:event_1=15`` or ``clickid:payout=5:cnv_status=Hold``.

    A payout ``auto`` is left out, so that the offer's applies. A part without a key belongs to the value of the keyed part
    before it: ``at=2026-03-01T12:00:00Z``.
    """
    if bad := fault_of_line(line):
        return _bad(*bad)
    head, *parts = line.content.strip().split(b":")
    pairs: list[tuple[str, bytes]] = [("cid", head)]
    keyed = False
    for position, part in enumerate(parts):
        if key := _KEY.match(part):
            pairs += keyed_pairs(key[1].decode(), part[key.end() :])
            keyed = True
        elif keyed:
            name, value = pairs[-1]
            pairs[-1] = (name, value + b":" + part)
        elif position < 2:
            pairs.append((("payout", "status")[position], part))
        elif part.strip():
            at = line.content.find(b":".join(parts[position:]), len(head))
            return _bad(line, LineFault.TOO_MANY_CELLS, column_of(line.content, at))
    if len(pairs) > MAX_CELLS:
        return _bad(line, LineFault.TOO_MANY_CELLS)
    names, values = [name for name, _ in pairs], [value.strip() for _, value in pairs]
    if damaged := damaged_id(values, [name in _ID_NAMES for name in names]):
        return _faulty(line, damaged, LineFault.DAMAGED_ID)
    if ambiguous := resolve_dates(values, [at for at, name in enumerate(names) if name == MOMENT], order):
        return _faulty(line, ambiguous, LineFault.AMBIGUOUS_DATE)
    query = [
        f"{name}={_quoted(value)}"
        for name, value in zip(names, values, strict=True)
        if value and not (name in NAMES["payout"] and value.lower() == b"auto")
    ]
    return _line(line.number, line.number + 1, line.ends_at, (line.content,), "&".join(query))


def _line(
    number: int, next_number: int, ends_at: int, cells: tuple[bytes, ...], query: str
) -> UploadLine | UnreadableLine:
    if len(query) > _MAX_QUERY:
        return UnreadableLine(number, next_number, ends_at, (b",".join(cells)[:_EXCERPT],), LineFault.TOO_LONG, 0)
    return UploadLine(number, next_number, ends_at, cells, query)


def _bad(line: PhysicalLine, fault: LineFault, column: int = 0) -> UnreadableLine:
    return UnreadableLine(line.number, line.number + 1, line.ends_at, (line.content[:_EXCERPT],), fault, column)


def _quoted(value: bytes) -> str:
    return quote_from_bytes(value, safe="")


def line_notice(line: UploadLine, upload_id: str, received_at: int, *, postbacks: bool) -> RawNotice:
    """Return the notice of a line: always the same for a line of an upload, so that an upload can resume at any line.

    It counts as received when the file was; notices of one file are in the order of its lines.
    """
    return RawNotice(
        notice_id=notice_id_of(upload_id, received_at, line.number),
        at=received_at,
        channel=Channel.UPLOAD,
        method="",
        query=line.query if postbacks else line.query + NO_POSTBACK,
    )


def notice_id_of(upload_id: str, received_at: int, number: int) -> str:
    """Return the id of a line's notice: the time, 48 bits from the upload's id, and the line's number. Ids ascend by line."""
    digest = hashlib.blake2b(upload_id.encode(), digest_size=6).digest()
    return base32_time(received_at) + base32_tail(int.from_bytes(digest, "big") << 32 | number)
