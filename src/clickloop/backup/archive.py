"""The archive of a backup: a plain tar file that ``tar tf`` lists, written in one pass and read with strict checks.

It starts with the head and ends with the manifest, which has the checksums of all files, so a truncated archive is never valid.
Only tar headers identical to ours are accepted, without links, long names or extensions, and names are checked before they are
used as paths. Every byte is verified: headers against our own, padding against zeros, contents against checksums.
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
MAX_HEAD_BYTES = 64 * 1024  # ours has a few hundred bytes; a forged one must not exhaust memory
MAX_MANIFEST_BYTES = 512 * 1024 * 1024  # enough for two million files
MAX_FILES = 2_000_000  # more than the journal has after weeks without settling
MAX_NAME_CHARACTERS = tarfile.LENGTH_NAME
CHUNK_BYTES = 1024 * 1024  # bounds memory, regardless of file size
_MODE = 0o600
_END = bytes(2 * BLOCK)
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_MAX_DEPTH = 4  # a segment is the deepest: journal/stream/writer/file

OnProgress = Callable[[int], None]
"""Called with the number of bytes just read or written."""


def is_safe_name(name: str) -> bool:
    """Return whether a name, joined to a folder, stays inside it, and has no hidden parts."""
    parts = name.split("/")
    return (
        len(name) <= MAX_NAME_CHARACTERS and len(parts) <= _MAX_DEPTH and all(_PART.fullmatch(part) for part in parts)
    )


class ArchiveWriter:
    """Writes an archive to a file, which need not be seekable. Methods raise OSError."""

    def __init__(self, out: IO[bytes], version: str, made_at: int, progress: OnProgress) -> None:
        self._out = out
        self._seconds = made_at // 1000
        self._progress = progress
        self._entries: list[FileEntry] = []
        head = msgspec.json.encode(Head(format=FORMAT, clickloop=version, made_at=made_at))
        self.add_bytes(HEAD_NAME, head)

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """Return the files added so far."""
        return tuple(self._entries)

    def add_bytes(self, name: str, data: bytes) -> None:
        """Add a file with these contents."""
        self._begin(name, len(data))
        self._out.write(data)
        self._end(name, len(data), hashlib.sha256(data).hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        """Add a file from disk up to its current size. Raise BackupError if it shrinks meanwhile."""
        with path.open("rb") as file:
            size = path.stat().st_size
            self._begin(name, size)
            digest, remaining = hashlib.sha256(), size
            while remaining:
                chunk = file.read(min(remaining, CHUNK_BYTES))
                if not chunk:
                    raise BackupError(f"{path} shrank while it was being copied. Run the backup again.")
                digest.update(chunk)
                self._out.write(chunk)
                self._progress(len(chunk))
                remaining -= len(chunk)
        self._end(name, size, digest.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and the end marker. Nothing can be added afterwards."""
        data = manifest_bytes(manifest)
        self._begin(MANIFEST_NAME, len(data))
        self._out.write(data)
        self._pad(len(data))
        self._out.write(_END)
        self._out.flush()

    def _begin(self, name: str, size: int) -> None:
        if not is_safe_name(name):
            raise BackupError(f"The name of the file {name} in the data folder is not allowed in a backup. Rename it.")
        self._out.write(_header(name, size, self._seconds))

    def _end(self, name: str, size: int, sha256: str) -> None:
        self._pad(size)
        self._entries.append(FileEntry(name=name, size=size, sha256=sha256))

    def _pad(self, size: int) -> None:
        self._out.write(bytes(-size % BLOCK))


class Archive:
    """An archive open for reading. Names and sizes have been verified; contents are verified as they are read."""

    def __init__(self, file: IO[bytes], size: int, version: str) -> None:
        """Open a seekable ``file`` of ``size`` bytes. Raise BackupError unless it is a complete archive of a known version."""
        self._file = file
        self._size = size
        self._extents: list[tuple[str, int, int]] = []
        """Name, offset and size of each file."""
        self.head = self._read_head()
        check_version(self.head, version)
        self._scan()
        self.manifest = self._read_manifest()

    def read(self, progress: OnProgress) -> Iterator[tuple[FileEntry, Iterator[bytes]]]:
        """Yield each file with its contents, which must be read to the end before the next one.

        Raise BackupError after contents that do not match their checksum, so don't use them before the end.
        """
        for entry, (_, at, _) in zip(self.manifest.files, self._extents, strict=False):
            yield entry, self._chunks(entry, at, progress)

    def verify(self, progress: OnProgress) -> None:
        """Read all contents. Raise BackupError for any damage."""
        for _, chunks in self.read(progress):
            for _ in chunks:
                pass

    def _chunks(self, entry: FileEntry, at: int, progress: OnProgress) -> Iterator[bytes]:
        self._file.seek(at)
        digest, remaining = hashlib.sha256(), entry.size
        while remaining:
            chunk = self._read(min(remaining, CHUNK_BYTES))
            digest.update(chunk)
            remaining -= len(chunk)
            progress(len(chunk))
            yield chunk
        if digest.hexdigest() != entry.sha256:
            raise BackupError(f"The backup is damaged: {entry.name} does not match its checksum. Use another backup.")
        self._check_zeros(-entry.size % BLOCK, f"after {entry.name}")

    def _read_head(self) -> Head:
        self._file.seek(0)
        header = _parse_header(self._file.read(BLOCK))
        if header is None or header[0] != HEAD_NAME or header[1] > MAX_HEAD_BYTES:
            raise BackupError(
                "This is not a Clickloop backup, or its beginning is damaged. Expected a file written by clickloop backup; "
                "decompress a compressed one first."
            )
        try:
            return msgspec.json.decode(self._read(header[1]), type=Head)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BackupError(f"The backup is damaged: its head cannot be read ({error}). Use another one.") from error

    def _scan(self) -> None:
        """Index offset and size of each file. Raise BackupError for anything that ``ArchiveWriter`` does not write."""
        at = 0
        names: set[str] = set()
        while True:
            self._file.seek(at)
            block = self._read(BLOCK)
            if block == bytes(BLOCK):
                break
            header = _parse_header(block)
            if header is None:
                raise BackupError(f"The backup is damaged at byte {at}: the file header is missing. Use another one.")
            name, size = header
            at += BLOCK
            if not is_safe_name(name) or name in names or len(names) >= MAX_FILES:
                raise BackupError(f"The backup contains {name[:200]!r} at byte {at}, which no backup of ours does.")
            names.add(name)
            if at + size > self._size:
                raise self._truncated()
            self._extents.append((name, at, size))
            at += size + -size % BLOCK
        if not self._extents or self._extents[-1][0] != MANIFEST_NAME:
            raise BackupError("The backup is incomplete: it has no manifest. Use another one.")
        self._check_zeros(BLOCK, "at its end")
        if self._file.tell() != self._size:
            raise BackupError(f"The backup is damaged: {self._size - self._file.tell()} bytes follow its end.")

    def _read_manifest(self) -> Manifest:
        _, at, size = self._extents[-1]
        if size > MAX_MANIFEST_BYTES:
            raise BackupError(f"The backup's manifest has {size} bytes, expected at most {MAX_MANIFEST_BYTES}.")
        self._file.seek(at)
        manifest = read_manifest(self._read(size))
        self._check_zeros(-size % BLOCK, "after its manifest")
        listed = [(entry.name, entry.size) for entry in manifest.files]
        if listed != [(name, length) for name, _, length in self._extents[:-1]]:
            raise BackupError("The backup is damaged: it does not contain the files that its manifest lists.")
        if (manifest.format, manifest.clickloop, manifest.made_at) != msgspec.structs.astuple(self.head):
            raise BackupError("The backup is damaged: its head and its manifest belong to different backups.")
        return manifest

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise self._truncated()
        return data

    def _check_zeros(self, size: int, where: str) -> None:
        if any(self._read(size)):
            raise BackupError(f"The backup is damaged: there is unexpected data {where}.")

    def _truncated(self) -> BackupError:
        return BackupError(f"The backup is incomplete: it ends early, at byte {self._size}. Use another one.")


def _header(name: str, size: int, seconds: int) -> bytes:
    """Return the only valid header for a file with this name, size and time."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, seconds, _MODE
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _parse_header(block: bytes) -> tuple[str, int] | None:
    """Return name and size from a header written by ``_header``; None for any other block."""
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        if info.size < 0 or info.mtime < 0 or not is_safe_name(info.name):
            return None
        # The comparison covers everything else: owner, mode, type, links, extensions.
        return (info.name, info.size) if _header(info.name, info.size, int(info.mtime)) == block else None
    except (tarfile.HeaderError, ValueError):
        return None
