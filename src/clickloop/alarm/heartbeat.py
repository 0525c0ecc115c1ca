"""Heartbeats: what a process leaves in the data folder so that others see that it lives and that its work goes on."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from clickloop.alarm.alarms import FOLDER_NAME

BEAT_SECONDS = 1.0  # an alarm comes after many missed ones, so that a busy second is none
_FILE_BYTES = 4096  # one block: written in place it needs no room on a full disk


class Beat(msgspec.Struct, frozen=True):
    """One look at a heartbeat file. Only whether it differs from an earlier look says anything: no clock is compared."""

    mark: int
    """Changes with every beat; 0: there is no heartbeat."""
    steps: dict[str, int] = {}
    """By worker, how many rounds it has finished."""


class Heartbeat:
    """Writes one process's heartbeat. Its file is opened once and overwritten in place, which needs neither a descriptor nor room."""

    def __init__(self, folder: Path, process: str) -> None:
        """Where the file cannot be opened, because the disk is read-only, say, every beat tries again: that ends no process."""
        self._path = _path_of(folder, process)
        self._file = -1
        self._open()

    def beat(self, steps: Mapping[str, int] | None = None) -> None:
        """Leave a sign of life, and how many rounds each worker has finished so far."""
        if self._file < 0:
            self._open()
        # Where even the first block found no room, the time of the file alone says that the process lives.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, msgspec.json.encode(steps or {}).ljust(_FILE_BYTES), 0)
        # Nothing else can be done; whoever watches sees no beat, and says so.
        with contextlib.suppress(OSError):
            os.utime(self._file if self._file >= 0 else self._path)

    def close(self) -> None:
        """Close the file and leave it where it is."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        # Without a file there is no sign of life, and the alarm that follows is right: the disk is out of order.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def read_beat(folder: Path, process: str) -> Beat:
    """Return what a process left last. Never raises: a heartbeat that cannot be read is none."""
    try:
        file = os.open(_path_of(folder, process), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return Beat(0)
    try:
        mark = os.fstat(file).st_mtime_ns
        steps = msgspec.json.decode(os.pread(file, _FILE_BYTES, 0), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        steps = {}
    finally:
        os.close(file)
    return Beat(mark, steps)


def beat_age_seconds(folder: Path, process: str, now_ms: int) -> float | None:
    """Return how old a heartbeat is by the wall clock, for who looks only once; None where there is none."""
    mark = read_beat(folder, process).mark
    return None if not mark else max(0.0, now_ms / 1000 - mark / 1_000_000_000)


def _path_of(folder: Path, process: str) -> Path:
    return folder / FOLDER_NAME / f"heartbeat.{process}"
