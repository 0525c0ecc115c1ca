"""Watching the data folder's own files while the core has them open: what is deleted or replaced is told before it is lost.

A deleted store goes on without its name until the core ends, and then everything since is gone; a deleted key, catalog or
``installation.json`` is missed at the next start only. What the core has in its memory it writes anew; of the rest it raises an alarm.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from clickloop.click_id import KEY_FILE
from clickloop.clock import Clock, iso_text, wall_clock
from clickloop.machine.sealed_file import SealedFileError
from clickloop.setup.catalog import COPY_NAME, read_catalog_file
from clickloop.setup.catalog import FILE_NAME as CATALOG_FILE
from clickloop.store.identity import (
    FACTS_FILE,
    FILE_NAME,
    LEDGER_FILE,
    KeyState,
    find_key,
    fingerprint_of,
    put_key_back,
    read_installation,
)
from clickloop.store.journal.segment import Damage, DamageKind

_LOGS = (f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm")
_DESCRIPTORS = "/proc/self/fd"
_DELETED = " (deleted)"
_SAVE = (
    "what is written now is gone when the core ends. Do not stop or restart Clickloop: save what is in it first (the API and exports "
    "still answer), find out who changes the data folder, and only then restore a backup (clickloop restore)"
)


class Watched(msgspec.Struct, frozen=True):
    """The result of a look: alarms that last as long as their cause, and what was written anew, each told once."""

    alarms: tuple[str, ...] = ()
    mended: tuple[Damage, ...] = ()


def mended(path: Path, fault: str, now_ms: int) -> Damage:
    """Return the entry of the damage log for a file that was lost or damaged and has been written anew."""
    sentence = (
        f"{path} {fault} and was written anew at {iso_text(now_ms)}: nothing is lost, but somebody or the disk has damaged the data "
        "folder."
    )
    return Damage(DamageKind.MENDED, str(path), 0, 0, sentence)


def catalog_fault(path: Path, installation_id: str) -> str:
    """Return what is wrong with a catalog's file; empty: nothing."""
    try:
        catalog = read_catalog_file(path)
    except FileNotFoundError:
        return "was missing"
    except (OSError, SealedFileError):
        return "was damaged"
    return "was another installation's" if catalog.installation not in ("", installation_id) else ""


class FolderWatch:
    """Watches a data folder from within the core. ``look`` is for one thread."""

    def __init__(
        self,
        folder: Path,
        key: bytes,
        installation_id: str,
        *,
        write_installation: Callable[[], object],
        publish_catalog: Callable[[], object],
        clock: Clock = wall_clock,
    ) -> None:
        """Make it when the stores are open. The two callables write anew what they are named for, and raise OSError."""
        self._folder = folder
        self._key = key
        self._id = installation_id
        self._clock = clock
        self._stores = {name: _identity_of(folder / name) for name in (LEDGER_FILE, FACTS_FILE)}
        self._parts: tuple[tuple[str, Callable[[], str], Callable[[], object]], ...] = (
            (KEY_FILE, self._key_fault, lambda: put_key_back(folder, key)),
            (FILE_NAME, self._installation_fault, write_installation),
            (CATALOG_FILE, lambda: self._catalog_fault(CATALOG_FILE), publish_catalog),
            (COPY_NAME, lambda: self._catalog_fault(COPY_NAME), publish_catalog),
        )
        self._good_catalogs: dict[str, tuple[int, int, int] | None] = {}
        """Catalogs that were found good, and what their files were like then: one may have megabytes."""

    def look(self) -> Watched:
        """Look at all files, and write anew what is missing or damaged and is known here."""
        alarms = [*self._store_alarms(), *self._key_alarms()]
        done: list[Damage] = []
        for name, fault_of, write in self._parts:
            if fault := fault_of():
                try:
                    write()
                except (OSError, SQLAlchemyError) as error:
                    alarms.append(f"{name} {fault} and cannot be written anew: {error}")
                else:
                    done.append(mended(self._folder / name, fault, self._clock()))
        return Watched(tuple(alarms), tuple(done))

    def _store_alarms(self) -> list[str]:
        alarms = []
        # By their names alone: opening and closing them would drop the locks that this process has on them.
        for name, opened in self._stores.items():
            found = _identity_of(self._folder / name)
            if found != opened:
                was = "was deleted" if found is None else "was replaced by another file"
                alarms.append(f"{name} {was} while Clickloop has it open: {_SAVE}")
        deleted = _deleted_files()
        ledger = os.path.realpath(self._folder / LEDGER_FILE)
        folder = os.path.dirname(ledger)
        alarms += [
            f"{name} was deleted while Clickloop has it open: {_SAVE}"
            for name in _LOGS
            if os.path.join(folder, name) in deleted and self._stores[LEDGER_FILE] is not None
        ]
        return alarms

    def _key_alarms(self) -> list[str]:
        found = find_key(self._folder, fingerprint_of(self._key))
        if found.state in (KeyState.GOOD, KeyState.MISSING):
            return []
        return [f"{found.sentence}: put the right one back before Clickloop is restarted"]

    def _key_fault(self) -> str:
        return "was missing" if find_key(self._folder).state is KeyState.MISSING else ""

    def _installation_fault(self) -> str:
        try:
            found = read_installation(self._folder)
        except (SealedFileError, OSError):
            return "was damaged"
        if found is None:
            return "was missing"
        return "" if found.id == self._id else "was another installation's"

    def _catalog_fault(self, name: str) -> str:
        state = _state_of(self._folder / name)
        if state is not None and state == self._good_catalogs.get(name):
            return ""
        fault = catalog_fault(self._folder / name, self._id)
        self._good_catalogs[name] = None if fault else state
        return fault


def _identity_of(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _state_of(path: Path) -> tuple[int, int, int] | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size
    return None


def _deleted_files() -> set[str]:
    """Return the paths of files that this process has open and whose names are gone; none where the system does not tell."""
    # /proc is Linux's: elsewhere nothing is found, and the other looks remain.
    found = set()
    with contextlib.suppress(OSError):
        for number in os.listdir(_DESCRIPTORS):
            with contextlib.suppress(OSError):
                path = os.readlink(f"{_DESCRIPTORS}/{number}")
                if path.endswith(_DELETED):
                    found.add(path.removesuffix(_DELETED))
    return found
