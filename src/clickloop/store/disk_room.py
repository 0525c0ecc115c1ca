"""Room on the disk: files that users have made leave enough of it free for clicks and notices, which need it more."""

import shutil
from pathlib import Path

LEAST_FREE_OCTETS = 512 * 1024 * 1024
"""So much room stays free."""


class NoRoomError(Exception):
    """The disk is too full for a file; the text says what is free and what must stay so."""


def check_room(folder: Path, octets: int, least_free_octets: int) -> None:
    """Raises NoRoomError unless so many more octets in a folder leave enough free."""
    free = shutil.disk_usage(folder).free
    if free - octets < least_free_octets:
        raise NoRoomError(
            f"The disk of the tracker has {free // 2**20} MiB free, and {least_free_octets // 2**20} MiB must stay free."
        )
