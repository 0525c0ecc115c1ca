"""Small JSON files that carry their own checksum, so that a flipped bit is noticed instead of believed.

``{"checksum": …, "content": …}``: the checksum is BLAKE2b over the content's bytes. Written in one step, synced.
"""

import hashlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

_DIGEST_BYTES = 16

T = TypeVar("T")


class _Sealed(msgspec.Struct, frozen=True):
    checksum: str
    content: msgspec.Raw


class SealedFileError(Exception):
    """The file is there and does not hold what was written; the text says what was found and what was expected."""


def write_sealed(path: Path, content: object, mode: int = 0o600) -> None:
    """Replace the file in one step: a reader sees the old one or the new one, also after a power cut. Raise OSError."""
    encoded = msgspec.json.encode(content)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as file:
            file.write(msgspec.json.encode(_Sealed(_checksum(encoded), msgspec.Raw(encoded))))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        # A failed write or sync names no file by itself, and "no space left" without a path helps nobody.
        raise OSError(error.errno, error.strerror, str(path)) from error


def unsealed(data: bytes, kind: type[T], name: str) -> T:
    """Return the content of a sealed file's bytes. Raise SealedFileError; ``name`` is the file's, for the message."""
    try:
        sealed = msgspec.json.decode(data, type=_Sealed)
        if sealed.checksum != _checksum(bytes(sealed.content)):
            raise SealedFileError(f"{name} does not match its checksum: it was damaged or edited by hand")
        return msgspec.json.decode(sealed.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SealedFileError(f"{name} holds {len(data)} bytes that are not what Clickloop writes: {error}") from error


def _checksum(encoded: bytes) -> str:
    return hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()
