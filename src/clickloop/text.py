"""Escape arbitrary bytes as storable text, and back without loss.

A source's click id may contain bytes that are not UTF-8, or a NUL, which neither JSON readers nor PostgreSQL store. Such a
byte ``b`` becomes the character U+10FF00 + b, from the last private-use plane; so does each byte of a character that is
itself in that range, which keeps the mapping one to one.
"""

import re

_ESCAPE = 0x10FF00
_MUST_ESCAPE = re.compile("[\0\U0010ff00-\U0010ffff\udc80-\udcff]")
_ESCAPED = re.compile("[\U0010ff00-\U0010ffff]")


def escape_bytes(data: bytes) -> str:
    """Return bytes as text: valid UTF-8 decoded, NUL and every other byte escaped."""
    if data.isascii() and b"\0" not in data:
        return data.decode("ascii")
    return _MUST_ESCAPE.sub(_escape, data.decode("utf-8", "surrogateescape"))


def unescape_bytes(text: str) -> bytes:
    """Return the bytes that ``escape_bytes`` turned into this text. A lone surrogate, which it never makes, becomes ``?``."""
    if text.isascii():
        return text.encode("ascii")
    if not _ESCAPED.search(text):
        return text.encode("utf-8", "replace")
    # ``surrogateescape`` has surrogates for bytes from 0x80 on only; escaped ASCII bytes are put in one by one below.
    marked = _ESCAPED.sub(
        lambda match: chr(0xDC00 + ord(match[0]) - _ESCAPE) if ord(match[0]) >= _ESCAPE + 0x80 else match[0], text
    )
    parts = []
    for piece in re.split("([\U0010ff00-\U0010ff7f])", marked):
        if len(piece) == 1 and _ESCAPE <= ord(piece) < _ESCAPE + 0x80:
            parts.append(bytes([ord(piece) - _ESCAPE]))
        else:
            parts.append(piece.encode("utf-8", "surrogateescape"))
    return b"".join(parts)


def readable(text: str) -> str:
    """Return a text for display: each escaped byte as U+FFFD, the replacement character."""
    return text if text.isascii() else _ESCAPED.sub("�", text)


def _escape(match: re.Match[str]) -> str:
    return "".join(chr(_ESCAPE + byte) for byte in match[0].encode("utf-8", "surrogateescape"))
