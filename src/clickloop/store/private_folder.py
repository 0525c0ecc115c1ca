"""The data folder is for one user: it holds tokens, keys and visitors' addresses."""

import os
import stat
from pathlib import Path

import msgspec

PRIVATE_UMASK = 0o077
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Corrected(msgspec.Struct, frozen=True):
    """Names in the data folder that group or others had rights to: those that are private now, and those that could not be made so."""

    corrected: tuple[str, ...]
    failed: tuple[str, ...]


def make_private(folder: Path) -> Corrected:
    """Take the rights of group and others from everything directly in the folder.

    The folder itself keeps its mode: systemd sets it anew at each start, and a private directory guards all that is below it.
    Links are left alone: what they lead to may be shared on purpose.
    """
    corrected, failed = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode) or not mode & _OTHERS:
                continue
            try:
                os.chmod(entry.path, stat.S_IMODE(mode) & ~_OTHERS)
            except OSError:
                failed.append(entry.name)
            else:
                corrected.append(entry.name)
    return Corrected(tuple(sorted(corrected)), tuple(sorted(failed)))
