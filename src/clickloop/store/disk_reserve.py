"""The disk reserve: a file that is deleted to free space when the disk is full."""

import contextlib
import os
import shutil
from pathlib import Path

from clickloop.store.directory import sync_directory

RESERVE_BYTES = 64 * 1024 * 1024  # space for some hundred thousand clicks, until the user has freed more


class DiskReserve:
    """A file of allocated, unused bytes. Releasing it lets retention and settling run on a full disk."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self.size = size
        self._path = path

    @property
    def held(self) -> bool:
        """Return whether the whole reserve is allocated."""
        try:
            # Allocated blocks, which stat counts in units of 512 bytes on every file system; the size may include holes.
            return self._path.stat().st_blocks * 512 >= self.size
        except FileNotFoundError:
            return False

    def release(self) -> bool:
        """Delete the reserve, and return False if there is none or it cannot be deleted."""
        try:
            self._path.unlink()
            sync_directory(self._path.parent)
        except OSError:
            return False
        return True

    def ensure(self) -> bool:
        """Allocate the reserve if it is missing and the disk has space for twice its size. Return whether it is allocated."""
        if self.held:
            return True
        if shutil.disk_usage(self._path.parent).free < 2 * self.size:
            return False
        part = self._path.with_name(self._path.name + ".part")
        try:
            # Under another name first: a partial reserve must not count.
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # Allocated rather than truncated to size: deleting a sparse file would free nothing.
                os.posix_fallocate(file, 0, self.size)
            finally:
                os.close(file)
            part.rename(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
            return False
        return True
