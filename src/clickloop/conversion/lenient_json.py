"""Read JSON objects as networks write them: not valid UTF-8, cut within a character, or with line breaks in strings.

For input that msgspec refuses: a conversion must not be lost because of the letters of a product's name. Every function takes
time linear in its input.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # the types do not know it; json itself reads texts with it

from clickloop.text import escape_bytes

VALUE_DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)
_SPACE = re.compile(r"[ \t\r\n\0]*")  # senders written in C may include the terminating NUL
MAX_MEMBERS = 1_000
"""Maximum number of members read one by one in Python: ten times as many as are stored, and a few milliseconds of work."""


def object_items(body: bytes) -> list[tuple[str, bytes]]:
    """Return the object's names, each with its value's JSON (see ``surrogate_bytes``); of a repeated name the last.

    The object may be the only element of a list. Raise ValueError or RecursionError for anything else.
    """
    text = body.decode("utf-8", "surrogateescape")
    at = skip_space(text, 0)
    is_in_list = text[at : at + 1] == "["
    if is_in_list:
        at = skip_space(text, at + 1)
    items, at = _members(text, at)
    at = skip_space(text, at)
    if is_in_list:
        at = skip_space(text, _behind(text, at, "]"))
    if at != len(text):
        raise ValueError("there is text after the object")
    return [(key, surrogate_bytes(value)) for key, value in items.items()]


def text_in(raw: bytes) -> str:
    """Return the text of a JSON string in the form of ``text.escape_bytes``; if it cannot be read, the JSON as it is."""
    try:
        text, _ = scanstring(raw.decode("utf-8", "surrogateescape"), 1, False)
    except ValueError:
        return escape_bytes(raw)
    return escape_bytes(surrogate_bytes(text))


def _members(text: str, at: int) -> tuple[dict[str, str], int]:
    """Return the members of the object that begins at ``at``, and the position after it."""
    items: dict[str, str] = {}
    at = skip_space(text, _behind(text, at, "{"))
    if text[at : at + 1] == "}":
        return items, at + 1
    for _ in range(MAX_MEMBERS):
        key, at = scanstring(text, _behind(text, at, '"'), False)
        start = skip_space(text, _behind(text, skip_space(text, at), ":"))
        try:
            _, at = VALUE_DECODER.raw_decode(text, start)
        except StopIteration as error:
            raise ValueError("a value is missing") from error
        items[key] = text[start:at]
        at = skip_space(text, at)
        if text[at : at + 1] == "}":
            return items, at + 1
        at = skip_space(text, _behind(text, at, ","))
    raise ValueError("there are too many members")


def _behind(text: str, at: int, expected: str) -> int:
    if text[at : at + 1] != expected:
        raise ValueError(f"{expected} is missing at {at}")
    return at + 1


def skip_space(text: str, at: int) -> int:
    """Return the position of the next character that is neither white space nor NUL."""
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # always matches, if only the empty string


def surrogate_bytes(text: str) -> bytes:
    """Return the bytes of a text decoded with ``surrogateescape``. A lone surrogate from a JSON escape becomes three bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    # Half a surrogate pair, such as \ud83d alone: kept as it came rather than refused.
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
