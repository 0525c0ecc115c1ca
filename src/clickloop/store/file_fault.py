"""Faults of files in the data folder, by cause, with a remedy. Missing permissions and a full disk are not damage."""

import contextlib
import errno
import os
import pwd
import stat
from pathlib import Path

_MIN_SQLITE_PAGE_BYTES = 512
_DUCKDB_BLOCK = 262_144
"""Size of DuckDB's blocks, which follow three headers of 4,096 bytes."""
RESTORE_BACKUP = "restore a backup (clickloop restore)"
"""The remedy for damage, as part of a sentence."""
_LEAVE = "Nothing is damaged: leave the file where it is."


def file_fault(path: Path) -> str | None:
    """Return why this user cannot read and write a file; None if they can, or if it does not exist yet."""
    # Without opening it: closing any descriptor of a file drops the locks that this process has on it (SQLite, DuckDB).
    try:
        status = path.stat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            return f"The folder {path.parent} does not exist: pass the data folder with --data."
        return None
    except OSError as error:
        return fault_sentence(error, path)
    if stat.S_ISDIR(status.st_mode):
        return fault_sentence(OSError(errno.EISDIR, ""), path)
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return fault_sentence(OSError(errno.EROFS, ""), path)
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        return fault_sentence(OSError(errno.EACCES, ""), path)
    return None


def fault_sentence(error: OSError, path: Path) -> str:
    """Return what a system error means for a file, and what to do about it."""
    number = error.errno or 0
    if number in {errno.EACCES, errno.EPERM}:
        return (
            f"The user {_user_name(os.geteuid())} may not read and write {path}{_owner(path)}. Give this user the permission "
            f"(chown, chmod), or run Clickloop as the owner of the file. {_LEAVE}"
        )
    if number == errno.EROFS:
        return f"{path} is on a file system that is mounted read-only: mount it writable. {_LEAVE}"
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return f"There is no space left for {path}: free space on its disk, or raise the quota. {_LEAVE}"
    if number in {errno.EISDIR, errno.ENOTDIR}:
        return f"{path} is a directory, or its parent is not one; expected a file: move it away and put the file back."
    if number in {errno.EMFILE, errno.ENFILE}:
        return f"{path} cannot be opened: too many files are open. Raise the limit (ulimit -n). {_LEAVE}"
    if number == errno.EIO:
        return f"The disk could not read or write {path}: check the disk, and {RESTORE_BACKUP}."
    return f"{path} cannot be used: {error.strerror or error}."


def trailing_bytes(ledger: Path, facts: Path) -> str | None:
    """Return a sentence about bytes after the last whole page of a store's file, which the engines ignore."""
    for path, header, page in ((ledger, 0, _MIN_SQLITE_PAGE_BYTES), (facts, 3 * 4096, _DUCKDB_BLOCK)):
        # An unreadable file is reported elsewhere.
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            if size > header and (size - header) % page:
                return (
                    f"{path} has {size} bytes, which are not whole pages: something was appended, or it was truncated."
                )
    return None


def _owner(path: Path) -> str:
    with contextlib.suppress(OSError):
        status = path.stat()
        return f": it belongs to {_user_name(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o}"
    return f": the folder {path.parent} may not be searched"


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a user without a name, as in a container
        return str(number)
