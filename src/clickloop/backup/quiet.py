"""Keeping a data folder quiet: nothing moves from the journal into the stores, so that copies of them are consistent.

The core of a running tracker pauses settling at a request over the local API; without a tracker its lock is taken, so that none
starts. The edges keep acknowledging either way. Only at the end is it known whether the folder stayed quiet: if the core was
restarted, it has settled meanwhile, and the copies are thrown away.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from clickloop.backup.manifest import BackupError
from clickloop.backup.place import LOCK_FILE
from clickloop.machine.core_client import NotRunningError, call_core
from clickloop.machine.file_lock import LockedError, take_lock
from clickloop.tracking.pausing import MAX_PAUSE_SECONDS

WAIT_SECONDS = 60.0
"""Maximum wait for a starting core, or for another pause to end."""
_RETRY_SECONDS = 0.2  # about the time in which the core grants a pause
_PATH = "/api/v1/settling-pauses"
_CREATED, _ENDED, _MISSING = 201, 204, 404


class DisturbedError(Exception):
    """The folder did not stay quiet: the copies may be inconsistent and have to be made again."""


class _Pause(msgspec.Struct):
    pause_id: str
    lease_seconds: float


class _Problem(msgspec.Struct):
    detail: str = ""


@contextlib.contextmanager
def quiet(folder: Path, facts: Path, max_seconds: float = MAX_PAUSE_SECONDS) -> Iterator[None]:
    """Keep a data folder quiet. Raise BackupError if it cannot be, DisturbedError at the end if it did not stay quiet.

    ``max_seconds``: the core resumes settling after this time in any case. Raise BackupError then, since another attempt would
    take as long.
    """
    claim = _become_quiet(folder, facts)
    began = time.monotonic()
    if isinstance(claim, int):
        try:
            yield
        finally:
            os.close(claim)
        return
    # An event, so that the end does not have to wait for the next renewal.
    over = threading.Event()
    renewing = threading.Thread(target=_renew, args=(folder, claim, over), name="renewing the pause", daemon=True)
    renewing.start()
    ended = False
    try:
        yield
    finally:
        over.set()
        # Before the pause ends: a renewal after the end would fail.
        renewing.join()
        # If the core has ended, the folder did not stay quiet: ``ended`` stays False.
        with contextlib.suppress(NotRunningError):
            ended = call_core(folder, "DELETE", f"{_PATH}/{claim.pause_id}").status == _ENDED
    if not ended and time.monotonic() - began >= max_seconds:
        raise BackupError(
            f"The facts could not be copied within {max_seconds / 60:.0f} minutes, the longest that settling is paused: free "
            "space on the data folder's disk, where copying is fast, or name a file on a faster disk. No backup was made."
        )
    if not ended:
        raise DisturbedError


def _become_quiet(folder: Path, facts: Path) -> int | _Pause:
    """Return the pause granted by a running core or, without a tracker, the descriptor of the folder's lock."""
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        lock = _take_lock(folder)
        if lock is None:
            granted = _ask_for_pause(folder)
            if isinstance(granted, _Pause):
                return granted
            why = granted
        elif not is_open(facts):
            return lock
        else:
            # The supervisor was killed, and its core is still settling.
            os.close(lock)
            why = f"A tracker that was killed is still ending in {folder}."
        if time.monotonic() > give_up:
            raise BackupError(f"{why} No backup was made: see the tracker's log for the cause.")
        time.sleep(_RETRY_SECONDS)


def _take_lock(folder: Path) -> int | None:
    try:
        return take_lock(folder / LOCK_FILE)
    except LockedError:
        return None


def is_open(facts: Path) -> bool:
    """Return whether a process has the facts open, by the engine's lock on the file. Raise OSError if there is no file."""
    with facts.open("rb") as file:
        try:
            # lockf, not flock: DuckDB takes a POSIX lock, which flock does not see.
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _ask_for_pause(folder: Path) -> _Pause | str:
    """Return the pause, or why there is none yet. Raise BackupError if waiting does not help."""
    try:
        answer = call_core(folder, "POST", _PATH)
    except NotRunningError as error:
        return str(error)
    if answer.status == _CREATED:
        return msgspec.json.decode(answer.body, type=_Pause)
    if answer.status == _MISSING:
        raise BackupError("The running server is of an older version and cannot be backed up by this one: restart it.")
    try:
        return msgspec.json.decode(answer.body, type=_Problem).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"The server answered {answer.status} to the request to pause settling."


def _renew(folder: Path, pause: _Pause, over: threading.Event) -> None:
    while not over.wait(pause.lease_seconds / 4):
        with contextlib.suppress(NotRunningError):  # the end of ``quiet`` detects a pause that was lost
            call_core(folder, "PUT", f"{_PATH}/{pause.pause_id}")
