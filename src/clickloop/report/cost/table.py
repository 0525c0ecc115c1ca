"""Reads a table of costs: which column is what, and each line's time, owner, filters and amount. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from clickloop.conversion.upload.cells import without_text_quotes
from clickloop.conversion.upload.table import BadRecord, Record, records
from clickloop.conversion.upload.text import BINARY_MARKS, Utf8Decoder, physical_lines
from clickloop.money import AmountFault, currency_of, read_amount
from clickloop.report.cost.entry_input import dimension_named
from clickloop.report.cost.span import LocalTime, read_local_time
from clickloop.report.query import Dimension
from clickloop.setup.fault import FaultCode, invalid
from clickloop.text import escape_bytes, readable

MAX_LINES = 20_000
MAX_TABLE_BYTES = 8 << 20
_SEPARATORS = (b"\t", b";", b",")
_NAMES = {
    "time": ("date", "day", "datetime", "time", "timestamp", "hour"),
    "cost": ("cost", "spend", "spent", "amount", "totalcost", "totalspend", "costs"),
    "currency": ("currency", "currencycode"),
    "campaign": ("campaignid", "campaign", "campaignname"),
    "source": ("sourceid", "source", "trafficsource", "trafficsourceid"),
    "clicks": ("clicks", "visits"),
}
"""Columns by the names that files give them, in lower case without separators; the first one in the order here counts."""
_BETWEEN_WORDS = re.compile(r"[\s_\-./]+")
_HOUR_OF_DAY = re.compile(r"([0-9]{1,2})(?::00)?(?::00)?")


class CostLine(NamedTuple):
    """A readable line."""

    number: int
    time: LocalTime
    campaign: str
    source: str
    values: tuple[str, ...]
    """Values of the columns in ``CostTable.filters``."""
    micros: int
    currency: str
    """Empty if none was written."""
    clicks: int | None


class UnreadableCostLine(NamedTuple):
    """A line that cannot be read, and why."""

    number: int
    sentence: str


class CostTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of costs."""

    lines: tuple[CostLine, ...]
    unreadable: tuple[UnreadableCostLine, ...]
    filters: tuple[Dimension, ...]
    unused: tuple[str, ...]
    """Headers of columns that mean nothing here."""


class _Columns(msgspec.Struct, frozen=True, kw_only=True):
    places: dict[str, int]
    hour: int | None
    filters: tuple[tuple[int, Dimension], ...]
    unused: tuple[str, ...]


def read_cost_table(data: bytes, parameter_names: Mapping[str, Dimension], *, needs_owner: bool = True) -> CostTable:
    """Return the lines of a table with a header, separated by tabs, semicolons or commas. Raise InvalidInputError.

    ``needs_owner``: each line must name a campaign or source.
    """
    if data.startswith(BINARY_MARKS) and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise invalid("", FaultCode.WRONG_TYPE, "This is not a text file. Save the table as CSV or TSV.")
    decoder = Utf8Decoder()
    text = decoder.take(data) + decoder.end()
    header = next(iter(physical_lines([text])), None)
    if header is None or not header.content.strip():
        raise invalid("", FaultCode.REQUIRED, "The file is empty, or does not begin with a header.")
    separator = max(_SEPARATORS, key=header.content.count)
    found = iter(records(physical_lines([text]), separator))
    first = next(found, None)
    if not isinstance(first, Record):
        raise invalid("", FaultCode.WRONG_TYPE, "The header cannot be read: a quote is not closed.")
    columns = _columns([_text(cell) for cell in first.cells], parameter_names, needs_owner)
    lines: list[CostLine] = []
    unreadable: list[UnreadableCostLine] = []
    for record in found:
        if len(lines) + len(unreadable) >= MAX_LINES:
            raise invalid("", FaultCode.TOO_MANY, f"The table has more than {MAX_LINES:,} lines. Split it.")
        if isinstance(record, BadRecord):
            unreadable.append(UnreadableCostLine(record.line.number, record.fault.sentence))
            continue
        line = _line(record.number, [_text(cell) for cell in record.cells], columns)
        if isinstance(line, CostLine):
            lines.append(line)
        else:
            unreadable.append(UnreadableCostLine(record.number, line))
    return CostTable(
        lines=tuple(lines),
        unreadable=tuple(unreadable),
        filters=tuple(dimension for _, dimension in columns.filters),
        unused=columns.unused,
    )


def _text(cell: bytes) -> str:
    return escape_bytes(without_text_quotes(cell.strip())).strip()


def _columns(headers: Sequence[str], parameter_names: Mapping[str, Dimension], needs_owner: bool) -> _Columns:
    words = [_BETWEEN_WORDS.sub("", header.lower()) for header in headers]
    places: dict[str, int] = {}
    for meaning, names in _NAMES.items():
        place = next((words.index(name) for name in names if name in words), None)
        if place is not None:
            places[meaning] = place
    hour = words.index("hour") if "hour" in words and words.index("hour") != places.get("time") else None
    for meaning, sentence in (
        ("time", "No column has the day or hour. Name one date."),
        ("cost", "No column has the cost. Name one cost."),
    ):
        if meaning not in places:
            raise invalid("", FaultCode.REQUIRED, sentence)
    if needs_owner and "campaign" not in places and "source" not in places:
        raise invalid("", FaultCode.REQUIRED, "No column has the campaign. Name one campaign, or choose a campaign.")
    used = {*places.values(), *(() if hour is None else (hour,))}
    filters: list[tuple[int, Dimension]] = []
    unused: list[str] = []
    for place, header in enumerate(headers):
        if place in used:
            continue
        dimension = dimension_named(header, parameter_names)
        if dimension is not None and dimension not in [known for _, known in filters]:
            filters.append((place, dimension))
        elif header:
            unused.append(readable(header)[:100])
    return _Columns(places=places, hour=hour, filters=tuple(filters), unused=tuple(unused))


def _line(number: int, cells: Sequence[str], columns: _Columns) -> CostLine | str:
    """Return a line, or what is wrong with it."""

    def cell(meaning: str) -> str:
        place = columns.places.get(meaning)
        return cells[place] if place is not None and place < len(cells) else ""

    time = read_local_time(cell("time"))
    if time is None:
        return f"{readable(cell('time'))[:40]!r} is not a day such as 2026-03-01 or a time such as 2026-03-01 13:00."
    if columns.hour is not None:
        hour = _HOUR_OF_DAY.fullmatch(cells[columns.hour] if columns.hour < len(cells) else "")
        if hour is None or int(hour[1]) > 23:
            return "The hour is not a number from 0 to 23."
        time = LocalTime(time.day, int(hour[1]) * 60)
    amount = read_amount(cell("cost"))
    if isinstance(amount, AmountFault):
        return f"{readable(cell('cost'))[:40]!r} is not an amount."
    if amount.micros < 0:
        return "The cost is negative."
    currency_text = cell("currency") or amount.currency
    currency = currency_of(currency_text) if currency_text else ""
    if currency is None:
        return f"{readable(currency_text)[:20]!r} is not an ISO 4217 currency."
    values = tuple(cells[place] if place < len(cells) else "" for place, _ in columns.filters)
    for value, (_, dimension) in zip(values, columns.filters, strict=True):
        if dimension.is_number and value and not (value.isascii() and value.isdecimal() and len(value) < 16):
            return f"{readable(value)[:40]!r} is not the number of a record ({dimension})."
    clicks = cell("clicks").replace(",", "")
    return CostLine(
        number=number,
        time=time,
        campaign=cell("campaign"),
        source=cell("source"),
        values=values,
        micros=amount.micros,
        currency=currency,
        clicks=int(clicks) if clicks.isascii() and clicks.isdecimal() and len(clicks) < 13 else None,
    )
