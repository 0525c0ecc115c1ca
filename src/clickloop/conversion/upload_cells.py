"""Cells of an uploaded table without what spreadsheets, and our own exports for them, write around a value."""

import re
from collections.abc import Iterable

from clickloop.conversion.moment import DateOrder, in_order, orders_of
from clickloop.text import octets_of, text_of

_DAMAGED = re.compile(rb"[0-9](?:[.,][0-9]{1,20})?[eE]\+[0-9]{2,3}")
"""As spreadsheets write a long number: ``1.23457E+14``."""
_APOSTROPHED = re.compile(rb"'(?=[ \"']*(?:[=+\-@]|\xef\xbc[\x8b\x8d\x9d\xa0])|'*[\t\r\n])")
_APOSTROPHED_INSIDE = re.compile(rb"([;\t\r\n][ \"']*)'(?=[=+\-@]|\xef\xbc[\x8b\x8d\x9d\xa0])")


def without_apostrophes(cell: bytes) -> bytes:
    """Return a cell of a file that we wrote as it was before ``report.spreadsheet`` made it safe."""
    if _APOSTROPHED.match(cell):
        cell = cell[1:]
    return _APOSTROPHED_INSIDE.sub(rb"\1", cell)


def bare(cell: bytes) -> bytes:
    """Return a cell without ``="…"``, which exports write around an id so that a spreadsheet keeps it as text."""
    return cell[2:-1].replace(b'""', b'"') if cell.startswith(b'="') and cell.endswith(b'"') and len(cell) > 2 else cell


def damaged_id(values: Iterable[bytes], ids: Iterable[bool]) -> bytes:
    """Return the first id that a spreadsheet has turned into a rounded number; empty: none. ``ids``: which of the values are ids."""
    pairs = zip(values, ids, strict=False)
    return next((value for value, is_id in pairs if is_id and _DAMAGED.fullmatch(value)), b"")


def dated(values: list[bytes], places: Iterable[int], order: DateOrder | None) -> bytes:
    """Write the dates at these places so that there is one way to read each; return the first of which nobody can tell, else empty.

    Only dates such as ``05/06/2026`` are written anew, by the order of their column; all others are left as they are.
    """
    for place in places:
        value = values[place] if place < len(values) else b""
        if value and len(orders_of(text_of(value))) > 1:
            if order is None:
                return value
            values[place] = octets_of(in_order(text_of(value), order))
    return b""
