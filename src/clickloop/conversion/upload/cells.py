"""Clean the cells of an uploaded table of what spreadsheets, and our own exports for them, add to a value."""

import re
from collections.abc import Iterable

from clickloop.conversion.moment import DateOrder, possible_orders, year_first
from clickloop.text import escape_bytes, unescape_bytes

_DAMAGED = re.compile(rb"[0-9](?:[.,][0-9]{1,20})?[eE]\+[0-9]{2,3}")
"""A long number as spreadsheets write it: ``1.23457E+14``."""
_APOSTROPHED = re.compile(rb"'(?=[ \"']*(?:[=+\-@]|\xef\xbc[\x8b\x8d\x9d\xa0])|'*[\t\r\n])")
_APOSTROPHED_INSIDE = re.compile(rb"([;\t\r\n][ \"']*)'(?=[=+\-@]|\xef\xbc[\x8b\x8d\x9d\xa0])")


def without_apostrophes(cell: bytes) -> bytes:
    """Undo the escaping of ``report.spreadsheet`` in a cell of a file that we wrote."""
    if _APOSTROPHED.match(cell):
        cell = cell[1:]
    return _APOSTROPHED_INSIDE.sub(rb"\1", cell)


def without_text_quotes(cell: bytes) -> bytes:
    """Return a cell without ``="…"``, which exports put around an id so that spreadsheets treat it as text."""
    return cell[2:-1].replace(b'""', b'"') if cell.startswith(b'="') and cell.endswith(b'"') and len(cell) > 2 else cell


def damaged_id(values: Iterable[bytes], ids: Iterable[bool]) -> bytes:
    """Return the first id that a spreadsheet has rounded; empty if none. ``ids`` tells which values are ids."""
    pairs = zip(values, ids, strict=False)
    return next((value for value, is_id in pairs if is_id and _DAMAGED.fullmatch(value)), b"")


def resolve_dates(values: list[bytes], places: Iterable[int], order: DateOrder | None) -> bytes:
    """Rewrite ambiguous dates at these positions in the column's order. Return the first one if the order is unknown, else empty.

    Only dates such as ``05/06/2026`` are rewritten; all others stay as they are.
    """
    for place in places:
        value = values[place] if place < len(values) else b""
        if value and len(possible_orders(escape_bytes(value))) > 1:
            if order is None:
                return value
            values[place] = unescape_bytes(year_first(escape_bytes(value), order))
    return b""
