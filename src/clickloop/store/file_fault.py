"""Faults of files in the data folder, by cause, and what to do: rights are not damage, and a full disk is neither."""

import contextlib
import errno
import os
import pwd
import stat
from pathlib import Path

_MIN_SQLITE_PAGE_BYTES = 512
_DUCKDB_BLOCK = 262_144
"""DuckDB's blocks, behind three headers of 4,096 bytes."""
RESTORE_BACKUP = "restore a backup (clickloop restore)"
"""The advice for whatever is damaged, as a part of a sentence."""
_LEAVE = "Nothing is damaged: leave the file where it is."


def file_fault(path: Path) -> str | None:
    """Return what keeps this user from reading and writing a file; None: nothing, or there is no such file yet."""
    # Not opened: closing any descriptor of a file drops the locks that this process holds on it (SQLite, DuckDB).
    try:
        found = path.stat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            return f"The folder {path.parent} does not exist: name the data folder with --data."
        return None
    except OSError as error:
        return fault_sentence(error, path)
    if stat.S_ISDIR(found.st_mode):
        return fault_sentence(OSError(errno.EISDIR, ""), path)
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return fault_sentence(OSError(errno.EROFS, ""), path)
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        return fault_sentence(OSError(errno.EACCES, ""), path)
    return None


def fault_sentence(error: OSError, path: Path) -> str:
    """Return what an error of the operating system means for a file of ours, and what to do about it."""
    number = error.errno or 0
    if number in {errno.EACCES, errno.EPERM}:
        return (
            f"{path} may not be read and written by the user {_user_name(os.geteuid())}{_owned(path)}. Give this user the right to "
            f"(chown, chmod), or run Clickloop as the user whose file it is. {_LEAVE}"
        )
    if number == errno.EROFS:
        return f"{path} is on a file system that is mounted read-only: mount it writable. {_LEAVE}"
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return f"There is no room left for {path}: make room on its disk, or raise the quota. {_LEAVE}"
    if number in {errno.EISDIR, errno.ENOTDIR}:
        return f"{path} is a directory, or lies in what is no directory; expected a file: move it away and put the file back."
    if number in {errno.EMFILE, errno.ENFILE}:
        return f"{path} cannot be opened: too many files are open. Raise the limit (ulimit -n). {_LEAVE}"
    if number == errno.EIO:
        return f"The disk could not read or write {path}: look at the disk, and {RESTORE_BACKUP}."
    return f"{path} cannot be used: {error.strerror or error}."


def trailing_bytes(ledger: Path, facts: Path) -> str | None:
    """Return a sentence when a store's file has bytes behind its last whole page; they are ignored, and were not written by us."""
    for path, before, page in ((ledger, 0, _MIN_SQLITE_PAGE_BYTES), (facts, 3 * 4096, _DUCKDB_BLOCK)):
        # What keeps it from being read is reported elsewhere.
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            if size > before and (size - before) % page:
                return (
                    f"{path} has {size} bytes, which are not whole pages: something was appended to it, or it was cut."
                )
    return None


def _owned(path: Path) -> str:
    with contextlib.suppress(OSError):
        found = path.stat()
        return f": it belongs to {_user_name(found.st_uid)}, mode {stat.S_IMODE(found.st_mode):04o}"
    return f": the folder {path.parent} may not be searched"


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    # A user without a name, as in a container.
    except KeyError:
        return str(number)
