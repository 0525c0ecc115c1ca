"""Small JSON files with a checksum, by which damage is noticed.

``{"checksum": …, "content": …}``: the checksum is BLAKE2b over the content's bytes.
"""

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

from clickloop.machine.replacing_file import replace_file

_DIGEST_BYTES = 16

T = TypeVar("T")


class _Sealed(msgspec.Struct, frozen=True):
    checksum: str
    content: msgspec.Raw


class SealedFileError(Exception):
    """The file is damaged; the message says what was found and what was expected."""


def write_sealed(path: Path, content: object) -> None:
    """Replace the file, durably. Raise OSError."""
    replace_file(path, seal(content))


def seal(content: object) -> bytes:
    """Return the contents of a sealed file."""
    encoded = msgspec.json.encode(content)
    return msgspec.json.encode(_Sealed(_checksum(encoded), msgspec.Raw(encoded)))


def unseal(data: bytes, kind: type[T], name: str) -> T:
    """Verify and decode the contents of a sealed file. Raise SealedFileError; ``name`` is the file's, for the message."""
    try:
        file = msgspec.json.decode(data, type=_Sealed)
        if file.checksum != _checksum(bytes(file.content)):
            raise SealedFileError(f"{name} does not match its checksum: it was damaged or edited by hand")
        return msgspec.json.decode(file.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SealedFileError(f"{name} holds {len(data)} bytes that are not what Clickloop writes: {error}") from error


def _checksum(encoded: bytes) -> str:
    return hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()
