"""The folder of exports. A file grows page by page, each page on disk before it counts, and is kept for a while."""

import os
from collections.abc import Iterator
from pathlib import Path

from clickloop.store.directory import make_directories, sync_directory
from clickloop.store.disk_room import MIN_FREE_BYTES, check_room

PIECE_BYTES = 256 * 1024  # bounds memory, regardless of file size
_TABLE = ".csv"


class LostFileError(Exception):
    """A file is shorter than what had been written, or is gone."""


class ExportFiles:
    """The folder ``exports`` of a data folder."""

    def __init__(self, folder: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self._folder = folder
        self._min_free_bytes = min_free_bytes

    def write(self, export_id: str, at: int, piece: bytes) -> int:
        """Write a piece at an offset, durably, truncate the file after it, and return its size. 0 starts the file over.

        Raise LostFileError, NoRoomError or OSError.
        """
        make_directories(self._folder)
        check_room(self._folder, len(piece), self._min_free_bytes)
        descriptor = os.open(self._path(export_id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            if (size := os.fstat(descriptor).st_size) < at:
                raise LostFileError(f"the file of export {export_id} has {size} bytes, {at} had been written")
            file.seek(at)
            # A crash may have left a page that the ledger does not know.
            file.truncate()
            file.write(piece)
            file.flush()
            # Before the ledger counts the page: after a crash in between it is written again, at the same offset.
            os.fdatasync(descriptor)
        if at == 0:
            sync_directory(self._folder)
        return at + len(piece)

    def exists(self, export_id: str) -> bool:
        """Return whether the file exists."""
        return self._path(export_id).exists()

    def size(self, export_id: str) -> int:
        """Return the file's size in bytes. Raise FileNotFoundError."""
        return self._path(export_id).stat().st_size

    def pieces(self, export_id: str) -> Iterator[bytes]:
        """Yield the file in pieces. Raise FileNotFoundError with the first one."""
        with self._path(export_id).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    def delete(self, export_id: str) -> None:
        """Delete the file if it exists."""
        self._path(export_id).unlink(missing_ok=True)

    def ids_on_disk(self) -> list[str]:
        """Return the ids of exports that have a file."""
        if not self._folder.is_dir():
            return []
        return [path.name.removesuffix(_TABLE) for path in self._folder.glob(f"*{_TABLE}")]

    def _path(self, export_id: str) -> Path:
        return self._folder / f"{export_id}{_TABLE}"
