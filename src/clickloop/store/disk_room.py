"""Room on the disk: files that users have made leave enough of it free for clicks and notices, which need it more."""

import shutil
from pathlib import Path

MIN_FREE_BYTES = 512 * 1024 * 1024
"""Minimum free space that files of users leave to clicks and notices."""


class NoRoomError(Exception):
    """The disk is too full for a file; the text says what is free and what must stay so."""


def check_room(folder: Path, octets: int, min_free_bytes: int) -> None:
    """Raise NoRoomError unless a folder has enough room for ``octets`` more."""
    free = shutil.disk_usage(folder).free
    if free - octets < min_free_bytes:
        raise NoRoomError(
            f"The disk of the tracker has {free // 2**20} MiB free, and {min_free_bytes // 2**20} MiB must stay free."
        )
