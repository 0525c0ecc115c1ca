"""Heartbeats: files in the data folder by which processes show that they are alive and make progress."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from clickloop.alarm.alarms import FOLDER_NAME

BEAT_SECONDS = 1.0  # an alarm comes only after many missed beats
_FILE_BYTES = 4096  # a block, which is overwritten in place and so needs no space on a full disk


class Beat(msgspec.Struct, frozen=True):
    """The contents of a heartbeat file. Only differences between two readings matter: no clocks are compared."""

    mark: int
    """Changes with every beat; 0 if there is no heartbeat."""
    steps: dict[str, int] = {}
    """Number of rounds finished, by worker."""


class Heartbeat:
    """The heartbeat of a process. Its file stays open and is overwritten in place, which needs no new descriptor and no space."""

    def __init__(self, folder: Path, process: str) -> None:
        """Never raises: if the file cannot be opened, every beat tries again."""
        self._path = _path_of(folder, process)
        self._file = -1
        self._open()

    def beat(self, steps: Mapping[str, int] | None = None) -> None:
        """Write a sign of life, with the number of rounds that each worker has finished."""
        if self._file < 0:
            self._open()
        # If the disk has no space even for this block, the file's time still shows that the process is alive.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, msgspec.json.encode(steps or {}).ljust(_FILE_BYTES), 0)
        with contextlib.suppress(OSError):
            os.utime(self._file if self._file >= 0 else self._path)

    def close(self) -> None:
        """Close the file without deleting it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        # Without a file there is no sign of life; the alarm that follows is right, since the disk is broken.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def read_beat(folder: Path, process: str) -> Beat:
    """Return the last heartbeat of a process. Never raises: an unreadable one counts as missing."""
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
    """Return the age of a heartbeat by the wall clock, for a single check; None if there is none."""
    mark = read_beat(folder, process).mark
    return None if not mark else max(0.0, now_ms / 1000 - mark / 1_000_000_000)


def _path_of(folder: Path, process: str) -> Path:
    return folder / FOLDER_NAME / f"heartbeat.{process}"
