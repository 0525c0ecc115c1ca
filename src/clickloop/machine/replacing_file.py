"""Replacing a small file atomically: a reader finds the old contents or the new ones, also after a crash."""

import contextlib
import os
from pathlib import Path


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Create or replace a file that only its owner may read.

    ``durable``: make it survive a power cut. Raise OSError with the file's name.
    """
    # With the process id, since two processes may replace the same file at once. Backups skip names that end with one.
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                # Before the rename: a power cut could otherwise leave an empty file under the new name.
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            sync_directory(path.parent)
    except OSError as error:
        # On a broken disk this fails as well; the first error is the one to raise.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        # Errors of write and fsync have no file name, and "no space left" is useless without one.
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_directory(path: Path) -> None:
    """Sync the names in a directory to disk."""
    # fsync of a file covers its contents only; its name is in the directory.
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
