"""The folder of exports: each file grows page by page, every page on disk before it counts, and is kept for a while."""

import os
from collections.abc import Iterator
from pathlib import Path

from clickloop.store.directory import make_directories, sync_directory
from clickloop.store.disk_room import MIN_FREE_BYTES, check_room

PIECE_OCTETS = 256 * 1024
_TABLE = ".csv"


class LostFileError(Exception):
    """A file ends before the place at which it should go on, or is gone."""


class ExportFiles:
    """The folder ``exports`` of a data folder."""

    def __init__(self, folder: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self._folder = folder
        self._least_free_octets = min_free_bytes

    def write(self, export_id: str, at: int, piece: bytes) -> int:
        """Puts a piece at a place of the file, durably, and cuts off what stands behind; answers how long it is then.

        At 0 the file begins anew. Raises LostFileError, NoRoomError, OSError.
        """
        make_directories(self._folder)
        check_room(self._folder, len(piece), self._least_free_octets)
        number = os.open(self._path(export_id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "r+b") as file:
            if (found := os.fstat(number).st_size) < at:
                raise LostFileError(f"the file of export {export_id} has {found} bytes, {at} had been written")
            file.seek(at)
            # What a crash left behind the last page that the ledger knows.
            file.truncate()
            file.write(piece)
            file.flush()
            # Before the ledger says that the page is written: a crash in between writes the page again, at the same place.
            os.fdatasync(number)
        if at == 0:
            sync_directory(self._folder)
        return at + len(piece)

    def exists(self, export_id: str) -> bool:
        """Whether the file is there."""
        return self._path(export_id).exists()

    def size(self, export_id: str) -> int:
        """How many octets the file has. Raises FileNotFoundError."""
        return self._path(export_id).stat().st_size

    def pieces(self, export_id: str) -> Iterator[bytes]:
        """The file in pieces. Raises FileNotFoundError, when the first one is asked for."""
        with self._path(export_id).open("rb") as file:
            while piece := file.read(PIECE_OCTETS):
                yield piece

    def delete(self, export_id: str) -> None:
        """Removes the file; none is there: nothing happens."""
        self._path(export_id).unlink(missing_ok=True)

    def kept(self) -> list[str]:
        """The ids of all exports that have a file."""
        if not self._folder.is_dir():
            return []
        return [path.name.removesuffix(_TABLE) for path in self._folder.glob(f"*{_TABLE}")]

    def _path(self, export_id: str) -> Path:
        return self._folder / f"{export_id}{_TABLE}"
