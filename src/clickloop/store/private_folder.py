"""Permissions of the data folder, which is private to one user: it holds tokens, keys and visitors' addresses."""

import os
import stat
from pathlib import Path

import msgspec

PRIVATE_UMASK = 0o077
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class PermissionFixes(msgspec.Struct, frozen=True):
    """The names in the data folder whose permissions for group and others were removed, or could not be."""

    corrected: tuple[str, ...]
    failed: tuple[str, ...]


def make_private(folder: Path) -> PermissionFixes:
    """Remove the permissions of group and others from everything directly in the folder.

    The folder keeps its own mode, which systemd resets at each start; private subdirectories protect everything below them.
    Links are skipped: their targets may be shared on purpose.
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
    return PermissionFixes(tuple(sorted(corrected)), tuple(sorted(failed)))
