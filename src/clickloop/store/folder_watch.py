"""Watching the files of the data folder while the core has them open, to report deleted or replaced ones before data is lost.

A deleted store keeps working without its name until the core ends, and then everything since is gone; a deleted key, catalog or
``installation.json`` is only missed at the next start. The core rewrites what it has in memory, and reports the rest.
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
from clickloop.setup.routing_state import FILE_NAME as ROUTING_FILE
from clickloop.setup.routing_state import read_routing_state
from clickloop.store.identity import (
    FACTS_FILE,
    FILE_NAME,
    LEDGER_FILE,
    KeyState,
    fingerprint_of,
    put_key_back,
    read_installation,
    read_key,
)
from clickloop.store.journal.segment import Damage, DamageKind

_LOGS = (f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm")
_DESCRIPTORS = "/proc/self/fd"
_DELETED = " (deleted)"
_SAVE = (
    "what is written now is gone when the core ends. Do not stop or restart Clickloop: save its data first (API and exports "
    "still work), find out what changes the data folder, and only then restore a backup (clickloop restore)"
)


class FolderCheck(msgspec.Struct, frozen=True):
    """The result of a check: alarms, which last as long as their cause, and rewritten files, each reported once."""

    alarms: tuple[str, ...] = ()
    mended: tuple[Damage, ...] = ()


def repair_entry(path: Path, fault: str, now_ms: int) -> Damage:
    """Return the damage log's entry for a lost or damaged file that has been rewritten."""
    sentence = (
        f"{path} {fault} and was rewritten at {iso_text(now_ms)}: nothing is lost, but the disk or someone has damaged the "
        "data folder."
    )
    return Damage(DamageKind.MENDED, str(path), 0, 0, sentence)


def catalog_fault(path: Path, installation_id: str) -> str:
    """Return what is wrong with a catalog's file; empty if nothing is."""
    try:
        catalog = read_catalog_file(path)
    except FileNotFoundError:
        return "was missing"
    except (OSError, SealedFileError):
        return "was damaged"
    return "was another installation's" if catalog.installation not in ("", installation_id) else ""


def routing_state_fault(path: Path, installation_id: str) -> str:
    """Return what is wrong with the file of the routing state; empty if nothing is."""
    try:
        state = read_routing_state(path)
    except FileNotFoundError:
        return "was missing"
    except (OSError, SealedFileError):
        return "was damaged"
    return "was another installation's" if state.installation not in ("", installation_id) else ""


class FolderWatch:
    """Watches a data folder from within the core. Call ``look`` from one thread."""

    def __init__(
        self,
        folder: Path,
        key: bytes,
        installation_id: str,
        *,
        write_installation: Callable[[], object],
        publish_catalog: Callable[[], object],
        write_routing_state: Callable[[], object],
        clock: Clock = wall_clock,
    ) -> None:
        """Create it once the stores are open. The callables rewrite the files they are named for, and may raise OSError."""
        self._folder = folder
        self._key = key
        self._id = installation_id
        self._clock = clock
        self._stores = {name: _inode_of(folder / name) for name in (LEDGER_FILE, FACTS_FILE)}
        self._parts: tuple[tuple[str, Callable[[], str], Callable[[], object]], ...] = (
            (KEY_FILE, self._key_fault, lambda: put_key_back(folder, key)),
            (FILE_NAME, self._installation_fault, write_installation),
            (CATALOG_FILE, lambda: self._catalog_fault(CATALOG_FILE), publish_catalog),
            (COPY_NAME, lambda: self._catalog_fault(COPY_NAME), publish_catalog),
            (ROUTING_FILE, lambda: routing_state_fault(folder / ROUTING_FILE, installation_id), write_routing_state),
        )
        self._good_catalogs: dict[str, tuple[int, int, int] | None] = {}
        """Inode, time and size of catalogs that were good; an unchanged one is not read again, since it may have megabytes."""

    def look(self) -> FolderCheck:
        """Check all files, and rewrite those that are missing or damaged and known in memory."""
        alarms = [*self._store_alarms(), *self._key_alarms()]
        rewritten: list[Damage] = []
        for name, fault_of, write in self._parts:
            if fault := fault_of():
                try:
                    write()
                except (OSError, SQLAlchemyError) as error:
                    alarms.append(f"{name} {fault} and cannot be rewritten: {error}")
                else:
                    rewritten.append(repair_entry(self._folder / name, fault, self._clock()))
        return FolderCheck(tuple(alarms), tuple(rewritten))

    def _store_alarms(self) -> list[str]:
        alarms = []
        # Without opening them: closing a descriptor would drop the locks that this process has on them.
        for name, opened in self._stores.items():
            inode = _inode_of(self._folder / name)
            if inode != opened:
                fault = "was deleted" if inode is None else "was replaced by another file"
                alarms.append(f"{name} {fault} while Clickloop has it open: {_SAVE}")
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
        found = read_key(self._folder, fingerprint_of(self._key))
        if found.state in (KeyState.GOOD, KeyState.MISSING):
            return []
        return [f"{found.sentence}: put the right one back before you restart Clickloop"]

    def _key_fault(self) -> str:
        return "was missing" if read_key(self._folder).state is KeyState.MISSING else ""

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


def _inode_of(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None


def _state_of(path: Path) -> tuple[int, int, int] | None:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size
    return None


def _deleted_files() -> set[str]:
    """Return the paths of deleted files that this process has open; none on systems without /proc."""
    paths = set()
    with contextlib.suppress(OSError):
        for number in os.listdir(_DESCRIPTORS):
            with contextlib.suppress(OSError):
                path = os.readlink(f"{_DESCRIPTORS}/{number}")
                if path.endswith(_DELETED):
                    paths.add(path.removesuffix(_DELETED))
    return paths
