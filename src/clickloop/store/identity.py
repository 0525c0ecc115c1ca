"""The identity of a data folder: ``installation.json``, and the secret key of its click ids.

The id is drawn once, at the first start. ``installation.json``, ledger, facts, catalog and every journal segment carry it, so
that a store of another installation is noticed; ``installation.json`` also has the fingerprint of the key, never the key itself.
Few imports on purpose: the supervisor and the edges load this module.
"""

import contextlib
import enum
import hashlib
import os
import secrets
from pathlib import Path

import msgspec

from clickloop.click_id import KEY_BYTES, KEY_FILE, ClickIds
from clickloop.machine.sealed_file import SealedFileError, unseal, write_sealed
from clickloop.setup.catalog import COPY_NAME as CATALOG_COPY
from clickloop.setup.catalog import FILE_NAME as CATALOG_FILE
from clickloop.store.directory import sync_directory

FILE_NAME = "installation.json"
LEDGER_FILE = "ledger.sqlite"
FACTS_FILE = "facts.duckdb"
STAND_IN_FILE = "click_id.key.standin"
"""The key of click ids made while the real one is lost. It is kept, so that those clicks can be attributed later."""
_ID_BYTES = 16
_EVER = 1 << 62


class StoreMarks(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of the stores when it was last recorded. The numbers never decrease as long as no store is replaced.

    Each is read from what a store has committed and synced, so a crash leaves a mark behind its store, never ahead of it.
    """

    setup_change: int = 0
    """The ledger's newest entry in the audit log."""
    conversion_change: int = 0
    """The ledger's newest change of a conversion."""
    outbox: int = 0
    """The highest id in the ledger's outbox."""
    facts_loads: int = 0
    """Number of loads that the facts have committed."""
    ledger_notes: int = 0
    """Number of times that the ledger recorded progress."""


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of ``installation.json``."""

    id: str
    key: str
    """The fingerprint of the click id key."""
    complete: bool = False
    """Whether ledger and facts carry the id. Until then a start continues where the first one was interrupted."""
    unchecked_before: int = 0
    """The tags of click ids from before this time are not verified, because their key was lost. Unix milliseconds."""
    marks: StoreMarks = StoreMarks()


class KeyState(enum.Enum):
    """The state of the key's file."""

    GOOD = "good"
    MISSING = "missing"
    CUT = "cut"
    UNREADABLE = "unreadable"
    ALTERED = "altered"


class KeyFile(msgspec.Struct, frozen=True):
    """The key's file as read. ``key`` is empty unless the state is GOOD; otherwise ``sentence`` says what is wrong."""

    state: KeyState
    key: bytes = b""
    sentence: str = ""


def new_id() -> str:
    """Draw the id of a new installation."""
    return secrets.token_hex(_ID_BYTES)


def fingerprint_of(key: bytes) -> str:
    """Return a text that identifies a key without revealing anything about it."""
    return hashlib.blake2s(b"which key", key=key, digest_size=8, person=b"keyprint").hexdigest()


def read_installation(folder: Path) -> Installation | None:
    """Return the folder's identity; None if there is no file. Raise SealedFileError if it is damaged, or OSError."""
    path = folder / FILE_NAME
    try:
        return unseal(path.read_bytes(), Installation, str(path))
    except FileNotFoundError:
        return None


def write_installation(folder: Path, installation: Installation) -> None:
    """Write the folder's identity atomically. Raise OSError."""
    write_sealed(folder / FILE_NAME, installation)


def prepare_folder(folder: Path) -> None:
    """Create id and key in an unused data folder. Raise OSError."""
    try:
        installation = read_installation(folder)
    except SealedFileError:
        return  # the core reports or rewrites it
    if installation is None and not has_been_used(folder):
        found = read_key(folder)
        if found.state is KeyState.MISSING:
            found = KeyFile(KeyState.GOOD, draw_key(folder / KEY_FILE))
        if found.state is KeyState.GOOD:
            write_installation(folder, Installation(id=new_id(), key=fingerprint_of(found.key)))


def has_been_used(folder: Path) -> bool:
    """Return whether a tracker has run on a folder, by files other than ``installation.json``."""
    if any(is_filled(folder / name) for name in (FACTS_FILE, CATALOG_FILE, CATALOG_COPY)):
        return True
    return any((folder / "settled").glob("*/*/*")) or _is_stamped(folder / LEDGER_FILE)


def is_filled(path: Path) -> bool:
    """Return whether a path exists and is not an empty file; True if the system cannot tell."""
    try:
        return path.stat().st_size > 0
    except OSError as error:
        return not isinstance(error, FileNotFoundError)


def _is_stamped(ledger: Path) -> bool:
    """Return whether a ledger has an installation id; one that a command has created before the first start has none."""
    if not is_filled(ledger):
        return False
    import sqlite3  # here, to keep the supervisor small

    try:
        with contextlib.closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as database:
            return database.execute("SELECT 1 FROM settings WHERE name = 'installation'").fetchone() is not None
    except sqlite3.OperationalError as error:
        # By the message: SQLite's error code is the same for all faults of a statement.
        return "no such table" not in str(error)
    except sqlite3.Error:
        return True  # not a database: a first start must not overwrite it


def installation_id(folder: Path) -> str:
    """Return the folder's installation id; empty if it cannot be read. Good enough for labels, not for decisions."""
    try:
        installation = read_installation(folder)
    except (SealedFileError, OSError):
        return ""
    return "" if installation is None else installation.id


def confirmed_id(folder: Path) -> str:
    """Return the installation id if the key matches, so that an edge can judge a catalog by it; else an empty string."""
    try:
        installation = read_installation(folder)
    except (SealedFileError, OSError):
        return ""
    if installation is None or read_key(folder, installation.key).state is not KeyState.GOOD:
        return ""
    return installation.id


def read_key(folder: Path, fingerprint: str = "") -> KeyFile:
    """Read the key's file. ``fingerprint``: of the expected key; if empty, any key of the right length is good."""
    path = folder / KEY_FILE
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return KeyFile(KeyState.MISSING, sentence=f"{path} is missing")
    except OSError as error:
        return KeyFile(KeyState.UNREADABLE, sentence=f"{path} cannot be read: {error.strerror}")
    if len(key) != KEY_BYTES:
        return KeyFile(KeyState.CUT, sentence=f"{path} has {len(key)} bytes, expected {KEY_BYTES}")
    if fingerprint and fingerprint_of(key) != fingerprint:
        sentence = (
            f"{path} holds another key (fingerprint {fingerprint_of(key)}) than this installation's ({fingerprint})"
        )
        return KeyFile(KeyState.ALTERED, sentence=sentence)
    return KeyFile(KeyState.GOOD, key)


def draw_key(path: Path) -> bytes:
    """Create a key unless there is one, and return the stored one. Safe to call from several processes at once."""
    return _put_key(path, secrets.token_bytes(KEY_BYTES))


def put_key_back(folder: Path, key: bytes) -> None:
    """Write the key into a folder from which it was deleted, unless there is one. Raise OSError."""
    _put_key(folder / KEY_FILE, key)


def _put_key(path: Path, key: bytes) -> bytes:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(key)
        file.flush()
        # Before the link: the file must never be seen, not even after a power cut, without its contents.
        os.fsync(file.fileno())
    try:
        # A link, not a rename: it fails if another process was first, whose key then counts.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    # Before the key is used: ids could never be verified if a power cut took it.
    sync_directory(path.parent)
    # Not ``key``: another process may have been first.
    return path.read_bytes()


def stand_in_keys(folder: Path) -> tuple[bytes, ...]:
    """Return the keys that were used while the real one was lost."""
    keys = []
    # Sorted, because listings have no defined order.
    for path in sorted(folder.glob(STAND_IN_FILE + "*")):
        # With an unreadable one its click ids cannot be verified, but the start must not fail.
        with contextlib.suppress(OSError):
            key = path.read_bytes()
            if len(key) == KEY_BYTES:
                keys.append(key)
    return tuple(keys)


def click_ids_of(folder: Path, key: bytes, installation: Installation) -> ClickIds:
    """Return the ``ClickIds`` of the installation's key; they also read ids made while it was lost."""
    return ClickIds(key, also=stand_in_keys(folder), unchecked_before=installation.unchecked_before)


def edge_click_ids(folder: Path, fingerprint: str) -> tuple[ClickIds, str]:
    """Return the ``ClickIds`` of an edge, and what is wrong with the key (empty if nothing is).

    Without the key, an edge uses a stored stand-in: visitors are redirected, and their clicks can be attributed later.
    It cannot detect forged ids then and accepts every well-formed one; the core decides once it has the key.
    ``fingerprint``: the catalog's, used if ``installation.json`` has none.
    """
    try:
        installation = read_installation(folder)
    except (SealedFileError, OSError):
        installation = None
    expected = installation.key if installation is not None else fingerprint
    found = read_key(folder, expected)
    if found.state is KeyState.ALTERED and fingerprint and read_key(folder, fingerprint).state is KeyState.GOOD:
        # Key and catalog agree, so installation.json is another installation's.
        found, installation = read_key(folder, fingerprint), None
    if found.state is KeyState.GOOD:
        return click_ids_of(folder, found.key, installation or Installation(id="", key=expected)), ""
    try:
        stand_in = draw_key(folder / STAND_IN_FILE)
    except OSError:  # such as a full disk: this process then uses a temporary key, and still redirects visitors
        stand_in = b""
    if len(stand_in) != KEY_BYTES:
        stand_in = secrets.token_bytes(KEY_BYTES)
    return ClickIds(stand_in, unchecked_before=_EVER), found.sentence
