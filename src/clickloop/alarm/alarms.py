"""Alarms: what an operator has to look at. Each process writes its own to ``<data>/run/alarms.<process>.json``; any process reads all.

Nothing here needs the ledger, the facts or the core: an alarm about them must not depend on them.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from clickloop.clock import wall_clock
from clickloop.machine.replacing_file import replace_file

FOLDER_NAME = "run"
CORE = "core"
SUPERVISOR = "supervisor"
MIN_FREE_PERCENT = 10.0  # below it there is time to act: clicks and notices still fit for a while
COUNTED_SECONDS = 3.0  # counting reads every file of alarms, and each page of the panel asks
MAX_PER_SOURCE = 20
"""Maximum number of alarms of one source."""
MAX_SENTENCE = 1_000  # a fault of an engine may quote a whole statement
FAILING_CODES = frozenset({"clicks_unrecorded", "notices_unstored"})
"""Codes of alarms that make /health answer ``failing``: something is being lost or turned away right now."""
_FILE_BYTES = 4096
"""Files are padded to this size, so that there is a block to overwrite when the disk is full."""
_MAX_EXPIRY_MS = 600_000  # a clock that was wrong must not keep an alarm up for years
_CHANGING = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z|(?<![\w.:-])(?<!postback rule )\d+(?![\w.:-])")
"""Moments and separate numbers: the clock's alarm names the moment of each start, and would be a new one after each. A rule's number
is its identity: the first rules of all sources have the same name."""


class Alarm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alarm. ``code`` is stable and names no receiver or campaign; ``sentence`` may."""

    code: str
    sentence: str
    since: int = 0
    """Unix milliseconds; 0: unknown."""
    expires_at: int = 0
    """After this moment it no longer counts, whatever became of its process; 0: it stays until it is taken back."""

    @property
    def key(self) -> str:
        """Return what stays the same while the numbers in the sentence change: a growing backlog is one alarm, not many."""
        return f"{self.code} {_CHANGING.sub('#', self.sentence)}"


class Alarms:
    """The alarms of one process, by source. Threads may share it."""

    def __init__(self, folder: Path, process: str = CORE, clock: Callable[[], int] = wall_clock) -> None:
        self._path = folder / FOLDER_NAME / f"alarms.{process}.json"
        self._clock = clock
        self._by_source: dict[str, tuple[Alarm, ...]] = {}
        self._written: tuple[Alarm, ...] | None = None
        # Workers and the API raise alarms at once: the file must have what was raised last.
        self._lock = threading.Lock()

    def tell(self, source: str, texts: Sequence[str]) -> bool:
        """Replace the alarms of a source by these sentences; none: it has no more. See ``set``."""
        code = source.replace(" ", "_")
        return self.set(source, [Alarm(code=code, sentence=text[:MAX_SENTENCE]) for text in texts[:MAX_PER_SOURCE]])

    def set(self, source: str, alarms: Sequence[Alarm]) -> bool:
        """Replace the alarms of a source; return whether anything changed. Raise OSError when they cannot be written.

        An alarm without a beginning gets the moment at which this process first had it.
        """
        with self._lock:
            known = {alarm.key: alarm.since for alarm in self._by_source.get(source, ())}
            self._by_source[source] = tuple(
                alarm if alarm.since else msgspec.structs.replace(alarm, since=known.get(alarm.key) or self._clock())
                for alarm in alarms[:MAX_PER_SOURCE]
            )
            current = tuple(alarm for those in self._by_source.values() for alarm in those)
            if current == self._written:
                return False
            # Before it counts as written: a write that fails is tried again by the next call.
            self._write(current)
            self._written = current
            return True

    def _write(self, alarms: tuple[Alarm, ...]) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(self._path, msgspec.json.encode(alarms).ljust(_FILE_BYTES), durable=False)
        except OSError:
            # A full disk has no room for a new file; overwriting the blocks that are there needs none.
            _overwrite(self._path, alarms)


def _overwrite(path: Path, alarms: tuple[Alarm, ...]) -> None:
    """Write as many alarms as fit into the file as it is. Raise OSError when there is none, or it cannot be written."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        encoded = msgspec.json.encode(alarms)
        # Only as many as fit: a longer file would need a block that a full disk does not have.
        while len(encoded) > size and alarms:
            alarms = alarms[:-1]
            encoded = msgspec.json.encode(alarms)
        os.pwrite(file, encoded.ljust(size), 0)
    finally:
        os.close(file)


class AlarmCount:
    """Counts alarms, at most every few seconds, so that every page can show the number. Threads may share it."""

    def __init__(
        self,
        folder: Path,
        monotonic: Callable[[], float] = time.monotonic,
        observed: Callable[[], Sequence[Alarm]] = tuple,
    ) -> None:
        """``observed``: what this process sees by itself, beside what is written in files."""
        self._folder = folder
        self._monotonic = monotonic
        self._observed = observed
        self._looked_at = -COUNTED_SECONDS
        self._count = 0

    def __call__(self) -> int:
        """Return the count, at most ``COUNTED_SECONDS`` old."""
        now = self._monotonic()
        if now - self._looked_at >= COUNTED_SECONDS:
            self._looked_at = now
            self._count = len(read_alarms(self._folder)) + len(self._observed())
        return self._count


def disk_alarms(folder: Path) -> tuple[Alarm, ...]:
    """Return the alarm of a disk that is nearly full, if it is. One that cannot be read is an alarm, too."""
    try:
        disk = os.statvfs(folder)
    except OSError as fault:
        return (Alarm(code="disk_unreadable", sentence=f"The data folder cannot be looked at: {fault.strerror}."),)
    percent = 100.0 * disk.f_bavail / max(1, disk.f_blocks)
    if percent >= MIN_FREE_PERCENT:
        return ()
    sentence = f"free disk below {MIN_FREE_PERCENT:.0f} %: make room, or move the data folder to a larger disk"
    return (Alarm(code="disk_low", sentence=sentence),)


def read_alarms(folder: Path, now_ms: int | None = None, but: str = "") -> tuple[Alarm, ...]:
    """Return what every process ``but`` one wrote last, less what has expired. A file that cannot be read is an alarm by itself."""
    now = wall_clock() if now_ms is None else now_ms
    found: list[Alarm] = []
    try:
        # Sorted, so that the alarms of a page do not change places.
        paths = sorted((folder / FOLDER_NAME).glob("alarms.*.json"))
    except OSError as fault:
        return (_unreadable(FOLDER_NAME, fault),)
    for path in paths:
        if path.name == f"alarms.{but}.json":
            continue
        try:
            found += msgspec.json.decode(path.read_bytes(), type=tuple[Alarm, ...])
        # Taken back since the listing.
        except FileNotFoundError:
            continue
        except (OSError, msgspec.DecodeError) as fault:
            found.append(_unreadable(f"{FOLDER_NAME}/{path.name}", fault))
    # An end that is far ahead is one of a clock that has jumped back meanwhile.
    return tuple(one for one in found if not one.expires_at or 0 <= one.expires_at - now <= _MAX_EXPIRY_MS)


def forget_alarms(folder: Path) -> None:
    """Delete what the processes of an earlier start have left. Raise OSError when the disk does."""
    for path in (folder / FOLDER_NAME).glob("alarms.*.json"):
        path.unlink(missing_ok=True)


def _unreadable(name: str, fault: Exception) -> Alarm:
    return Alarm(code="alarms_unreadable", sentence=f"{name} cannot be read: {fault}")
