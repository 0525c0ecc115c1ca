"""CSV for people who open it with a spreadsheet: text never runs as a formula, numbers stay numbers."""

import re
from collections.abc import Iterable

from clickloop.octets import octets_of

_NUMBER = re.compile(rb"[+-]?[0-9]+(?:[.,][0-9]+)?")
_FORMULA = re.compile(rb"[=+\-@\t\r\n]|\xef\xbc[\x8b\x8d\x9d\xa0]")
"""What spreadsheets begin a formula with: = + - @, the same in full width, and white space that some cut off."""
_QUOTED = re.compile(rb'[",;\t\r\n]|^ | $')


def csv_line(cells: Iterable[str | bytes | int]) -> bytes:
    """One line, ended by CRLF. A text that could run as a formula gets an apostrophe before it. Texts as in ``octets``."""
    return b",".join(_cell(cell) for cell in cells) + b"\r\n"


def _cell(value: str | bytes | int) -> bytes:
    if isinstance(value, int):
        return b"%d" % value
    octets = octets_of(value) if isinstance(value, str) else value
    if _FORMULA.match(octets) and not _NUMBER.fullmatch(octets):
        octets = b"'" + octets
    if _QUOTED.search(octets):
        return b'"' + octets.replace(b'"', b'""') + b'"'
    return octets
