"""HTTP requests as endpoints receive them, and responses as bytes."""

from collections.abc import Awaitable, Callable

import msgspec

REASONS = {
    200: b"OK",
    204: b"No Content",
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


class HttpRequest(msgspec.Struct, gc=False):
    """One request. ``headers`` has only the fields that an endpoint reads, under the keys of ``header_fields``.

    Endpoints resolve ``ip``, at first the peer's address, ``host`` and ``secure`` with the headers of trusted proxies.
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


HttpResponse = bytes | Awaitable[bytes]
Endpoints = Callable[[HttpRequest], HttpResponse]


def plain_response(
    status: int, text: str, keep_alive: bool = True, headers: bytes = b"", kind: bytes = b"text/plain; charset=utf-8"
) -> bytes:
    """Return a response with a short text. ``headers``: additional header lines, each with its CRLF."""
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
    """Return the response to HEAD: headers only, since a body would be read as the next response (RFC 9110, 9.3.2)."""
    return answer[: answer.index(b"\r\n\r\n") + 4]


def without_fragment(query: bytes) -> bytes:
    """Return the query without its fragment. ``&#38;`` and ``&#x26;`` are HTML-escaped ampersands and start none."""
    at = query.find(b"#")
    while at > 0 and query[at - 1] == ord("&") and query[at : at + 5].lower().startswith((b"#38;", b"#038;", b"#x26;")):
        at = query.find(b"#", at + 1)
    return query if at < 0 else query[:at]


def escaped_request_line(data: bytes) -> bytes:
    """Percent-encode bytes above 127 in the first line: some sources send them raw, and the parser would reject them."""
    line, end, rest = data.partition(b"\r\n")
    if line.isascii():
        return data
    return line.decode("latin-1").translate(_ESCAPES).encode("ascii") + end + rest


_ESCAPES = {byte: f"%{byte:02X}" for byte in range(128, 256)}
