"""The disk reserve: a file that holds room free for the day when the disk is full."""

import contextlib
import os
import shutil
from pathlib import Path

from clickloop.store.directory import sync_directory

RESERVE_OCTETS = 64 * 1024 * 1024  # some hundred thousand clicks: time to make room


class DiskReserve:
    """A file of allocated, unused bytes. Releasing it lets retention and settling run on a full disk."""

    def __init__(self, path: Path, octets: int = RESERVE_OCTETS) -> None:
        self.octets = octets
        self._path = path

    @property
    def held(self) -> bool:
        """Whether the whole reserve is there."""
        try:
            return self._path.stat().st_blocks * 512 >= self.octets
        except FileNotFoundError:
            return False

    def release(self) -> bool:
        """Gives the room free; answers whether there was any to give."""
        try:
            self._path.unlink()
            sync_directory(self._path.parent)
        except OSError:  # there is none, or the disk is read-only: no room can be made that way
            return False
        return True

    def ensure(self) -> bool:
        """Takes the reserve (again) when there is room for it twice over; answers whether it is held."""
        if self.held:
            return True
        if shutil.disk_usage(self._path.parent).free < 2 * self.octets:
            return False
        part = self._path.with_name(self._path.name + ".part")
        try:
            # Under another name first: a part of the reserve must not count as the whole.
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, self.octets)
            finally:
                os.close(file)
            part.rename(self._path)
        except OSError:
            # The disk is full; the part goes with the next try.
            with contextlib.suppress(OSError):
                part.unlink()
            return False
        return True
