"""The identity of a data folder: ``installation.json``, and the secret key of its click ids.

The id is drawn once, at the first start. It is here, in the ledger, in the facts, in the catalog and in every journal
segment, so that a store of another installation is noticed; beside it is the fingerprint of the key, never the key.
Light on purpose: the supervisor and the edges import it.
"""

import contextlib
import enum
import hashlib
import os
import secrets
from pathlib import Path

import msgspec

from clickloop.click_id import KEY_BYTES, KEY_FILE, ClickIds
from clickloop.machine.sealed_file import SealedFileError, unsealed, write_sealed
from clickloop.setup.catalog import COPY_NAME as CATALOG_COPY
from clickloop.setup.catalog import FILE_NAME as CATALOG_FILE
from clickloop.store.directory import sync_directory

FILE_NAME = "installation.json"
LEDGER_FILE = "ledger.sqlite"
FACTS_FILE = "facts.duckdb"
STAND_IN_FILE = "click_id.key.standin"
"""The key under which edges make click ids while the real one is lost; it stays, so that those clicks can be attributed later."""
_ID_BYTES = 16
_EVER = 1 << 62


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of the stores when it was last written down. None of these numbers ever falls in a store that goes on.

    Each is read from what a store has committed and synced, so a crash leaves a mark behind its store, never ahead of it.
    """

    setup_change: int = 0
    """The ledger's newest entry in the log of changes."""
    conversion_change: int = 0
    """The ledger's newest change of a conversion."""
    outbox: int = 0
    """The highest number that the ledger gave to a row for the facts."""
    facts_loads: int = 0
    """The number of loads that the facts have committed."""
    ledger_notes: int = 0
    """The number of times that the ledger noted down its own progress, each time because it had gone on."""


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of ``installation.json``."""

    id: str
    key: str
    """The fingerprint of the click ids' key."""
    complete: bool = False
    """True once ledger and facts carry the id. Until then a start goes on where the first one was cut short."""
    unchecked_before: int = 0
    """Click ids from before this moment count as genuine whatever their tag says: their key was lost. Unix milliseconds."""
    marks: Marks = Marks()


class KeyState(enum.Enum):
    """The state of the key's file."""

    GOOD = "good"
    MISSING = "missing"
    CUT = "cut"
    UNREADABLE = "unreadable"
    ALTERED = "altered"


class KeyFound(msgspec.Struct, frozen=True):
    """The key's file as it is. ``key`` is empty unless the state is GOOD; ``sentence`` says what was found."""

    state: KeyState
    key: bytes = b""
    sentence: str = ""


def new_id() -> str:
    """Draw the id of a new installation."""
    return secrets.token_hex(_ID_BYTES)


def fingerprint_of(key: bytes) -> str:
    """Return what identifies a key without telling anything about it."""
    return hashlib.blake2s(b"which key", key=key, digest_size=8, person=b"keyprint").hexdigest()


def read_installation(folder: Path) -> Installation | None:
    """Return the folder's identity; None where no start has written one. Raise SealedFileError for a damaged file, or OSError."""
    path = folder / FILE_NAME
    try:
        return unsealed(path.read_bytes(), Installation, str(path))
    except FileNotFoundError:
        return None


def write_installation(folder: Path, installation: Installation) -> None:
    """Write the folder's identity in one step. Raise OSError."""
    write_sealed(folder / FILE_NAME, installation)


def prepare(folder: Path) -> None:
    """Draw id and key in a data folder that nobody has used yet; leave any other one alone. Raise OSError."""
    try:
        installation = read_installation(folder)
    except SealedFileError:
        return  # the core says what is wrong, or writes it anew
    if installation is None and not has_been_used(folder):
        found = find_key(folder)
        if found.state is KeyState.MISSING:
            found = KeyFound(KeyState.GOOD, draw_key(folder / KEY_FILE))
        if found.state is KeyState.GOOD:
            write_installation(folder, Installation(id=new_id(), key=fingerprint_of(found.key)))


def has_been_used(folder: Path) -> bool:
    """Return whether a tracker has run on a folder, by what it has left there other than ``installation.json``."""
    if any(is_filled(folder / name) for name in (FACTS_FILE, CATALOG_FILE, CATALOG_COPY)):
        return True
    return any((folder / "settled").glob("*/*/*")) or _is_stamped(folder / LEDGER_FILE)


def is_filled(path: Path) -> bool:
    """Return whether there is anything at a path but an empty file."""
    try:
        return path.stat().st_size > 0
    except OSError as error:
        return not isinstance(error, FileNotFoundError)


def _is_stamped(ledger: Path) -> bool:
    """Return whether a ledger belongs to an installation; one that a command has made before the first start does not yet."""
    if not is_filled(ledger):
        return False
    import sqlite3  # only here: the supervisor stays small

    try:
        with contextlib.closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as database:
            return database.execute("SELECT 1 FROM settings WHERE name = 'installation'").fetchone() is not None
    except sqlite3.OperationalError as error:
        # By its words: SQLite's code is the same for any fault of a statement.
        return "no such table" not in str(error)
    except sqlite3.Error:
        return True  # no database at all: nothing that a first start may overwrite


def installation_id(folder: Path) -> str:
    """Return the folder's installation id; empty where none can be read. For whoever names it, not for who relies on it."""
    try:
        found = read_installation(folder)
    except (SealedFileError, OSError):
        return ""
    return "" if found is None else found.id


def confirmed_id(folder: Path) -> str:
    """Return the installation id if the key confirms it, for an edge that has to judge a catalog; empty: nobody can tell."""
    try:
        found = read_installation(folder)
    except (SealedFileError, OSError):
        return ""
    return found.id if found is not None and find_key(folder, found.key).state is KeyState.GOOD else ""


def find_key(folder: Path, fingerprint: str = "") -> KeyFound:
    """Look at the key's file. ``fingerprint``: of the key that is expected; empty: any whole one is good."""
    path = folder / KEY_FILE
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return KeyFound(KeyState.MISSING, sentence=f"{path} is missing")
    except OSError as error:
        return KeyFound(KeyState.UNREADABLE, sentence=f"{path} cannot be read: {error.strerror}")
    if len(key) != KEY_BYTES:
        return KeyFound(KeyState.CUT, sentence=f"{path} has {len(key)} bytes, expected {KEY_BYTES}")
    if fingerprint and fingerprint_of(key) != fingerprint:
        sentence = (
            f"{path} holds another key (fingerprint {fingerprint_of(key)}) than this installation's ({fingerprint})"
        )
        return KeyFound(KeyState.ALTERED, sentence=sentence)
    return KeyFound(KeyState.GOOD, key)


def draw_key(path: Path) -> bytes:
    """Write a fresh key unless there is one, and return the one that is there. Several processes may try at once."""
    return _put_key(path, secrets.token_bytes(KEY_BYTES))


def put_key_back(folder: Path, key: bytes) -> None:
    """Write the key into a folder whose file of it was deleted; leave one that is there alone. Raise OSError."""
    _put_key(folder / KEY_FILE, key)


def _put_key(path: Path, key: bytes) -> bytes:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(key)
        file.flush()
        # Before the link: the key must never be seen, or found after a power cut, without its bytes.
        os.fsync(file.fileno())
    try:
        # A link, not a rename: it fails where another process was first, whose key then counts.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink(missing_ok=True)
    # Before anybody uses it: ids made under a key that a power cut takes could never be checked.
    sync_directory(path.parent)
    # Not ``key``: another process may have been first.
    return path.read_bytes()


def stand_in_keys(folder: Path) -> tuple[bytes, ...]:
    """Return the keys that were in use while the real one was lost."""
    keys = []
    # Sorted: the order of a listing differs from disk to disk.
    for path in sorted(folder.glob(STAND_IN_FILE + "*")):
        # One that cannot be read costs the check of its clicks, not the start.
        with contextlib.suppress(OSError):
            key = path.read_bytes()
            if len(key) == KEY_BYTES:
                keys.append(key)
    return tuple(keys)


def click_ids_of(folder: Path, key: bytes, installation: Installation) -> ClickIds:
    """Return the maker and reader of click ids under the installation's key, with all that was made while it was lost."""
    return ClickIds(key, also=stand_in_keys(folder), unchecked_before=installation.unchecked_before)


def edge_click_ids(folder: Path, fingerprint: str) -> tuple[ClickIds, str]:
    """Return the click ids for an edge, and what is wrong with the key; empty: nothing.

    Without its key an edge goes on under a stand-in that stays: visitors are redirected, and their clicks can be attributed.
    It cannot tell a forged id then, so it takes every well-formed one; the core decides when it has the key.
    ``fingerprint``: the one in the catalog; what ``installation.json`` says comes first.
    """
    try:
        installation = read_installation(folder)
    except (SealedFileError, OSError):
        installation = None
    expected = installation.key if installation is not None else fingerprint
    found = find_key(folder, expected)
    if found.state is KeyState.ALTERED and fingerprint and find_key(folder, fingerprint).state is KeyState.GOOD:
        # Key and catalog agree: it is installation.json that is another one's.
        found, installation = find_key(folder, fingerprint), None
    if found.state is KeyState.GOOD:
        return click_ids_of(folder, found.key, installation or Installation(id="", key=expected)), ""
    try:
        stand_in = draw_key(folder / STAND_IN_FILE)
    except OSError:  # a full disk, say: ids of this process alone, and the visitor all the same
        stand_in = b""
    if len(stand_in) != KEY_BYTES:
        stand_in = secrets.token_bytes(KEY_BYTES)
    return ClickIds(stand_in, unchecked_before=_EVER), found.sentence
