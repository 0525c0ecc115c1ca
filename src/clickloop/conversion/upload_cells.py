"""Cells of an uploaded table without what spreadsheets, and our own exports for them, write around a value."""

import re

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
