"""The list of damage (``damages.json``) to the journal and the files beside it. An entry is shown until a user confirms it."""

import contextlib
import fcntl
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from clickloop.clock import wall_clock
from clickloop.machine.log import log
from clickloop.machine.sealed_file import SealedFileError, unseal, write_sealed
from clickloop.store.journal.marks import delete_mark, marked_writers, missing_ranges
from clickloop.store.journal.segment import STREAMS, Damage, DamageKind

FILE_NAME = "damages.json"
LOCK_NAME = "damages.lock"
MAX_DAMAGES = 1_000
"""Maximum number of entries: a failing disk causes one after the other."""


class LoggedDamage(msgspec.Struct, frozen=True):
    """An entry of the list. ``confirmed_at`` is 0 until it is confirmed."""

    damage: Damage
    found_at: int
    confirmed_at: int = 0


class DamageLog(msgspec.Struct, frozen=True):
    """The contents of the file. ``beyond``: number of damages found beyond ``MAX_DAMAGES``."""

    found: tuple[LoggedDamage, ...] = ()
    beyond: int = 0


def read_damages(folder: Path) -> DamageLog:
    """Return the list. Raise SealedFileError if the file itself is damaged, or OSError."""
    path = folder / FILE_NAME
    try:
        return unseal(path.read_bytes(), DamageLog, str(path))
    except FileNotFoundError:
        return DamageLog()


def record_damages(folder: Path, damages: Sequence[Damage], now_ms: int) -> None:
    """Add damages that are not in the list yet, confirmed or not. Raise OSError."""
    if not damages:
        return
    with _locked(folder):
        _add(folder, damages, now_ms)


def _add(folder: Path, damages: Sequence[Damage], now_ms: int) -> None:
    try:
        log = read_damages(folder)
    except SealedFileError:
        log = DamageLog()
    known = {_key(found.damage) for found in log.found}
    fresh = {_key(damage): LoggedDamage(damage, now_ms) for damage in damages if _key(damage) not in known}
    if not fresh:
        return
    found = (*log.found, *fresh.values())
    if len(found) > MAX_DAMAGES:  # confirmed ones are dropped first
        found = tuple(sorted(found, key=lambda entry: bool(entry.confirmed_at)))
    write_sealed(folder / FILE_NAME, DamageLog(found[:MAX_DAMAGES], log.beyond + max(0, len(found) - MAX_DAMAGES)))


def report_damages(folder: Path, damages: Sequence[Damage]) -> None:
    """Log damages and add them to the list; on a full disk they are only logged."""
    for damage in damages:
        event = "file written anew" if damage.kind is DamageKind.MENDED else "journal damaged"
        log(event, **msgspec.structs.asdict(damage))
    with contextlib.suppress(OSError):
        record_damages(folder, damages, wall_clock())


def confirm_damages(folder: Path, now_ms: int) -> int:
    """Confirm all damages, and return the number of unconfirmed ones. Raise OSError."""
    with _locked(folder):
        return _confirm(folder, now_ms)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the list against concurrent changes: settling may add damages while the panel or another process confirms."""
    with (folder / LOCK_NAME).open("ab") as file:
        # A separate file: the list is replaced as a whole, and a lock on it would stay with the old file.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _confirm(folder: Path, now_ms: int) -> int:
    try:
        log = read_damages(folder)
    except SealedFileError:
        log = DamageLog(beyond=1)
    journal, settled = folder / "journal", folder / "settled"
    gone = 0
    for stream in STREAMS:
        lost = {writer for writer, _, _ in missing_ranges(journal, settled, stream)}
        for writer in marked_writers(journal, stream):
            if writer in lost and not (journal / stream / writer).is_dir():
                delete_mark(journal, stream, writer)
                gone += 1
    unconfirmed = sum(not found.confirmed_at for found in log.found) + log.beyond
    confirmed = tuple(
        found if found.confirmed_at else msgspec.structs.replace(found, confirmed_at=now_ms) for found in log.found
    )
    write_sealed(folder / FILE_NAME, DamageLog(confirmed))
    return max(unconfirmed, gone)


def unconfirmed_damages(folder: Path) -> tuple[str, ...]:
    """Return a sentence for each unconfirmed damage. Raise OSError."""
    try:
        log = read_damages(folder)
    except SealedFileError as error:
        return (f"The list of damages is itself damaged: {error}.",)
    more = (f"There were {log.beyond} more.",) if log.beyond else ()
    return (*(found.damage.sentence for found in log.found if not found.confirmed_at), *more)


def unconfirmed_repairs(folder: Path) -> tuple[str, ...]:
    """Return the sentences of ``unconfirmed_damages`` about rewritten files. Raise OSError."""
    try:
        log = read_damages(folder)
    except SealedFileError:
        return ()
    unconfirmed = (found.damage for found in log.found if not found.confirmed_at)
    return tuple(damage.sentence for damage in unconfirmed if damage.kind is DamageKind.MENDED)


def damage_alarms(folder: Path) -> tuple[str, ...]:
    """Return alarms about unconfirmed damage, without paths. Raise OSError."""
    files = len(unconfirmed_repairs(folder))
    journal = len(unconfirmed_damages(folder)) - files
    see = "see the page Health or run clickloop doctor"
    # Worded so that only the number changes: alarms that differ in numbers alone count as the same.
    alarms = []
    if journal:
        alarms.append(f"the journal is damaged, unconfirmed places: {journal}; {see}")
    if files:
        alarms.append(
            f"files of the data folder were lost or damaged and have been rewritten, unconfirmed: {files}; {see}"
        )
    return tuple(alarms)


class JournalDamages:
    """The damages of a running tracker's journal, for the panel and API. Thread-safe."""

    def __init__(self, folder: Path | None = None) -> None:
        """Pass None if there is no journal."""
        self._folder = folder

    def unconfirmed(self) -> tuple[str, ...]:
        """Return a sentence for each unconfirmed damage. Raise OSError."""
        return unconfirmed_damages(self._folder) if self._folder else ()

    def confirm(self, now_ms: int) -> int:
        """Confirm all damages, and return the number of unconfirmed ones. Raise OSError."""
        return confirm_damages(self._folder, now_ms) if self._folder else 0


def _key(damage: Damage) -> tuple[str, str, int, int]:
    # A file may be lost again: the sentence tells the cases apart, since it has the time.
    file = damage.sentence if damage.kind is DamageKind.MENDED else damage.file
    return (damage.kind.value, file, damage.first_byte, damage.end_byte)
