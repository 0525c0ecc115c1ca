"""Decompression of request bodies (RFC 9110, 8.4) within limits."""

import zlib

from clickloop.edge.message import HttpRequest, plain_response

_GZIP_MAGIC = b"\x1f\x8b"
_AUTOMATIC, _RAW = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS  # 32: gzip or zlib, by the header
MAX_MEMBERS = 16
"""Maximum number of members of a gzip body. Reading each one copies the rest of the body."""


class UnknownEncodingError(ValueError):
    """The encoding is not supported. The message names it."""


class UnreadableBodyError(ValueError):
    """The body does not match its Content-Encoding."""


class BodyTooLargeError(ValueError):
    """The decompressed body exceeds the limit."""


def decoded(body: bytes, encoding: bytes, max_bytes: int) -> bytes:
    """Return the body with its Content-Encoding removed. Decompression stops at ``max_bytes``, so a zip bomb does no harm.

    Supports gzip, and deflate with and without zlib's header, since senders disagree on it. Plain text is returned unchanged
    regardless of the header: some senders set it and forget to compress. Raise one of the errors above.
    """
    names = [name for name in encoding.lower().replace(b" ", b"").replace(b"\t", b"").split(b",") if name]
    names = [name for name in names if name != b"identity"]
    if not names or not body:
        return body
    if names not in ([b"gzip"], [b"x-gzip"], [b"deflate"]):
        raise UnknownEncodingError(encoding[:60].decode("latin-1"))
    if names == [b"deflate"]:
        return _first_that_reads(body, (_AUTOMATIC, _RAW), max_bytes)
    if not body.startswith(_GZIP_MAGIC):
        return _plain(body)
    return _first_that_reads(body, (_AUTOMATIC,), max_bytes)


def _first_that_reads(body: bytes, formats: tuple[int, ...], max_bytes: int) -> bytes:
    for form in formats:
        try:
            return _inflated(body, form, max_bytes)
        # "deflate" stands for two formats, and clients send both: try the next one.
        except zlib.error:
            continue
    return _plain(body)


def _inflated(body: bytes, form: int, max_bytes: int) -> bytes:
    """Decompress the body. Raise zlib.error if it is truncated or in another format, BodyTooLargeError beyond the limit."""
    parts: list[bytes] = []
    made = 0
    while body:  # a gzip file may have several members (RFC 1952, 2.2)
        decompressor = zlib.decompressobj(form)
        part = decompressor.decompress(body, max_bytes - made + 1)
        made += len(part)
        if made > max_bytes:
            raise BodyTooLargeError(f"The body is larger than {max_bytes // 1024} KB when decompressed.")
        if not decompressor.eof:
            raise zlib.error("the compressed body ends too early")
        parts.append(part)
        body = decompressor.unused_data.lstrip(b"\0")  # some senders pad the last member with zeros
        if len(parts) > MAX_MEMBERS:
            raise zlib.error("too many members")
    return b"".join(parts)


def _plain(body: bytes) -> bytes:
    """Return the body if it is plain text; otherwise raise UnreadableBodyError."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableBodyError("The body does not match its Content-Encoding.") from None
    if not all(character.isprintable() or character in "\r\n\t" for character in text[:1000]):
        raise UnreadableBodyError("The body does not match its Content-Encoding.")
    return body


def refusal_of_body(request: HttpRequest, max_bytes: int) -> bytes | None:
    """Decompress the request's body in place. If that fails, return the response to send; nothing is stored then."""
    try:
        request.body = decoded(request.body, request.headers[b"content-encoding"], max_bytes)
    except UnknownEncodingError as fault:
        text = f"Content-Encoding {fault} is not supported. Send the body uncompressed, or use gzip or deflate.\n"
        return plain_response(415, text, request.keep_alive, b"accept-encoding: gzip, deflate\r\n")  # RFC 9110, 15.5.16
    except BodyTooLargeError as fault:
        return plain_response(413, f"{fault}\n", request.keep_alive)
    except UnreadableBodyError as fault:
        return plain_response(400, f"{fault}\n", request.keep_alive)
    return None
