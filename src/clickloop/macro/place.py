"""The places that a value can go to, and how it is encoded for each.

Values come in the form of ``text.text_of``. In a URL and in a form the receiver decodes exactly the original octets.
What is rendered for a header or a text is again in that form: send ``text.octets_of(rendered)``.
"""

import enum
import re
from collections.abc import Callable
from json.encoder import encode_basestring_ascii

from clickloop.text import octets_of

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_IN_URL = [chr(octet) if octet in _UNRESERVED else f"%{octet:02X}" for octet in range(256)]
_IN_FORM = [*_IN_URL[:0x20], "+", *_IN_URL[0x21:]]
_RAW_IN_URL = ["" if octet in b"\r\n\0" else chr(octet) if octet < 0x80 else f"%{octet:02X}" for octet in range(256)]

# The second half are the stand-ins that octets.octets_of would turn into these three octets.
_LINE_BREAKS_AND_NUL = re.compile("[\r\n\0\U0010ff0d\U0010ff0a\U0010ff00]")
_NUL = re.compile("[\0\U0010ff00]")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?")


def _in_url(value: str) -> str:
    """Percent-encoded: only RFC 3986's unreserved characters stay, so it is right in path, query and fragment."""
    octets = octets_of(value)
    if not octets.rstrip(_UNRESERVED):
        return value
    return "".join([_IN_URL[octet] for octet in octets])


def _in_form(value: str) -> str:
    """As in a URL, but a space is a plus (application/x-www-form-urlencoded)."""
    octets = octets_of(value)
    if not octets.rstrip(_UNRESERVED):
        return value
    return "".join([_IN_FORM[octet] for octet in octets])


def _raw_in_url(value: str) -> str:
    """As it is, less CR, LF and NUL; octets outside ASCII, which a URL cannot carry, as percent-escapes."""
    return "".join([_RAW_IN_URL[octet] for octet in octets_of(value)])


def _in_json(value: str) -> str:
    """Escaped for the inside of a JSON string, ASCII only; octets that are no UTF-8 as U+FFFD; safe inside <script>."""
    escaped = encode_basestring_ascii(octets_of(value).decode("utf-8", "replace"))[1:-1]
    return escaped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def json_value(value: str) -> str:
    """A whole JSON value, for a macro that stands outside of quotes: a number, ``null`` when empty, else a string."""
    if not value:
        return "null"
    if _JSON_NUMBER.fullmatch(value):
        return value
    return f'"{_in_json(value)}"'


def without_line_breaks(value: str) -> str:
    """Less CR, LF and NUL."""
    if value.isprintable():
        return value
    return _LINE_BREAKS_AND_NUL.sub("", value)


def _without_nul(value: str) -> str:
    return _NUL.sub("", value)


class Place(enum.Enum):
    """Where a template goes to. ``encode`` and ``encode_raw`` (for ``|raw``) prepare a value for it."""

    URL = ("url", _in_url, _raw_in_url)
    FORM = ("form", _in_form, _raw_in_url)
    JSON = ("json", _in_json, without_line_breaks)
    HEADER = ("header", without_line_breaks, without_line_breaks)
    TEXT = ("text", _without_nul, without_line_breaks)

    key: str
    encode: Callable[[str], str]
    encode_raw: Callable[[str], str]
    looks_around: bool
    """Whether the text around a value matters too: quotes in JSON, line breaks in a header."""

    def __init__(self, key: str, encode: Callable[[str], str], encode_raw: Callable[[str], str]) -> None:
        self.key = key
        self.encode = encode
        self.encode_raw = encode_raw
        self.looks_around = key in ("json", "header")
