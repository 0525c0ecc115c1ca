"""The list of damage (``damages.json``), in the journal and to files beside it, each until somebody confirms that they have seen it."""

import contextlib
import fcntl
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from clickloop.clock import wall_clock
from clickloop.machine.log import log
from clickloop.machine.sealed_file import SealedFileError, unsealed, write_sealed
from clickloop.store.journal.marks import forget_mark, marked_writers, missing_ranges
from clickloop.store.journal.segment import STREAMS, Damage, DamageKind

FILE_NAME = "damages.json"
LOCK_NAME = "damages.lock"
MAX_KEPT = 1_000
"""Maximum number of damages in the list; a disk that fails makes one after the other."""


class FoundDamage(msgspec.Struct, frozen=True):
    """One damage and when it was found. ``confirmed_at`` 0: nobody has confirmed it."""

    damage: Damage
    found_at: int
    confirmed_at: int = 0


class DamageLog(msgspec.Struct, frozen=True):
    """The contents of the file. ``beyond``: the number of damages found beyond ``MAX_KEPT``."""

    found: tuple[FoundDamage, ...] = ()
    beyond: int = 0


def read_damages(folder: Path) -> DamageLog:
    """Return what was found so far. Raise SealedFileError when the file itself is damaged, or OSError."""
    path = folder / FILE_NAME
    try:
        return unsealed(path.read_bytes(), DamageLog, str(path))
    except FileNotFoundError:
        return DamageLog()


def record_damages(folder: Path, damages: Sequence[Damage], now_ms: int) -> None:
    """Add damages; one that is known already, confirmed or not, is not added again. Raise OSError."""
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
    fresh = {_key(damage): FoundDamage(damage, now_ms) for damage in damages if _key(damage) not in known}
    if not fresh:
        return
    found = (*log.found, *fresh.values())
    if len(found) > MAX_KEPT:  # what was confirmed is the first that may go
        found = tuple(sorted(found, key=lambda kept: bool(kept.confirmed_at)))
    write_sealed(folder / FILE_NAME, DamageLog(found[:MAX_KEPT], log.beyond + max(0, len(found) - MAX_KEPT)))


def keep_damages(folder: Path, damages: Sequence[Damage]) -> None:
    """Log damages and record them. A disk that has no room for the record costs the record, not the log line."""
    for damage in damages:
        event = "file written anew" if damage.kind is DamageKind.MENDED else "journal damaged"
        log(event, **msgspec.structs.asdict(damage))
    # The log line above has it.
    with contextlib.suppress(OSError):
        record_damages(folder, damages, wall_clock())


def confirm_damages(folder: Path, now_ms: int) -> int:
    """Write that everything found so far has been seen, and return how much it was. Raise OSError."""
    with _locked(folder):
        return _confirm(folder, now_ms)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one change the file at a time: settling adds to it while the panel or another process confirms, and would lose its damage."""
    with (folder / LOCK_NAME).open("ab") as file:
        # On a file of its own: the log is replaced as a whole, and a lock on it would stay with the old file.
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
                forget_mark(journal, stream, writer)
                gone += 1
    unconfirmed = sum(not found.confirmed_at for found in log.found) + log.beyond
    confirmed = tuple(
        found if found.confirmed_at else msgspec.structs.replace(found, confirmed_at=now_ms) for found in log.found
    )
    write_sealed(folder / FILE_NAME, DamageLog(confirmed))
    return max(unconfirmed, gone)


def unconfirmed_damages(folder: Path) -> tuple[str, ...]:
    """Return a sentence for each damage that nobody has confirmed. Raise OSError."""
    try:
        log = read_damages(folder)
    except SealedFileError as error:
        return (f"The list of damages is damaged itself: {error}.",)
    more = (f"There were {log.beyond} more.",) if log.beyond else ()
    return (*(found.damage.sentence for found in log.found if not found.confirmed_at), *more)


def unconfirmed_mended(folder: Path) -> tuple[str, ...]:
    """Return those of ``unconfirmed_damages`` that are of files which were written anew. Raise OSError."""
    try:
        log = read_damages(folder)
    except SealedFileError:
        return ()
    unconfirmed = (found.damage for found in log.found if not found.confirmed_at)
    return tuple(damage.sentence for damage in unconfirmed if damage.kind is DamageKind.MENDED)


def damage_alarms(folder: Path) -> tuple[str, ...]:
    """Return the alarm for damage that nobody has confirmed, without paths; none: there is none. Raise OSError."""
    files = len(unconfirmed_mended(folder))
    journal = len(unconfirmed_damages(folder)) - files
    see = "see the page Health or run clickloop doctor"
    # Numbers without "is" and "are" around them: an alarm stays the same while its number changes.
    alarms = []
    if journal:
        alarms.append(f"the journal is damaged, places that are not confirmed: {journal}; {see}")
    if files:
        alarms.append(f"files of the data folder were lost or damaged and written again, not confirmed: {files}; {see}")
    return tuple(alarms)


class JournalDamages:
    """The damages of a running tracker's journal, for those who look at them and confirm them. Threads may share it."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` None: there is no journal."""
        self._folder = folder

    def unconfirmed(self) -> tuple[str, ...]:
        """Return a sentence for each damage that nobody has confirmed. Raise OSError."""
        return unconfirmed_damages(self._folder) if self._folder else ()

    def confirm(self, now_ms: int) -> int:
        """Write that everything found so far has been seen, and return how much it was. Raise OSError."""
        return confirm_damages(self._folder, now_ms) if self._folder else 0


def _key(damage: Damage) -> tuple[str, str, int, int]:
    # The same file may be lost again: its sentence has the moment.
    file = damage.sentence if damage.kind is DamageKind.MENDED else damage.file
    return (damage.kind.value, file, damage.first_byte, damage.end_byte)
