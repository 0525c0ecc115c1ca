"""The folder of uploaded files: each is on disk whole before it counts, is read from any place, and is kept for a while."""

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from clickloop.conversion.moment import DateOrder
from clickloop.conversion.upload import HEAD_OCTETS, MAX_FILE_BYTES
from clickloop.conversion.upload_text import Utf8
from clickloop.store.directory import make_directories, sync_directory
from clickloop.store.disk_room import MIN_FREE_BYTES, check_room

PIECE_OCTETS = 256 * 1024  # memory stays flat, whatever the size of the file
_SYNC_OCTETS = 32 * 1024 * 1024
"""Bytes between two syncs of an arriving file, so that the last sync is short."""
_TEXT, _PART, _VERDICTS, _DRAFTS, _DATES = ".text", ".part", ".verdicts", ".drafts", ".dates"
_DEAD_SECONDS = 24 * 3600  # no upload takes a day to arrive: its sender has gone


class UploadTooLargeError(Exception):
    """More arrives than a file may have; the text says how much that is."""


class UploadFiles:
    """The folder ``uploads`` of a data folder. ``max_bytes`` counts a file as it arrives."""

    def __init__(
        self, folder: Path, max_bytes: int = MAX_FILE_BYTES // 2, min_free_bytes: int = MIN_FREE_BYTES
    ) -> None:
        self._folder = folder
        self.max_bytes = max_bytes
        self._least_free_octets = min_free_bytes

    def receive(self, upload_id: str) -> "ArrivingFile":
        """A file to write what arrives into. Raises NoRoomError, OSError."""
        make_directories(self._folder)
        self.check_room(0)
        return ArrivingFile(self, upload_id, self._path(upload_id, _PART), self._path(upload_id, _TEXT))

    def check_size(self, octets: int) -> None:
        """Raises UploadTooLargeError for a file of this size, NoRoomError when there is no room for it."""
        if octets > self.max_bytes:
            raise self.too_large()
        make_directories(self._folder)
        self.check_room(octets)

    def too_large(self) -> UploadTooLargeError:
        """What to raise for a file of more than ``max_bytes``."""
        most = self.max_bytes / 2**20
        return UploadTooLargeError(f"The file is too large: at most {most:,.0f} MiB are taken. Upload it in parts.")

    def check_room(self, octets: int) -> None:
        """Raise NoRoomError unless there is enough room for ``octets`` more."""
        check_room(self._folder, octets, self._least_free_octets)

    def exists(self, upload_id: str) -> bool:
        """Whether the file is still there."""
        return self._path(upload_id, _TEXT).exists()

    def size(self, upload_id: str) -> int:
        """How many octets the file has. Raises FileNotFoundError."""
        return self._path(upload_id, _TEXT).stat().st_size

    def head(self, upload_id: str) -> bytes:
        """The beginning by which a file's form is found. Raises FileNotFoundError."""
        with self._path(upload_id, _TEXT).open("rb") as file:
            return file.read(HEAD_OCTETS)

    def pieces(self, upload_id: str, begins_at: int) -> Generator[bytes, None, None]:
        """The file from a place on. Raises FileNotFoundError, when the first piece is asked for."""
        with self._path(upload_id, _TEXT).open("rb") as file:
            file.seek(begins_at)
            while piece := file.read(PIECE_OCTETS):
                yield piece

    def copy(self, upload_id: str, other_id: str) -> None:
        """Keeps the same file under another id too; it takes no further room. Raises FileNotFoundError."""
        os.link(self._path(upload_id, _TEXT), self._path(other_id, _TEXT))
        sync_directory(self._folder)

    def keep_date_order(self, upload_id: str, order: DateOrder | None) -> None:
        """Keep, durably, in which order day and month are in the dates of a file; None: it is not known."""
        path = self._path(upload_id, _DATES)
        if order is None:
            path.unlink(missing_ok=True)
            return
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(order.value)
            file.flush()
            # Before lines are registered by this order: another order after a crash would give other dates.
            os.fdatasync(file.fileno())
        sync_directory(self._folder)

    def date_order(self, upload_id: str) -> DateOrder | None:
        """Return in which order day and month are in the dates of a file; None: it is not known."""
        try:
            return DateOrder(self._path(upload_id, _DATES).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def begin_verdicts(self, upload_id: str) -> None:
        """Makes an empty list of a preview's verdicts."""
        self._path(upload_id, _VERDICTS).write_bytes(b"")

    def add_verdicts(self, upload_id: str, lines: list[bytes]) -> None:
        """Adds verdicts of a preview, one a line."""
        with self._path(upload_id, _VERDICTS).open("ab") as file:
            file.writelines(line + b"\n" for line in lines)

    def verdicts(self, upload_id: str) -> Iterator[bytes]:
        """The verdicts of a preview, in order."""
        with self._path(upload_id, _VERDICTS).open("rb") as file:
            yield from file

    def drafts_path(self, upload_id: str) -> Path:
        """Where a preview keeps its drafts while it runs."""
        return self._path(upload_id, _DRAFTS)

    def delete(self, upload_id: str) -> None:
        """Removes all files of an upload."""
        for kind in (_TEXT, _PART, _VERDICTS, _DRAFTS, _DATES):
            self._path(upload_id, kind).unlink(missing_ok=True)

    def delete_unfinished(self) -> None:
        """Removes files that were arriving when the tracker ended. Call it when none can be arriving."""
        for path in self._folder.glob(f"*{_PART}"):
            path.unlink(missing_ok=True)

    def kept(self, now_ms: int) -> dict[str, bool]:
        """The ids of all uploads that have files, each with whether they have not been touched for a day."""
        kept: dict[str, bool] = {}
        if not self._folder.is_dir():
            return kept
        for entry in os.scandir(self._folder):
            try:
                is_old = entry.stat().st_mtime < now_ms / 1000 - _DEAD_SECONDS
            except FileNotFoundError:
                continue
            upload_id = entry.name.partition(".")[0]
            kept[upload_id] = kept.get(upload_id, True) and is_old
        return kept

    def _path(self, upload_id: str, kind: str) -> Path:
        return self._folder / f"{upload_id}{kind}"


class ArrivingFile:
    """A file as it arrives. It is there for others only after ``finish``; else call ``abandon``."""

    def __init__(self, files: UploadFiles, upload_id: str, part: Path, path: Path) -> None:
        self.upload_id = upload_id
        self._files = files
        self._part = part
        self._path = path
        self._text = Utf8()
        self._head = b""
        self._arrived = 0
        self._synced = 0
        self._written = 0
        self._file: BinaryIO | None = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    @property
    def head(self) -> bytes:
        """The beginning by which its form is found, as far as it has arrived."""
        return self._head

    @property
    def encoding(self) -> str:
        """Return what the file turned out to be encoded in, as far as it has arrived."""
        return self._text.encoding

    def write(self, piece: bytes) -> None:
        """Takes a piece. Raises UploadTooLargeError, NoRoomError, OSError."""
        self._arrived += len(piece)
        if self._arrived > self._files.max_bytes:
            raise self._files.too_large()
        self._add(self._text.take(piece))
        if self._written - self._synced > _SYNC_OCTETS:
            self._files.check_room(0)
            self._sync()

    def finish(self) -> int:
        """Puts the file in its place, durably; answers its size as text. Raises OSError."""
        self._add(self._text.end())
        self._sync()
        self._close()
        self._part.rename(self._path)
        sync_directory(self._path.parent)
        return self._written

    def abandon(self) -> None:
        """Removes the file unless it is finished."""
        with contextlib.suppress(
            OSError
        ):  # on a full disk, of what is not written yet: its room is what the disk needs
            self._close()
        self._part.unlink(missing_ok=True)

    def _add(self, text: bytes) -> None:
        if len(self._head) < HEAD_OCTETS:
            self._head = (self._head + text)[:HEAD_OCTETS]
        self._written += len(text)
        if self._written > MAX_FILE_BYTES:  # UTF-16 may grow
            raise self._files.too_large()
        if self._file is not None:
            self._file.write(text)

    def _sync(self) -> None:
        if self._file is not None:
            self._file.flush()
            # Contents and size; the file's times do not matter.
            os.fdatasync(self._file.fileno())
            self._synced = self._written

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
