"""The folder of uploaded files. A file appears once it is completely on disk, and is kept for a while."""

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from clickloop.conversion.moment import DateOrder
from clickloop.conversion.upload.lines import HEAD_BYTES, MAX_FILE_BYTES
from clickloop.conversion.upload.text import Utf8Decoder
from clickloop.store.directory import make_directories, sync_directory
from clickloop.store.disk_room import MIN_FREE_BYTES, check_room

PIECE_BYTES = 256 * 1024  # bounds memory, regardless of file size
_SYNC_BYTES = 32 * 1024 * 1024
"""Bytes between two syncs of an arriving file, so that the last sync is short."""
_TEXT, _PART, _VERDICTS, _DRAFTS, _DATES = ".text", ".part", ".verdicts", ".drafts", ".dates"
_DEAD_SECONDS = 24 * 3600  # no upload takes a day to arrive: its sender has gone


class UploadTooLargeError(Exception):
    """A file is too large; the message states the limit."""


class UploadFiles:
    """The folder ``uploads`` of a data folder. ``max_bytes``: maximum size of a file as sent, before conversion to UTF-8."""

    def __init__(
        self, folder: Path, max_bytes: int = MAX_FILE_BYTES // 2, min_free_bytes: int = MIN_FREE_BYTES
    ) -> None:
        self._folder = folder
        self.max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes

    def receive(self, upload_id: str) -> "ArrivingFile":
        """Return a file to write an upload into. Raise NoRoomError or OSError."""
        make_directories(self._folder)
        self.check_room(0)
        return ArrivingFile(self, upload_id, self._path(upload_id, _PART), self._path(upload_id, _TEXT))

    def check_size(self, size: int) -> None:
        """Raise UploadTooLargeError or NoRoomError if a file of this size cannot be stored."""
        if size > self.max_bytes:
            raise self.too_large()
        make_directories(self._folder)
        self.check_room(size)

    def too_large(self) -> UploadTooLargeError:
        """Return the error for a file of more than ``max_bytes``."""
        limit = self.max_bytes / 2**20
        return UploadTooLargeError(f"The file is too large: the limit is {limit:,.0f} MiB. Upload it in parts.")

    def check_room(self, size: int) -> None:
        """Raise NoRoomError unless there is enough space for ``size`` more bytes."""
        check_room(self._folder, size, self._min_free_bytes)

    def exists(self, upload_id: str) -> bool:
        """Return whether the file is still there."""
        return self._path(upload_id, _TEXT).exists()

    def size(self, upload_id: str) -> int:
        """Return the file's size in bytes. Raise FileNotFoundError."""
        return self._path(upload_id, _TEXT).stat().st_size

    def head(self, upload_id: str) -> bytes:
        """Return the start of a file, by which its format is detected. Raise FileNotFoundError."""
        with self._path(upload_id, _TEXT).open("rb") as file:
            return file.read(HEAD_BYTES)

    def pieces(self, upload_id: str, begins_at: int) -> Generator[bytes, None, None]:
        """Yield the file from an offset on. Raise FileNotFoundError with the first piece."""
        with self._path(upload_id, _TEXT).open("rb") as file:
            file.seek(begins_at)
            while piece := file.read(PIECE_BYTES):
                yield piece

    def copy(self, upload_id: str, other_id: str) -> None:
        """Store the file under a second id. Raise FileNotFoundError."""
        # A hard link: files may be large, are never changed, and each id can be deleted without the other.
        os.link(self._path(upload_id, _TEXT), self._path(other_id, _TEXT))
        sync_directory(self._folder)

    def keep_date_order(self, upload_id: str, order: DateOrder | None) -> None:
        """Store durably the order of day and month in a file's dates; None if it is unknown."""
        path = self._path(upload_id, _DATES)
        if order is None:
            path.unlink(missing_ok=True)
            return
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(order.value)
            file.flush()
            # Before lines are registered with this order: another order after a crash would yield other dates.
            os.fdatasync(file.fileno())
        sync_directory(self._folder)

    def date_order(self, upload_id: str) -> DateOrder | None:
        """Return the order of day and month in a file's dates; None if it is unknown."""
        try:
            return DateOrder(self._path(upload_id, _DATES).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def begin_verdicts(self, upload_id: str) -> None:
        """Create an empty file for a preview's verdicts."""
        self._path(upload_id, _VERDICTS).write_bytes(b"")

    def add_verdicts(self, upload_id: str, lines: list[bytes]) -> None:
        """Append verdicts of a preview, one per line."""
        with self._path(upload_id, _VERDICTS).open("ab") as file:
            file.writelines(line + b"\n" for line in lines)

    def verdicts(self, upload_id: str) -> Iterator[bytes]:
        """Yield the verdicts of a preview, in order."""
        with self._path(upload_id, _VERDICTS).open("rb") as file:
            yield from file

    def drafts_path(self, upload_id: str) -> Path:
        """Return the path of a running preview's drafts."""
        return self._path(upload_id, _DRAFTS)

    def delete(self, upload_id: str) -> None:
        """Delete all files of an upload."""
        for kind in (_TEXT, _PART, _VERDICTS, _DRAFTS, _DATES):
            self._path(upload_id, kind).unlink(missing_ok=True)

    def delete_unfinished(self) -> None:
        """Delete files that were arriving when the tracker ended. Call it before any can arrive."""
        for path in self._folder.glob(f"*{_PART}"):
            path.unlink(missing_ok=True)

    def ids_on_disk(self, now_ms: int) -> dict[str, bool]:
        """Return the ids of uploads with files, each with whether its files have not been touched for a day."""
        ids: dict[str, bool] = {}
        if not self._folder.is_dir():
            return ids
        for entry in os.scandir(self._folder):
            try:
                is_old = entry.stat().st_mtime < now_ms / 1000 - _DEAD_SECONDS
            except FileNotFoundError:
                continue
            upload_id = entry.name.partition(".")[0]
            ids[upload_id] = ids.get(upload_id, True) and is_old
        return ids

    def _path(self, upload_id: str, kind: str) -> Path:
        return self._folder / f"{upload_id}{kind}"


class ArrivingFile:
    """A file as it arrives. Only ``finish`` makes it visible; call ``abandon`` if it can't be finished."""

    def __init__(self, files: UploadFiles, upload_id: str, part: Path, path: Path) -> None:
        self.upload_id = upload_id
        self._files = files
        self._part = part
        self._path = path
        self._text = Utf8Decoder()
        self._head = b""
        self._arrived = 0
        self._synced = 0
        self._written = 0
        self._file: BinaryIO | None = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    @property
    def head(self) -> bytes:
        """Return the start by which the format is detected, as far as it has arrived."""
        return self._head

    @property
    def encoding(self) -> str:
        """Return the encoding detected in what has arrived so far."""
        return self._text.encoding

    def write(self, piece: bytes) -> None:
        """Append a piece. Raise UploadTooLargeError, NoRoomError or OSError."""
        self._arrived += len(piece)
        if self._arrived > self._files.max_bytes:
            raise self._files.too_large()
        self._add(self._text.take(piece))
        if self._written - self._synced > _SYNC_BYTES:
            self._files.check_room(0)
            self._sync()

    def finish(self) -> int:
        """Move the file into place, durably, and return its size as UTF-8. Raise OSError."""
        self._add(self._text.end())
        self._sync()
        self._close()
        self._part.rename(self._path)
        sync_directory(self._path.parent)
        return self._written

    def abandon(self) -> None:
        """Delete the file unless it is finished."""
        with contextlib.suppress(OSError):  # closing flushes, which fails on a full disk
            self._close()
        self._part.unlink(missing_ok=True)

    def _add(self, text: bytes) -> None:
        if len(self._head) < HEAD_BYTES:
            self._head = (self._head + text)[:HEAD_BYTES]
        self._written += len(text)
        if self._written > MAX_FILE_BYTES:  # UTF-16 may grow
            raise self._files.too_large()
        if self._file is not None:
            self._file.write(text)

    def _sync(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._synced = self._written

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
