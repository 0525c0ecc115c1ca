"""Lock files by which processes on a machine exclude each other; they contain the holder's process id."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path


class LockedError(Exception):
    """Another process holds the lock. ``holder``: its process id, or ``unknown``."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"locked by process {holder}")
        self.holder = holder


def take_lock(path: Path) -> int:
    """Return the descriptor of the locked file; closing it, or the end of the process, releases it. Raise LockedError or OSError."""
    lock = _open(path)
    try:
        # flock, not lockf: it belongs to the descriptor, so closing another descriptor of the file does not release it.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = holder_of(lock)
        os.close(lock)
        raise LockedError(holder) from None
    except OSError:
        os.close(lock)
        raise
    return lock


def write_holder(lock: int) -> None:
    """Write this process's id into a lock file that it has locked."""
    with contextlib.suppress(OSError):  # only a hint for messages; a full or read-only disk must not prevent a start
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)


def holder_of(lock: int) -> str:
    """Return the process id in an open lock file, or ``unknown``."""
    return os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        if fault.errno != errno.EROFS:
            raise
    # The system remounts a failing disk read-only. Edges can still redirect visitors then, and locking needs no write access.
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
