"""Alarms: what an operator has to look at. The core writes them to ``<data>/run/alarms.json``; the edges' /health shows them."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

FILE_NAME = "run/alarms.json"
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


def read_alarms(folder: Path) -> tuple[str, ...]:
    """What the core told last. A file that cannot be read is an alarm by itself; none is none."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=tuple[str, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as fault:
        return (f"{FILE_NAME} cannot be read: {fault}",)
