"""CSV for people who open it with a spreadsheet: text never runs as a formula, numbers stay numbers."""

import re
from collections.abc import Iterable

from clickloop.text import unescape_bytes

_NUMBER = re.compile(rb"[+-]?[0-9]+(?:[.,][0-9]+)?")
_FORMULA = re.compile(rb"[ \"']*(?:[=+\-@]|\xef\xbc[\x8b\x8d\x9d\xa0])|'*[\t\r\n]")
"""The start of a formula: = + - @, their full-width forms, or white space, which some spreadsheets strip."""
# A spreadsheet that splits at semicolons or tabs ignores our quotes in the middle of its cell and starts a new cell or line
# inside ours. Some strip quotes and spaces before a formula. Takes linear time, since no run can contain a separator.
_FORMULA_INSIDE = re.compile(
    rb"([;\t\r\n])[ \"']*(?=[=+\-@]|\xef\xbc[\x8b\x8d\x9d\xa0])(?=(" + _NUMBER.pattern + rb"(?:\1|[\r\n]|\Z))?)"
)
_QUOTED = re.compile(rb'[",;\t\r\n]|^ | $')


def csv_line(cells: Iterable[str | bytes | int]) -> bytes:
    """Return a line with CRLF that is safe whether cells are split at commas, semicolons or tabs.

    Text that could run as a formula is prefixed with an apostrophe, also after a separator within it; ``conversion.upload``
    removes them again. Texts are in the form of ``text.escape_bytes``.
    """
    written = [_cell(cell) for cell in cells]
    if written and written[0][:1] in (b"+", b"-"):
        # Split at semicolons, -3,5+A1 is one cell and a formula; quotes within it make it text.
        written[1:] = [_in_quotes(cell) for cell in written[1:]]
    return b",".join(written) + b"\r\n"


def _cell(value: str | bytes | int) -> bytes:
    if isinstance(value, int):
        return b"%d" % value
    data = unescape_bytes(value) if isinstance(value, str) else value
    data = _FORMULA_INSIDE.sub(_with_apostrophe, data)
    if _FORMULA.match(data) and not _NUMBER.fullmatch(data):
        data = b"'" + data
    return b'"' + data.replace(b'"', b'""') + b'"' if _QUOTED.search(data) else data


def _with_apostrophe(before: re.Match[bytes]) -> bytes:
    """Return a separator and what follows it with an apostrophe, unless a number follows. An existing one is doubled."""
    return before[0] if before[2] and b"'" not in before[0] else before[0] + b"'"


def _in_quotes(written: bytes) -> bytes:
    return written if written.startswith(b'"') or _NUMBER.fullmatch(written) else b'"' + written + b'"'
