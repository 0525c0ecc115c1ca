"""The delivery hold: a file in the data folder that stops all queued postbacks until a user releases them.

A restored folder, or a copy started beside its original, would otherwise send again what the original has delivered since.
It is a file, not a row of the ledger, so that the supervisor can write it before anything heavy is loaded.
"""

import threading
from pathlib import Path

import msgspec

from clickloop.machine.replacing_file import replace_file
from clickloop.store.directory import sync_directory

FILE_NAME = "delivery-hold.json"
UNREADABLE = "the file that says why cannot be read"


class StoredHold(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the file. ``why`` continues the sentence "Postbacks are held: …"; ``since`` is 0 if unknown."""

    since: int
    why: str


def hold_deliveries(folder: Path, why: str, now_ms: int) -> None:
    """Hold all postbacks of a data folder from the next start on. Raise OSError."""
    replace_file(folder / FILE_NAME, msgspec.json.encode(StoredHold(since=now_ms, why=why)))


def read_hold(folder: Path) -> StoredHold | None:
    """Return the hold of a data folder, or None. An unreadable file is a hold, too: sending cannot be undone."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=StoredHold)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return StoredHold(since=0, why=UNREADABLE)


class DeliveryHold:
    """The hold of a running core, which reads the file once. Thread-safe."""

    def __init__(self, folder: Path | None = None) -> None:
        """Pass None for a core that never holds postbacks."""
        self._folder = folder
        # Keeps file and memory in step, and lets only one of two concurrent releases return True.
        self._lock = threading.Lock()
        self._hold = read_hold(folder) if folder else None

    @property
    def current(self) -> StoredHold | None:
        """Return the hold, or None if postbacks are sent."""
        return self._hold

    def release(self) -> bool:
        """End the hold, and return False if there was none. Raise OSError if the file cannot be deleted; the hold then stays."""
        with self._lock:
            if self._hold is None or self._folder is None:
                return False
            (self._folder / FILE_NAME).unlink(missing_ok=True)
            sync_directory(self._folder)
            self._hold = None
            return True
