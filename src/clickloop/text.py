"""Any bytes as storable text, and back without loss.

A source's click id may hold bytes that are not UTF-8, or a NUL, which neither JSON readers nor PostgreSQL store. Such a
byte ``b`` becomes the character U+10FF00 + b, from the last private-use plane; so does each byte of a character that is
itself in that range, which keeps the mapping one to one.
"""

import re

_ESCAPE = 0x10FF00
_MUST_ESCAPE = re.compile("[\0\U0010ff00-\U0010ffff\udc80-\udcff]")
_ESCAPED = re.compile("[\U0010ff00-\U0010ffff]")


def text_of(octets: bytes) -> str:
    """The bytes as text: UTF-8 as it reads, every other byte as its stand-in character."""
    if octets.isascii() and b"\0" not in octets:
        return octets.decode("ascii")
    return _MUST_ESCAPE.sub(_stand_ins, octets.decode("utf-8", "surrogateescape"))


def octets_of(text: str) -> bytes:
    """The bytes that ``text_of`` was given. A lone surrogate, which it never makes, becomes a question mark."""
    if text.isascii():
        return text.encode("ascii")
    if not _ESCAPED.search(text):
        return text.encode("utf-8", "replace")
    marked = _ESCAPED.sub(
        lambda found: chr(0xDC00 + ord(found[0]) - _ESCAPE) if ord(found[0]) >= _ESCAPE + 0x80 else found[0], text
    )
    parts = []
    for piece in re.split("([\U0010ff00-\U0010ff7f])", marked):
        if len(piece) == 1 and _ESCAPE <= ord(piece) < _ESCAPE + 0x80:
            parts.append(bytes([ord(piece) - _ESCAPE]))
        else:
            parts.append(piece.encode("utf-8", "surrogateescape"))
    return b"".join(parts)


def readable(text: str) -> str:
    """The text for people: each stand-in as U+FFFD, the replacement character."""
    return text if text.isascii() else _ESCAPED.sub("�", text)


def _stand_ins(found: re.Match[str]) -> str:
    character = found[0]
    return "".join(chr(_ESCAPE + octet) for octet in character.encode("utf-8", "surrogateescape"))
