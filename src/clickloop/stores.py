"""Opening ledger and facts together; the only module that picks their engines.

Each must belong to this installation, and be no older than the other stores have recorded. The files are checked before anything
is opened, and thus created, so a lost store is never mistaken for a new one. Marks may lag behind the stores after a crash, never lead.
"""

import enum
import sqlite3
import time
from importlib.metadata import version
from pathlib import Path

import msgspec

from clickloop.machine.log import log
from clickloop.machine.sealed_file import SealedFileError
from clickloop.machine.secret_box import secret_box_of
from clickloop.setup.catalog import COPY_NAME as CATALOG_COPY
from clickloop.setup.catalog import FILE_NAME as CATALOG_FILE
from clickloop.setup.catalog import Catalog, read_catalog_file
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.facts.facts import FactsInUseError, FactsStore
from clickloop.store.file_fault import RESTORE_BACKUP, trailing_bytes
from clickloop.store.identity import (
    FACTS_FILE,
    FILE_NAME,
    LEDGER_FILE,
    Installation,
    KeyState,
    StoreMarks,
    fingerprint_of,
    is_filled,
    new_id,
    read_installation,
    read_key,
    write_installation,
)
from clickloop.store.ledger.installation import LedgerProgress, LedgerStamp, read_progress, read_stamp, write_stamp
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.setup.lost_secrets import find_lost_secrets
from clickloop.store.witnesses import known_marks, write_witnesses


class StoresProblem(enum.Enum):
    """A reason to refuse the stores; the value is its name for the user."""

    LEDGER_LOST = "the ledger is lost"
    LEDGER_FOREIGN = "the ledger belongs to another installation"
    LEDGER_OLDER = "the ledger is older than the other stores"
    STORES_OLDER = "ledger and facts are older than the rest of the folder"
    FACTS_LOST = "the facts are lost"
    FACTS_FOREIGN = "the facts belong to another installation"
    FACTS_OLDER = "the facts are older than the other stores"
    KEY_LOST = "the click ID key is lost"
    KEY_UNREADABLE = "the click ID key cannot be read"
    SECRETS_DAMAGED = "secrets in the ledger cannot be decrypted"
    FOLDER_UNREADABLE = "installation.json cannot be read"


_RESTORE = {
    StoresProblem.LEDGER_LOST: f"Put the right {LEDGER_FILE} (with its -wal) back, or {RESTORE_BACKUP}",
    StoresProblem.LEDGER_FOREIGN: f"Put this installation's {LEDGER_FILE} back, or {RESTORE_BACKUP}",
    StoresProblem.LEDGER_OLDER: f"Put the newest {LEDGER_FILE} (with its -wal) back, or {RESTORE_BACKUP}",
    StoresProblem.STORES_OLDER: f"Put the newest {LEDGER_FILE} and {FACTS_FILE} (with -wal and .wal) back, or {RESTORE_BACKUP}",
    StoresProblem.FACTS_LOST: f"Put the right {FACTS_FILE} (with its .wal) back, or {RESTORE_BACKUP}",
    StoresProblem.FACTS_FOREIGN: f"Put this installation's {FACTS_FILE} back, or {RESTORE_BACKUP}",
    StoresProblem.FACTS_OLDER: f"Put the newest {FACTS_FILE} (with its .wal) back, or {RESTORE_BACKUP}",
    StoresProblem.KEY_LOST: "Put click_id.key back from a backup",
    StoresProblem.SECRETS_DAMAGED: "Check the disk, and restore a backup (clickloop restore)",
}
_ALL_FRESH = "starts with an empty ledger and empty facts and moves the old files aside"
_FACTS_FRESH = "keeps the ledger, starts with empty facts and moves the old file aside"
_OLDER_KEPT = (
    "continues with the older copy, reprocesses the journal segments that are still there (a day by default), and holds all "
    "postbacks until you release them"
)
_OLDER_FACTS_KEPT = (
    "keeps the clicks of the older copy, adds those of the journal segments that are still there (a day by default), and copies "
    "the conversions from the ledger"
)
_NEW = {
    StoresProblem.LEDGER_LOST: _ALL_FRESH,
    StoresProblem.LEDGER_FOREIGN: _ALL_FRESH,
    StoresProblem.LEDGER_OLDER: _OLDER_KEPT,
    StoresProblem.STORES_OLDER: _OLDER_KEPT,
    StoresProblem.FACTS_LOST: _FACTS_FRESH,
    StoresProblem.FACTS_FOREIGN: _FACTS_FRESH,
    StoresProblem.FACTS_OLDER: _OLDER_FACTS_KEPT,
    StoresProblem.KEY_LOST: "creates a new key and still accepts click IDs made with the old one",
    StoresProblem.SECRETS_DAMAGED: "keeps everything else and lists the secrets to enter again",
}


class StoresRefusedError(Exception):
    """The stores do not belong together. The message says what was found, what was expected, and what to do."""

    def __init__(self, problem: StoresProblem, detail: str) -> None:
        remedy = _RESTORE.get(problem, "Make it readable for the user that runs Clickloop")
        fresh = f"; or run: clickloop serve --new, which {_NEW[problem]}" if problem in _NEW else ""
        super().__init__(
            f"Clickloop does not start on this data folder: {problem.value}. {detail}. Nothing was changed; meanwhile "
            f"visitors are redirected and incoming postbacks are stored. {remedy}{fresh}."
        )
        self.problem = problem


class OpenedStores(msgspec.Struct, frozen=True):
    """Ledger and facts that belong together, and the identity of their installation. Close the facts first."""

    ledger: Ledger
    facts: FactsStore
    installation: Installation
    lost_identity: str = ""
    """The fault of ``installation.json``, which has been rewritten; empty if there was none."""
    was_complete: bool = False
    """Whether an earlier start has completed."""


def open_stores(folder: Path, facts_memory_mb: int, wait_seconds: float = 20.0) -> OpenedStores:
    """Open the ledger and facts of a data folder, or create them at its first start.

    Wait up to ``wait_seconds`` for a killed core to release the facts. Raise StoresRefusedError, LedgerError or FactsError,
    leaving nothing open.
    """
    installation = expected_installation(folder)
    lost = "" if installation is not None else "was damaged" if (folder / FILE_NAME).exists() else "was missing"
    check_files(folder, installation)
    if trailing := trailing_bytes(folder / LEDGER_FILE, folder / FACTS_FILE):
        # No alarm: a process that was killed while it wrote may have left them.
        log("bytes behind a store's last page are ignored", what=trailing)
    ledger = Ledger.open(folder / LEDGER_FILE, secret_box_of(folder))
    try:
        installation, stamp = check_ledger(folder, ledger, installation)
        # After the ledger was checked: opening would make empty facts in a folder that is refused.
        facts = _await_facts(folder / FACTS_FILE, facts_memory_mb, wait_seconds)
        try:
            check_together(folder, ledger, facts, installation, stamp)
            return OpenedStores(
                ledger,
                facts,
                _stamped(folder, ledger, facts, installation, stamp),
                lost if stamp is not None else "",
                installation.complete,
            )
        except BaseException:
            facts.close()  # first: the next start finds their file free
            raise
    except BaseException:
        ledger.close()
        raise


def engine_versions() -> tuple[str, ...]:
    """Return the names and versions of the embedded engines."""
    return (f"SQLite {sqlite3.sqlite_version}", f"DuckDB {version('duckdb')}")


def open_facts(path: Path, memory_limit_mb: int = 256) -> FactsStore:
    """Open or create the facts. Raise FactsError, or its subclass FactsInUseError if another process has them open."""
    return DuckDbFacts.open(path, memory_limit_mb)


def _await_facts(path: Path, memory_mb: int, wait_seconds: float) -> FactsStore:
    give_up = time.monotonic() + wait_seconds
    while True:
        try:
            return open_facts(path, memory_mb)
        except FactsInUseError:
            if time.monotonic() > give_up:
                raise
            # A killed core is still exiting. The engine cannot wait for the lock, only try it.
            time.sleep(0.1)


def expected_installation(folder: Path) -> Installation | None:
    """Return the identity in ``installation.json``; None if it is missing or damaged. Raise StoresRefusedError."""
    try:
        return read_installation(folder)
    except SealedFileError:
        return None
    except OSError as error:
        raise StoresRefusedError(StoresProblem.FOLDER_UNREADABLE, f"{folder / FILE_NAME}: {error.strerror}") from error


def check_files(folder: Path, installation: Installation | None) -> None:
    """Raise StoresRefusedError if a store that must exist is missing. Opens nothing."""
    in_use = installation is not None and installation.complete
    catalog = is_filled(folder / CATALOG_FILE)
    facts = is_filled(folder / FACTS_FILE)
    settled = any((folder / "settled").glob("*/*/*"))
    ledger = folder / LEDGER_FILE
    if not is_filled(ledger) and (in_use or catalog or facts or settled):
        traces = ((CATALOG_FILE, catalog), (FACTS_FILE, facts), ("settled", settled), (FILE_NAME, in_use))
        found = ", ".join(name for name, exists in traces if exists)
        state = "is empty" if ledger.exists() else "is missing"
        raise StoresRefusedError(
            StoresProblem.LEDGER_LOST, f"{ledger} {state}, but the folder has been in use: it has {found}"
        )
    path = folder / FACTS_FILE
    if not facts and (in_use or catalog):
        state = "is empty" if path.exists() else "is missing"
        raise StoresRefusedError(StoresProblem.FACTS_LOST, f"{path} {state}, but the folder has been in use")


def check_ledger(
    folder: Path, ledger: Ledger, installation: Installation | None
) -> tuple[Installation, LedgerStamp | None]:
    """Return the folder's identity and the ledger's stamp. Raise StoresRefusedError if ledger or key belong to another folder."""
    with ledger.read() as tx:
        stamp = read_stamp(tx)
    if installation is None:
        # The file is lost, or was never written: the ledger knows the id; without one this is a new installation.
        installation = installation_of(stamp) if stamp is not None else Installation(id=new_id(), key="")
    path = folder / LEDGER_FILE
    if stamp is None and installation.complete:
        raise StoresRefusedError(
            StoresProblem.LEDGER_LOST, f"{path} carries no ID, expected {installation.id}: it was emptied or recreated"
        )
    if stamp is not None and stamp.id != installation.id:
        raise StoresRefusedError(
            StoresProblem.LEDGER_FOREIGN, f"{path} belongs to installation {stamp.id}, expected {installation.id}"
        )
    found = read_key(folder, installation.key)
    if found.state is KeyState.UNREADABLE:
        raise StoresRefusedError(StoresProblem.KEY_UNREADABLE, found.sentence)
    if found.state is not KeyState.GOOD:
        raise StoresRefusedError(StoresProblem.KEY_LOST, found.sentence)
    if stamp is not None and stamp.key != fingerprint_of(found.key):
        raise StoresRefusedError(
            StoresProblem.KEY_LOST,
            f"the key's fingerprint is {fingerprint_of(found.key)}, the ledger expects {stamp.key}",
        )
    with ledger.read() as tx:
        lost = find_lost_secrets(tx)
    if lost.sentence:
        raise StoresRefusedError(
            StoresProblem.SECRETS_DAMAGED, f"{path} holds {lost.sentence}, damaged or encrypted with another key"
        )
    unchecked_before = max(installation.unchecked_before, stamp.unchecked_before if stamp is not None else 0)
    key = fingerprint_of(found.key)
    return msgspec.structs.replace(installation, key=key, unchecked_before=unchecked_before), stamp


def installation_of(stamp: LedgerStamp) -> Installation:
    """Return the identity of a folder whose ``installation.json`` is lost, as the ledger knows it."""
    return Installation(id=stamp.id, key=stamp.key, complete=True, unchecked_before=stamp.unchecked_before)


def check_together(
    folder: Path, ledger: Ledger, facts: FactsStore, installation: Installation, stamp: LedgerStamp | None
) -> None:
    """Raise StoresRefusedError if a store is older than what another has recorded about it."""
    known = known_marks(folder, installation)
    known_loads = max(known.facts_loads, stamp.facts_loads if stamp is not None else 0)
    with ledger.read() as tx:
        progress = read_progress(tx)
    age = _LedgerAge(progress, stamp.notes if stamp is not None else 0, facts.last_outbox_id())
    _check_ledger_age(folder, age, installation, known, are_facts_older=facts.loads() < known_loads)
    id_ = facts.installation()
    path = folder / FACTS_FILE
    if id_ and id_ != installation.id:
        raise StoresRefusedError(
            StoresProblem.FACTS_FOREIGN, f"{path} belongs to installation {id_}, expected {installation.id}"
        )
    if not id_ and installation.complete:
        detail = f"{path} carries no ID, expected {installation.id}: it was emptied or recreated"
        raise StoresRefusedError(StoresProblem.FACTS_LOST, detail)
    if facts.loads() < known_loads or facts.last_outbox_id() < progress.outbox_gone:
        detail = (
            f"{path} has committed {facts.loads()} loads and taken {facts.last_outbox_id()} rows from the ledger; expected at "
            f"least {known_loads} loads and {progress.outbox_gone} rows"
        )
        raise StoresRefusedError(StoresProblem.FACTS_OLDER, detail)


def refusal_of(folder: Path) -> StoresRefusedError | None:
    """Return why a start would be refused, or None. Writes no stamp and creates no store. Raise LedgerError or FactsError.

    The facts are skipped while a running server has them open: it has checked them already.
    """
    try:
        installation = expected_installation(folder)
        check_files(folder, installation)
        if not is_filled(folder / LEDGER_FILE):
            return None
        ledger = Ledger.open(folder / LEDGER_FILE, secret_box_of(folder))
        try:
            with ledger.read() as tx:
                if installation is None and read_stamp(tx) is None:
                    return None  # no server has run on it since installations got an id
            installation, stamp = check_ledger(folder, ledger, installation)
            if is_filled(folder / FACTS_FILE):
                facts = open_facts(folder / FACTS_FILE)
                try:
                    check_together(folder, ledger, facts, installation, stamp)
                finally:
                    facts.close()
        except FactsInUseError:
            return None
        finally:
            ledger.close()
    except StoresRefusedError as refused:
        return refused
    return None


class _LedgerAge(msgspec.Struct, frozen=True):
    """The age of the ledger: its progress, its count of notes, and the last outbox row that the facts have taken from it."""

    progress: LedgerProgress
    notes: int
    taken: int


def _check_ledger_age(
    folder: Path, age: _LedgerAge, installation: Installation, known: StoreMarks, *, are_facts_older: bool
) -> None:
    catalogs = [own_catalog(folder, installation, name) for name in (CATALOG_FILE, CATALOG_COPY)]
    setup_change = max([known.setup_change, *(catalog.setup_change for catalog in catalogs if catalog is not None)])
    for what, found, expected in (
        ("change of the set-up", age.progress.setup_change, setup_change),
        ("change of a conversion", age.progress.conversion_change, known.conversion_change),
        ("row for the facts", age.progress.outbox, max(known.outbox, age.taken)),
        # An older version wrote the stamp without a count of notes: there is nothing to compare.
        ("record of its progress", age.notes or known.ledger_notes, known.ledger_notes),
    ):
        if found < expected:
            detail = f"The newest {what} in {folder / LEDGER_FILE} is number {found}, expected at least {expected}"
            if are_facts_older:
                raise StoresRefusedError(
                    StoresProblem.STORES_OLDER, f"{detail}; {folder / FACTS_FILE} is outdated, too"
                )
            raise StoresRefusedError(StoresProblem.LEDGER_OLDER, detail)


def own_catalog(folder: Path, installation: Installation, name: str = CATALOG_FILE) -> Catalog | None:
    """Return the catalog in a file; None if it is unreadable or another installation's. The core then rewrites it."""
    try:
        catalog = read_catalog_file(folder / name)
    except (OSError, SealedFileError):
        return None
    return catalog if catalog.installation == installation.id else None


def _stamped(
    folder: Path, ledger: Ledger, facts: FactsStore, installation: Installation, stamp: LedgerStamp | None
) -> Installation:
    """Write the id wherever it is missing. If the process is killed in between, the next start does the rest."""
    if not installation.complete:
        write_installation(folder, installation)
        if stamp is None:
            with ledger.write() as tx:
                write_stamp(tx, LedgerStamp(id=installation.id, key=installation.key))
        facts.stamp(installation.id)
    # ``complete`` only after all three carry the id: from then on, one without it is refused as lost.
    noted = known_marks(folder, installation).ledger_notes
    marks = msgspec.structs.replace(installation.marks, ledger_notes=noted)
    installation = msgspec.structs.replace(installation, complete=True, marks=marks)
    return record_marks(folder, ledger, facts, installation, at_once=True)


def record_marks(
    folder: Path, ledger: Ledger, facts: FactsStore, installation: Installation, at_once: bool = False
) -> Installation:
    """Record the progress of the stores if it has changed. Return the identity as it is now on disk."""
    loads = facts.loads()
    with ledger.read() as tx:
        progress = read_progress(tx)
        stamp = read_stamp(tx)
    marks = StoreMarks(
        setup_change=progress.setup_change,
        conversion_change=progress.conversion_change,
        outbox=progress.outbox,
        facts_loads=loads,
        ledger_notes=stamp.notes if stamp is not None else 0,
    )
    has_changed = stamp is not None and (
        marks != msgspec.structs.replace(installation.marks, facts_loads=loads)
        or progress.newest_rows != stamp.newest_rows
    )
    if marks == installation.marks and not has_changed and not at_once:
        return installation
    if stamp is not None:
        notes = max(stamp.notes, installation.marks.ledger_notes) + has_changed
        marks = msgspec.structs.replace(marks, ledger_notes=notes)
        known = msgspec.structs.replace(
            stamp,
            facts_loads=loads,
            notes=notes,
            newest_rows=progress.newest_rows,
            unchecked_before=installation.unchecked_before,
        )
        if known != stamp:
            with ledger.write() as tx:
                write_stamp(tx, known)
    marked = msgspec.structs.replace(installation, marks=marks)
    # Ledger, then file, then witnesses: a crash in between leaves marks that lag, which never refuse a start.
    write_installation(folder, marked)
    write_witnesses(folder, marked)
    return marked
