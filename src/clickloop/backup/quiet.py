"""Quiet: the time in which nothing moves from the journal into the stores, so that copies of them fit together.

Where a tracker runs, its core pauses settling at a request over the local API; where none runs, its lock is taken, so that none
starts. The edges go on acknowledging either way. Whether it was quiet to the end is known only at the end: a core that was killed
and started again has settled meanwhile, and what was copied is thrown away.
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
from clickloop.machine.core_client import NotRunningError, ask_core
from clickloop.machine.file_lock import LockedError, take_lock
from clickloop.tracking.pausing import MAX_PAUSE_SECONDS

WAIT_SECONDS = 60.0
"""Longest wait for a core that is starting, or for another pause to end."""
_AGAIN_SECONDS = 0.2  # the core grants a pause within such a time; asking more often only costs it
_PATH = "/api/v1/settling-pauses"
_CREATED, _ENDED, _MISSING = 201, 204, 404


class DisturbedError(Exception):
    """It was not quiet to the end: what was copied may not fit together and has to be copied again."""


class _Pause(msgspec.Struct):
    pause_id: str
    lease_seconds: float


class _Problem(msgspec.Struct):
    detail: str = ""


@contextlib.contextmanager
def quiet(folder: Path, facts: Path, max_seconds: float = MAX_PAUSE_SECONDS) -> Iterator[None]:
    """Keep a data folder quiet. Raise BackupError when it cannot become so, DisturbedError on leaving when it did not stay so.

    ``max_seconds``: after these the core goes on whoever asks, and once more would take as long: BackupError on leaving.
    """
    claim = _become_quiet(folder, facts)
    began = time.monotonic()
    if isinstance(claim, int):
        try:
            yield
        finally:
            os.close(claim)
        return
    # An event, so that the end does not wait for the pause between two renewals.
    over = threading.Event()
    renewing = threading.Thread(target=_renew, args=(folder, claim, over), name="renewing the pause", daemon=True)
    renewing.start()
    ended = False
    try:
        yield
    finally:
        over.set()
        # Before the pause ends: a renewal that comes after the end would be taken for a fault.
        renewing.join()
        # A core that has ended was not quiet to the end: ``ended`` stays False.
        with contextlib.suppress(NotRunningError):
            ended = ask_core(folder, "DELETE", f"{_PATH}/{claim.pause_id}").status == _ENDED
    if not ended and time.monotonic() - began >= max_seconds:
        raise BackupError(
            f"The facts could not be copied within {max_seconds / 60:.0f} minutes, and settling is not paused any longer: make "
            "room on the data folder's disk, where copying is fast, or name a file on a faster disk. No backup was made."
        )
    if not ended:
        raise DisturbedError


def _become_quiet(folder: Path, facts: Path) -> int | _Pause:
    """Return the descriptor of the folder's lock where no tracker runs, else the pause that its core has granted."""
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
            # The supervisor was killed, and its core is still settling what it has.
            os.close(lock)
            why = f"A tracker that was killed is still ending in {folder}."
        if time.monotonic() > give_up:
            raise BackupError(f"{why} Nothing was backed up: see in the tracker's log what holds it up.")
        # A lock and a starting core can only be looked at again.
        time.sleep(_AGAIN_SECONDS)


def _take_lock(folder: Path) -> int | None:
    try:
        return take_lock(folder / LOCK_FILE)
    except LockedError:
        return None


def is_open(facts: Path) -> bool:
    """Return whether a core has the facts open: the engine holds a lock on their file as long. Raise OSError where they are not."""
    with facts.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _ask_for_pause(folder: Path) -> _Pause | str:
    """Return the pause, or why there is none yet. Raise BackupError where waiting does not help."""
    try:
        answer = ask_core(folder, "POST", _PATH)
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
        with contextlib.suppress(NotRunningError):  # whether it lasted is found out at the end
            ask_core(folder, "PUT", f"{_PATH}/{pause.pause_id}")
