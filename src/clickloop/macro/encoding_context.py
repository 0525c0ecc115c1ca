"""The contexts in which a value can be inserted, and its encoding for each.

Values are text as ``text.escape_bytes`` returns it. From a URL or a form the receiver decodes exactly the original bytes. Headers and
plain text are rendered in the same form: send ``text.unescape_bytes(rendered)``.
"""

import enum
import re
from collections.abc import Callable
from json.encoder import encode_basestring_ascii

from clickloop.text import unescape_bytes

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_IN_URL = [chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)]
_IN_FORM = [*_IN_URL[:0x20], "+", *_IN_URL[0x21:]]
_RAW_IN_URL = ["" if byte in b"\r\n\0" else chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in range(256)]

# The second half are the stand-ins that text.unescape_bytes would turn into these three bytes.
_LINE_BREAKS_AND_NUL = re.compile("[\r\n\0\U0010ff0d\U0010ff0a\U0010ff00]")
_NUL = re.compile("[\0\U0010ff00]")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?")


def _in_url(value: str) -> str:
    """Percent-encode all but RFC 3986's unreserved characters, so that the result is valid in path, query and fragment."""
    data = unescape_bytes(value)
    if not data.rstrip(_UNRESERVED):
        return value
    return "".join([_IN_URL[byte] for byte in data])


def _in_form(value: str) -> str:
    """Encode as in a URL, but a space as a plus (application/x-www-form-urlencoded)."""
    data = unescape_bytes(value)
    if not data.rstrip(_UNRESERVED):
        return value
    return "".join([_IN_FORM[byte] for byte in data])


def _raw_in_url(value: str) -> str:
    """Remove CR, LF and NUL, and percent-encode bytes outside ASCII, which a URL cannot contain."""
    return "".join([_RAW_IN_URL[byte] for byte in unescape_bytes(value)])


def _in_json(value: str) -> str:
    """Escape for the inside of a JSON string: ASCII only, invalid UTF-8 as U+FFFD, safe inside <script>."""
    escaped = encode_basestring_ascii(unescape_bytes(value).decode("utf-8", "replace"))[1:-1]
    return escaped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def json_value(value: str) -> str:
    """Return a whole JSON value, for a macro outside of quotes: a number, ``null`` if empty, otherwise a string."""
    if not value:
        return "null"
    if _JSON_NUMBER.fullmatch(value):
        return value
    return f'"{_in_json(value)}"'


def without_line_breaks(value: str) -> str:
    """Remove CR, LF and NUL."""
    if value.isprintable():
        return value
    return _LINE_BREAKS_AND_NUL.sub("", value)


def _without_nul(value: str) -> str:
    return _NUL.sub("", value)


class EncodingContext(enum.Enum):
    """The context in which values are inserted. ``encode`` and ``encode_raw`` (for ``|raw``) prepare a value for it."""

    URL = ("url", _in_url, _raw_in_url)
    FORM = ("form", _in_form, _raw_in_url)
    JSON = ("json", _in_json, without_line_breaks)
    HEADER = ("header", without_line_breaks, without_line_breaks)
    TEXT = ("text", _without_nul, without_line_breaks)

    key: str
    encode: Callable[[str], str]
    encode_raw: Callable[[str], str]
    is_contextual: bool
    """Whether the text around a value matters as well: quotes in JSON, line breaks in a header."""

    def __init__(self, key: str, encode: Callable[[str], str], encode_raw: Callable[[str], str]) -> None:
        self.key = key
        self.encode = encode
        self.encode_raw = encode_raw
        self.is_contextual = key in ("json", "header")
