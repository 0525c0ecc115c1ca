"""Compressed bodies of notices."""

import gzip
import zlib
from functools import partial

import pytest

from clickloop.edge.content_encoding import BodyTooLargeError, UnknownEncodingError, UnreadableBodyError, decoded

gzipped = partial(gzip.compress, mtime=0)
"""Fixed, since pytest-xdist needs the same parameters in every worker: gzip puts the time into the header."""

BODY = b'{"cid":"C","payout":5}'
LIMIT = 256 * 1024


def raw_deflate(body: bytes) -> bytes:
    """Compress without zlib's header, as some senders understand "deflate"."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzipped(BODY), b"gzip"),
        (gzipped(BODY), b"GZIP"),
        (gzipped(BODY), b"x-gzip"),
        (gzipped(BODY), b"identity, gzip"),
        (gzipped(BODY[:9]) + gzipped(BODY[9:]), b"gzip"),
        (gzipped(BODY) + b"\0\0", b"gzip"),
        (zlib.compress(BODY), b"deflate"),
        (raw_deflate(BODY), b"deflate"),
        (gzipped(BODY), b"deflate"),
        (BODY, b"identity"),
        (BODY, b""),
        (BODY, b"gzip"),
        (BODY, b"deflate"),
    ],
)
def test_a_body_is_decoded_in_every_supported_encoding(body: bytes, encoding: bytes) -> None:
    assert decoded(body, encoding, LIMIT) == BODY


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, br", b"gzip, gzip", b"compress", b"x", b"aws-chunked"])
def test_an_unsupported_encoding_is_named_in_the_error(encoding: bytes) -> None:
    with pytest.raises(UnknownEncodingError, match=encoding.decode()):
        decoded(gzipped(BODY), encoding, LIMIT)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzipped(BODY)[:-9], b"gzip"),
        (gzipped(BODY)[:12], b"gzip"),
        (b"\x1f\x8b\x08" + b"\xff" * 40, b"gzip"),
        (b"\xff\xfe\x00", b"gzip"),
        (b"\x00\x01\x02", b"deflate"),
        (zlib.compress(BODY)[:-3], b"deflate"),
        (gzipped(BODY) * 50, b"gzip"),
    ],
)
def test_a_damaged_body_is_refused(body: bytes, encoding: bytes) -> None:
    with pytest.raises(UnreadableBodyError):
        decoded(body, encoding, LIMIT)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, raw_deflate])
def test_a_zip_bomb_is_rejected_at_the_limit(pack: object) -> None:
    assert callable(pack)
    bomb = pack(b"\0" * 50_000_000)
    assert len(bomb) < LIMIT
    with pytest.raises(BodyTooLargeError):
        decoded(bomb, b"deflate", LIMIT)


def test_members_that_are_too_large_together_are_rejected() -> None:
    with pytest.raises(BodyTooLargeError):
        decoded(gzipped(b"x" * 100_000) * 3, b"gzip", LIMIT)


def test_a_body_of_exactly_the_limit_is_decoded() -> None:
    assert len(decoded(gzipped(b"x" * LIMIT), b"gzip", LIMIT)) == LIMIT


def test_an_empty_body_is_returned_whatever_its_encoding() -> None:
    assert decoded(b"", b"gzip", LIMIT) == b""
