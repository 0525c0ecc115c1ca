"""Free disk space that users' files must leave for clicks and notices."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIN_FREE_BYTES = 512 * 1024 * 1024
"""Default minimum of free space."""


class NoRoomError(Exception):
    """The disk is too full for a file; the message says how much is free and how much must stay free."""


def check_room(folder: Path, size: int, min_free_bytes: int) -> None:
    """Raise NoRoomError unless ``min_free_bytes`` stay free after writing ``size`` bytes."""
    free = shutil.disk_usage(folder).free
    if free - size < min_free_bytes:
        raise NoRoomError(
            f"The tracker's disk has {free // 2**20} MiB free, and {min_free_bytes // 2**20} MiB must stay free."
        )


@contextmanager
def room_needed() -> Iterator[None]:
    """Raise NoRoomError where a write fails because the disk, or a quota, is full: what was checked before may be taken by others."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoRoomError("The disk of the tracker is full: nothing was saved. Make room, then try again.") from error
