"""Header fields that the public endpoints read, and how repeated ones are combined."""

import httptools

UNUSUAL = b"unusual"
"""The key shared by Expect and Upgrade, so that one look-up tells whether a request has either."""

_WANTED = {
    b"host": b"host",
    b"user-agent": b"user-agent",
    b"referer": b"referer",
    b"accept-language": b"accept-language",
    b"cookie": b"cookie",
    b"content-type": b"content-type",
    b"content-length": b"content-length",
    b"content-encoding": b"content-encoding",
    b"transfer-encoding": b"transfer-encoding",
    b"accept-encoding": b"accept-encoding",
    b"if-none-match": b"if-none-match",
    b"expect": UNUSUAL,
    b"upgrade": UNUSUAL,
    b"purpose": b"purpose",
    b"sec-purpose": b"purpose",
    b"x-purpose": b"purpose",
    b"x-moz": b"purpose",
    b"forwarded": b"forwarded",
    b"x-forwarded-for": b"x-forwarded-for",
    b"x-forwarded-proto": b"x-forwarded-proto",
    b"x-forwarded-host": b"x-forwarded-host",
}
"""Lower-case header name → key in ``HttpRequest.headers``."""

_JOINED = {
    b"cookie": b"; ",  # proxies may split it when they translate from HTTP/2 (RFC 9113, 8.2.3)
    b"content-encoding": b", ",
    b"accept-encoding": b", ",
    b"if-none-match": b", ",
    b"purpose": b", ",
    UNUSUAL: b", ",
    b"x-forwarded-for": b", ",
    b"x-forwarded-proto": b", ",
    b"x-forwarded-host": b", ",
}
"""Fields whose lines form one list (RFC 9110, 5.3), with their separators. For other fields the last line wins."""

FIELDS: dict[bytes, bytes] = {}
"""Cache of ``field_of``, by the exact spelling."""


def field_of(name: bytes) -> bytes:
    """Return the key for a header name in any case; empty if the header is not read."""
    field = _WANTED.get(name.lower(), b"")
    if len(FIELDS) < 1000 and len(name) < 100:  # clients choose the names: bound the memory
        FIELDS[name] = field
    return field


def joined(field: bytes, first: bytes, second: bytes) -> bytes:
    """Return the combined value of a repeated field."""
    between = _JOINED.get(field)
    return second if between is None else first + between + second


def has_body(headers: dict[bytes, bytes]) -> bool:
    """Return whether the headers announce a body."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip() != b"0"


def awaits_100(headers: dict[bytes, bytes], version: str) -> bool:
    """Return whether the client waits for 100 Continue, which HTTP/1.0 does not have (RFC 9110, 10.1.1)."""
    return version != "1.0" and b"100-continue" in headers.get(UNUSUAL, b"").lower()


def head_without_upgrade(parser: httptools.HttpRequestParser, url: bytes, headers: dict[bytes, bytes]) -> bytes:
    """Return the request head that a parser has read, without Upgrade and Expect."""
    lines = [b"%b: %b\r\n" % field for field in headers.items() if field[0] != UNUSUAL]
    version = parser.get_http_version().encode("ascii")
    return b"%b %b HTTP/%b\r\n%b\r\n" % (parser.get_method(), url, version, b"".join(lines))
