"""The archive of a backup: a plain tar file that ``tar tf`` lists, written in one pass and read by much stricter rules.

First comes the head, then the files, last the manifest with their checksums, so that an archive that was cut is never whole. Of tar
only plain headers exactly as we write them are taken: no links, no long names, no extensions; a name is checked before it becomes a
path. Each byte counts: headers are compared with what we would write, padding with zeros, contents with their checksum.
"""

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from clickloop.backup.manifest import (
    FORMAT,
    HEAD_NAME,
    MANIFEST_NAME,
    BackupError,
    FileEntry,
    Head,
    Manifest,
    check_version,
    manifest_bytes,
    read_manifest,
)

BLOCK = tarfile.BLOCKSIZE
MAX_HEAD_BYTES = 64 * 1024  # ours has some hundred bytes; a stranger's must not fill the memory
MAX_MANIFEST_BYTES = 512 * 1024 * 1024  # two million files with their checksums fit
MAX_FILES = 2_000_000  # a journal that waited for weeks has fewer
MAX_NAME_CHARACTERS = tarfile.LENGTH_NAME
PIECE_BYTES = 1024 * 1024  # memory stays flat, whatever the size of a file
_MODE = 0o600
_END = bytes(2 * BLOCK)
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_MAX_DEPTH = 4  # the journal's segments lie deepest: journal, stream, writer, file

Progress = Callable[[int], None]
"""Called with the number of bytes that were just moved."""


def is_safe_name(name: str) -> bool:
    """Return whether a name leads nowhere but below the folder that it is joined to, and names nothing hidden."""
    parts = name.split("/")
    return (
        len(name) <= MAX_NAME_CHARACTERS and len(parts) <= _MAX_DEPTH and all(_PART.fullmatch(part) for part in parts)
    )


class ArchiveWriter:
    """An archive that is being written, into a file that need not be seekable. Its methods raise OSError."""

    def __init__(self, out: IO[bytes], version: str, made_at: int, progress: Progress) -> None:
        self._out = out
        self._seconds = made_at // 1000
        self._progress = progress
        self._entries: list[FileEntry] = []
        head = msgspec.json.encode(Head(format=FORMAT, clickloop=version, made_at=made_at))
        self.add_bytes(HEAD_NAME, head)

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """The files so far."""
        return tuple(self._entries)

    def add_bytes(self, name: str, data: bytes) -> None:
        """Add a file with these contents."""
        self._begin(name, len(data))
        self._out.write(data)
        self._end(name, len(data), hashlib.sha256(data).hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        """Add a file of the disk as long as it is now. Raise BackupError if it gets shorter meanwhile."""
        with path.open("rb") as file:
            size = path.stat().st_size
            self._begin(name, size)
            digest, left = hashlib.sha256(), size
            while left:
                piece = file.read(min(left, PIECE_BYTES))
                if not piece:
                    raise BackupError(f"{path} became shorter while it was copied: run the backup again.")
                digest.update(piece)
                self._out.write(piece)
                self._progress(len(piece))
                left -= len(piece)
        self._end(name, size, digest.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and the end. Nothing may be added after it."""
        data = manifest_bytes(manifest)
        self._begin(MANIFEST_NAME, len(data))
        self._out.write(data)
        self._pad(len(data))
        self._out.write(_END)
        self._out.flush()

    def _begin(self, name: str, size: int) -> None:
        if not is_safe_name(name):
            raise BackupError(f"The file {name} of the data folder has a name that a backup cannot keep: rename it.")
        self._out.write(_header(name, size, self._seconds))

    def _end(self, name: str, size: int, sha256: str) -> None:
        self._pad(size)
        self._entries.append(FileEntry(name=name, size=size, sha256=sha256))

    def _pad(self, size: int) -> None:
        self._out.write(bytes(-size % BLOCK))


class Archive:
    """An archive that is open for reading, its names and sizes checked. Contents are checked as they are read."""

    def __init__(self, file: IO[bytes], size: int, version: str) -> None:
        """``file`` is seekable and has ``size`` bytes. Raise BackupError for what is no whole archive that this version can read."""
        self._file = file
        self._size = size
        self._places: list[tuple[str, int, int]] = []
        self.head = self._read_head()
        check_version(self.head, version)
        self._scan()
        self.manifest = self._read_manifest()

    def read(self, progress: Progress) -> Iterator[tuple[FileEntry, Iterator[bytes]]]:
        """Yield each file with its contents, which have to be read to their end before the next one.

        Raise BackupError where they do not match their checksum: only what was read to the end without it is as it was written.
        """
        for entry, (_, at, _) in zip(self.manifest.files, self._places, strict=False):
            yield entry, self._pieces(entry, at, progress)

    def verify(self, progress: Progress) -> None:
        """Read all contents. Raise BackupError for any damage."""
        for _, pieces in self.read(progress):
            for _ in pieces:
                pass

    def _pieces(self, entry: FileEntry, at: int, progress: Progress) -> Iterator[bytes]:
        self._file.seek(at)
        digest, left = hashlib.sha256(), entry.size
        while left:
            piece = self._read(min(left, PIECE_BYTES))
            digest.update(piece)
            left -= len(piece)
            progress(len(piece))
            yield piece
        if digest.hexdigest() != entry.sha256:
            raise BackupError(f"The backup is damaged: {entry.name} does not match its checksum. Use another backup.")
        self._check_zeros(-entry.size % BLOCK, f"behind {entry.name}")

    def _read_head(self) -> Head:
        self._file.seek(0)
        found = _parsed(self._file.read(BLOCK))
        if found is None or found[0] != HEAD_NAME or found[1] > MAX_HEAD_BYTES:
            raise BackupError(
                "This is no backup of Clickloop, or its beginning is damaged. Expected is a file that clickloop backup has written; "
                "one that was compressed has to be unpacked first."
            )
        try:
            return msgspec.json.decode(self._read(found[1]), type=Head)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BackupError(f"The backup is damaged: its head cannot be read ({error}). Use another one.") from error

    def _scan(self) -> None:
        """Note where each file is. Raise BackupError at the first thing that we would not have written."""
        at = 0
        names: set[str] = set()
        while True:
            self._file.seek(at)
            block = self._read(BLOCK)
            if block == bytes(BLOCK):
                break
            found = _parsed(block)
            if found is None:
                raise BackupError(f"The backup is damaged at byte {at}: no header is there. Use another one.")
            name, size = found
            at += BLOCK
            if not is_safe_name(name) or name in names or len(names) >= MAX_FILES:
                raise BackupError(f"The backup holds {name[:200]!r} at byte {at}, which no backup of ours does.")
            names.add(name)
            if at + size > self._size:
                raise self._cut()
            self._places.append((name, at, size))
            at += size + -size % BLOCK
        if not self._places or self._places[-1][0] != MANIFEST_NAME:
            raise BackupError("The backup is not whole: it has no manifest. Use another one.")
        self._check_zeros(BLOCK, "at its end")
        if self._file.tell() != self._size:
            raise BackupError(f"The backup is damaged: {self._size - self._file.tell()} bytes follow its end.")

    def _read_manifest(self) -> Manifest:
        _, at, size = self._places[-1]
        if size > MAX_MANIFEST_BYTES:
            raise BackupError(f"The manifest of the backup has {size} bytes, expected at most {MAX_MANIFEST_BYTES}.")
        self._file.seek(at)
        manifest = read_manifest(self._read(size))
        self._check_zeros(-size % BLOCK, "behind its manifest")
        listed = [(entry.name, entry.size) for entry in manifest.files]
        if listed != [(name, length) for name, _, length in self._places[:-1]]:
            raise BackupError("The backup is damaged: it does not hold the files that its manifest lists.")
        if (manifest.format, manifest.clickloop, manifest.made_at) != msgspec.structs.astuple(self.head):
            raise BackupError("The backup is damaged: its head and its manifest tell of two different backups.")
        return manifest

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise self._cut()
        return data

    def _check_zeros(self, size: int, where: str) -> None:
        if any(self._read(size)):
            raise BackupError(f"The backup is damaged: there is something {where}, where nothing should be.")

    def _cut(self) -> BackupError:
        return BackupError(f"The backup is not whole: it breaks off at byte {self._size}. Use another one.")


def _header(name: str, size: int, seconds: int) -> bytes:
    """Return the one header that a file of this name, size and moment has."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, seconds, _MODE
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _parsed(block: bytes) -> tuple[str, int] | None:
    """Return name and size of a header that we wrote; None for any other block."""
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        if info.size < 0 or info.mtime < 0 or not is_safe_name(info.name):
            return None
        # What is not in these three we would have written otherwise: owner, mode, kind, links, extensions.
        return (info.name, info.size) if _header(info.name, info.size, int(info.mtime)) == block else None
    except (tarfile.HeaderError, ValueError):
        return None
