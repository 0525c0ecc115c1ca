"""CSV for people who open it with a spreadsheet: text never runs as a formula, numbers stay numbers."""

import re
from collections.abc import Iterable

from clickloop.text import octets_of

_NUMBER = re.compile(rb"[+-]?[0-9]+(?:[.,][0-9]+)?")
_FORMULA = re.compile(rb"[ \"']*(?:[=+\-@]|\xef\xbc[\x8b\x8d\x9d\xa0])|'*[\t\r\n]")
"""What spreadsheets begin a formula with: = + - @, the same in full width, and white space that some cut off."""
# A spreadsheet that separates by semicolons or tabs does not see our quotes in the middle of its cell: it begins a new cell,
# or a new line, inside of ours. Quotes and spaces before a formula are left out by some. Linear: no run can hold a separator.
_FORMULA_INSIDE = re.compile(
    rb"([;\t\r\n])[ \"']*(?=[=+\-@]|\xef\xbc[\x8b\x8d\x9d\xa0])(?=(" + _NUMBER.pattern + rb"(?:\1|[\r\n]|\Z))?)"
)
_QUOTED = re.compile(rb'[",;\t\r\n]|^ | $')


def csv_line(cells: Iterable[str | bytes | int]) -> bytes:
    """Return one line, ended by CRLF, which is safe where cells are separated by commas, semicolons or tabs.

    A text that could run as a formula gets an apostrophe before it, also behind a separator inside of it; ``conversion.upload``
    takes them away again. Texts as in ``text``.
    """
    written = [_cell(cell) for cell in cells]
    if written and written[0][:1] in (b"+", b"-"):
        # Separated by semicolons, -3,5+A1 is one cell and a formula; quotes in it make it text.
        written[1:] = [_in_quotes(cell) for cell in written[1:]]
    return b",".join(written) + b"\r\n"


def _cell(value: str | bytes | int) -> bytes:
    if isinstance(value, int):
        return b"%d" % value
    octets = octets_of(value) if isinstance(value, str) else value
    octets = _FORMULA_INSIDE.sub(_with_apostrophe, octets)
    if _FORMULA.match(octets) and not _NUMBER.fullmatch(octets):
        octets = b"'" + octets
    return b'"' + octets.replace(b'"', b'""') + b'"' if _QUOTED.search(octets) else octets


def _with_apostrophe(before: re.Match[bytes]) -> bytes:
    """Return what is before a formula, with an apostrophe unless it is a number; one that is there already would be taken away."""
    return before[0] if before[2] and b"'" not in before[0] else before[0] + b"'"


def _in_quotes(written: bytes) -> bytes:
    return written if written.startswith(b'"') or _NUMBER.fullmatch(written) else b'"' + written + b'"'
