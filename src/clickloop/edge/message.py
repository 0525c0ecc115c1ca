"""A request as a door gets it, and an answer as it leaves."""

from collections.abc import Awaitable, Callable

import msgspec

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
}


class Request(msgspec.Struct, gc=False):
    """One request as it came. ``headers``: those that a door reads, by the name it reads them, the last of a repeated one.

    ``ip`` is the peer's address until a trusted proxy has been believed; only then are ``host`` and ``secure`` known.
    """

    method: bytes
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    ip: str
    keep_alive: bool
    host: str = ""
    secure: bool = False


Answer = bytes | Awaitable[bytes]
Doors = Callable[[Request], Answer]


def plain_answer(
    status: int, text: str, keep_alive: bool = True, headers: bytes = b"", kind: bytes = b"text/plain; charset=utf-8"
) -> bytes:
    """A short answer of text. ``headers``: further whole header lines."""
    body = text.encode()
    return b"".join(
        (
            b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\n" % (status, REASONS[status], kind),
            b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n",
            headers,
            b"content-length: %d\r\n" % len(body),
            b"\r\n" if keep_alive else b"connection: close\r\n\r\n",
            body,
        )
    )


def without_body(answer: bytes) -> bytes:
    """The answer to HEAD: the same headers, and nothing after them, which would be taken for the next answer (RFC 9110, 9.3.2)."""
    return answer[: answer.index(b"\r\n\r\n") + 4]


def without_fragment(query: bytes) -> bytes:
    """Return the query up to its fragment. ``&#38;`` and ``&#x26;`` are an ampersand out of HTML and begin none."""
    at = query.find(b"#")
    while at > 0 and query[at - 1] == ord("&") and query[at : at + 5].lower().startswith((b"#38;", b"#038;", b"#x26;")):
        at = query.find(b"#", at + 1)
    return query if at < 0 else query[:at]


def escaped_request_line(data: bytes) -> bytes:
    """Percent-encodes bytes over 127 in the first line, which some sources send raw and the parser would refuse."""
    line, end, rest = data.partition(b"\r\n")
    if line.isascii():
        return data
    return line.decode("latin-1").translate(_ESCAPES).encode("ascii") + end + rest


_ESCAPES = {octet: f"%{octet:02X}" for octet in range(128, 256)}
