"""Replacing a small file as a whole: whoever reads it meanwhile, or after a crash, finds the old contents or the new ones."""

import contextlib
import os
from pathlib import Path


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file that its owner alone may read, in place of the one that is there.

    ``durable``: on return it survives a power cut. Raise OSError that names the file.
    """
    # The process id: two processes may replace the same file at once. Names that end so are left out of backups.
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                # Before the rename: after a power cut the new name could otherwise lead to an empty file.
                os.fsync(file.fileno())
        fresh.replace(path)
        if durable:
            sync_directory(path.parent)
    except OSError as error:
        # Clearing up must not hide why: on a broken disk it fails as well.
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        # A failed write or sync names no file by itself, and "no space left" without a path helps nobody.
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_directory(path: Path) -> None:
    """Return when the names in a directory are on disk."""
    # A file's sync covers its contents only; its name is in the directory.
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
