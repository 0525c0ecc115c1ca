"""Alarms: what an operator has to look at. The core writes them to ``<data>/run/alarms.json``; the edges' /health shows them."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

FILE_NAME = "run/alarms.json"
LEAST_FREE_PERCENT = 10.0
COUNTED_SECONDS = 3.0
MOST = 20
"""So many texts of one source are told."""


class Alarms:
    """The alarms of this process, by source. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._told: dict[str, tuple[str, ...]] = {}
        self._written: tuple[str, ...] | None = None
        self._lock = threading.Lock()

    def tell(self, source: str, texts: Sequence[str]) -> bool:
        """Replaces the alarms of a source; none: it has no more. Answers whether anything changed. Raises OSError when the disk does."""
        with self._lock:
            self._told[source] = tuple(texts[:MOST])
            alarms = tuple(text for told in self._told.values() for text in told)
            if alarms == self._written:
                return False
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            fresh = self._path.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(msgspec.json.encode(alarms))
            fresh.replace(self._path)
            self._written = alarms
            return True


class AlarmCount:
    """How many alarms there are, looked at only every few seconds, so that every page can show it. Threads may share it."""

    def __init__(self, folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._looked_at = -COUNTED_SECONDS
        self._count = 0

    def __call__(self) -> int:
        """The count, at most ``COUNTED_SECONDS`` old."""
        now = self._monotonic()
        if now - self._looked_at >= COUNTED_SECONDS:
            self._looked_at = now
            self._count = len(standing_alarms(self._folder))
        return self._count


def standing_alarms(folder: Path) -> tuple[str, ...]:
    """All alarms of now: what the core told last, and a disk that is nearly full."""
    disk = os.statvfs(folder)
    percent = 100.0 * disk.f_bavail / max(1, disk.f_blocks)
    return (*(("free disk below 10 %",) if percent < LEAST_FREE_PERCENT else ()), *read_alarms(folder))


def read_alarms(folder: Path) -> tuple[str, ...]:
    """What the core told last. A file that cannot be read is an alarm by itself; none is none."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=tuple[str, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as fault:
        return (f"{FILE_NAME} cannot be read: {fault}",)
