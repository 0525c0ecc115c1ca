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
def test_a_body_is_read_in_every_encoding_that_is_known(body: bytes, encoding: bytes) -> None:
    assert decoded(body, encoding, LIMIT) == BODY


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, br", b"gzip, gzip", b"compress", b"x", b"aws-chunked"])
def test_another_encoding_is_named_and_not_read(encoding: bytes) -> None:
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
def test_a_bomb_is_given_up_at_the_limit(pack: object) -> None:
    assert callable(pack)
    bomb = pack(b"\0" * 50_000_000)
    assert len(bomb) < LIMIT
    with pytest.raises(BodyTooLargeError):
        decoded(bomb, b"deflate", LIMIT)


def test_members_that_together_are_too_large_are_given_up() -> None:
    with pytest.raises(BodyTooLargeError):
        decoded(gzipped(b"x" * 100_000) * 3, b"gzip", LIMIT)


def test_exactly_the_limit_is_read() -> None:
    assert len(decoded(gzipped(b"x" * LIMIT), b"gzip", LIMIT)) == LIMIT


def test_no_body_needs_no_encoding() -> None:
    assert decoded(b"", b"gzip", LIMIT) == b""
