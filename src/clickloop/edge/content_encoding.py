"""Compressed bodies of requests (RFC 9110, 8.4): read within limits, or refused in a way that makes a network send again."""

import zlib

_GZIP_MAGIC = b"\x1f\x8b"
_AUTOMATIC, _RAW = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS  # 32: gzip or zlib, by the header
MAX_MEMBERS = 16
"""Members of a gzip body. Each copies what follows it, so their number is bounded."""


class UnknownEncodingError(ValueError):
    """The encoding is none that is read here; the message names it."""


class UnreadableBodyError(ValueError):
    """The body is not what its encoding says."""


class BodyTooLargeError(ValueError):
    """The body would be larger than the limit when decompressed."""


def decoded(body: bytes, encoding: bytes, max_bytes: int) -> bytes:
    """Return the body without its Content-Encoding. At most ``max_bytes`` are ever made of it, so a bomb costs nothing.

    gzip and deflate are read, deflate with and without zlib's header, as senders disagree on it. A body that is plain text though
    a header says otherwise is returned as it is: senders set the header and forget to compress. Raise one of the errors above.
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
        # Not in this format: "deflate" means two, and clients send both.
        except zlib.error:
            continue
    return _plain(body)


def _inflated(body: bytes, form: int, max_bytes: int) -> bytes:
    """Raise zlib.error for what is not in this form or was cut, BodyTooLargeError beyond the limit."""
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
        body = decompressor.unused_data.lstrip(b"\0")  # padding
        if len(parts) > MAX_MEMBERS:
            raise zlib.error("too many members")
    return b"".join(parts)


def _plain(body: bytes) -> bytes:
    """Return a body that is plain text; raise UnreadableBodyError for one that is not."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableBodyError("The body is not in the encoding that Content-Encoding names.") from None
    if not all(character.isprintable() or character in "\r\n\t" for character in text[:1000]):
        raise UnreadableBodyError("The body is not in the encoding that Content-Encoding names.")
    return body
