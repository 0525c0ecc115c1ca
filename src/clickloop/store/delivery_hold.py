"""The delivery hold: a file in the data folder that keeps every queued postback from leaving until somebody releases them.

A restored folder, and a copy that is started beside its original, would otherwise send again what the original has delivered
since. It is a file and no row of the ledger, so that the supervisor can place it before anything heavy is loaded.
"""

import threading
from pathlib import Path

import msgspec

from clickloop.machine.replacing_file import replace_file
from clickloop.store.directory import sync_directory

FILE_NAME = "delivery-hold.json"
UNREADABLE = "the file that says why cannot be read"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is sent. ``why`` continues the sentence "Postbacks are held: …"; ``since`` 0: unknown."""

    since: int
    why: str


def hold_deliveries(folder: Path, why: str, now_ms: int) -> None:
    """Hold all postbacks of a data folder from the next start on. Raise OSError."""
    replace_file(folder / FILE_NAME, msgspec.json.encode(Hold(since=now_ms, why=why)))


def read_hold(folder: Path) -> Hold | None:
    """Return the hold of a data folder. One that cannot be read holds all the same: sending cannot be undone."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Hold)
    except FileNotFoundError:
        return None
    # Held: sending by mistake cannot be taken back, waiting can.
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Hold(since=0, why=UNREADABLE)


class DeliveryHold:
    """The hold of a running core, which reads the file once. Threads may share it."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` None: nothing is ever held."""
        self._folder = folder
        # The API releases while delivery asks; file and memory must say the same.
        self._lock = threading.Lock()
        self._hold = read_hold(folder) if folder else None

    @property
    def current(self) -> Hold | None:
        """Return the hold; None: postbacks are sent."""
        return self._hold

    def release(self) -> bool:
        """End the hold for good; return False if there was none. Raise OSError, and then it goes on."""
        # Two releases at once would both tell that they had ended it.
        with self._lock:
            if self._hold is None or self._folder is None:
                return False
            (self._folder / FILE_NAME).unlink(missing_ok=True)
            sync_directory(self._folder)
            self._hold = None
            return True
