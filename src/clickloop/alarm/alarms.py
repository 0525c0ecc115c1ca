"""Alarms: problems that need the user. Each process writes its own to ``<data>/run/alarms.<process>.json``; any process reads them.

Nothing here needs the ledger, the facts or the core, because an alarm about them must not depend on them.
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
MIN_FREE_PERCENT = 10.0  # leaves time to act: clicks and notices still fit for a while
COUNTED_SECONDS = 3.0  # every page of the panel shows the count, and counting reads all files of alarms
MAX_PER_SOURCE = 20
"""Maximum number of alarms per source."""
MAX_SENTENCE = 1_000  # an engine's error may quote a whole statement
FAILING_CODES = frozenset({"clicks_unrecorded", "notices_unstored"})
"""Codes of alarms that make /health report ``failing``: records are being lost or turned away right now."""
_FILE_BYTES = 4096
"""Files are padded to this size, so that there is a block to overwrite when the disk is full."""
_MAX_EXPIRY_MS = 600_000  # a clock that was wrong must not keep an alarm for years
_CHANGING = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z|(?<![\w.:-])(?<!postback rule )\d+(?![\w.:-])")
"""Times and separate numbers, which don't make an alarm a new one: the clock's alarm contains the time of each start. A rule's
number does, because the first rules of all sources have the same name."""


class Alarm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alarm. ``code`` is stable and names no receiver or campaign; ``sentence`` may."""

    code: str
    sentence: str
    since: int = 0
    """Unix milliseconds; 0 if unknown."""
    expires_at: int = 0
    """When it stops to count even if its process is gone; 0: it stays until its process ends it."""

    @property
    def key(self) -> str:
        """Return the alarm's identity, which ignores numbers in the sentence: a growing backlog is a single alarm."""
        return f"{self.code} {_CHANGING.sub('#', self.sentence)}"


class Alarms:
    """The alarms of a process, by source. Thread-safe."""

    def __init__(self, folder: Path, process: str = CORE, clock: Callable[[], int] = wall_clock) -> None:
        self._path = folder / FOLDER_NAME / f"alarms.{process}.json"
        self._clock = clock
        self._by_source: dict[str, tuple[Alarm, ...]] = {}
        self._written: tuple[Alarm, ...] | None = None
        # Workers and the API raise alarms concurrently; the file must get the latest state.
        self._lock = threading.Lock()

    def report(self, source: str, sentences: Sequence[str]) -> bool:
        """Replace the alarms of a source with these sentences, or end them if there are none. See ``set``."""
        code = source.replace(" ", "_")
        alarms = [Alarm(code=code, sentence=sentence[:MAX_SENTENCE]) for sentence in sentences[:MAX_PER_SOURCE]]
        return self.set(source, alarms)

    def set(self, source: str, alarms: Sequence[Alarm]) -> bool:
        """Replace the alarms of a source, and return whether anything changed. Raise OSError if they cannot be written.

        ``since`` of an alarm defaults to the time at which this process first had it.
        """
        with self._lock:
            known = {alarm.key: alarm.since for alarm in self._by_source.get(source, ())}
            self._by_source[source] = tuple(
                alarm if alarm.since else msgspec.structs.replace(alarm, since=known.get(alarm.key) or self._clock())
                for alarm in alarms[:MAX_PER_SOURCE]
            )
            current = tuple(alarm for of_source in self._by_source.values() for alarm in of_source)
            if current == self._written:
                return False
            # ``_written`` is set afterwards, so that the next call retries a failed write.
            self._write(current)
            self._written = current
            return True

    def _write(self, alarms: tuple[Alarm, ...]) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(self._path, msgspec.json.encode(alarms).ljust(_FILE_BYTES), durable=False)
        except OSError:
            # A full disk has no space for a new file; overwriting existing blocks needs none.
            _overwrite(self._path, alarms)


def _overwrite(path: Path, alarms: tuple[Alarm, ...]) -> None:
    """Write as many alarms as fit into the existing file. Raise OSError if there is none, or it cannot be written."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        encoded = msgspec.json.encode(alarms)
        # A longer file would need another block, which a full disk does not have.
        while len(encoded) > size and alarms:
            alarms = alarms[:-1]
            encoded = msgspec.json.encode(alarms)
        os.pwrite(file, encoded.ljust(size), 0)
    finally:
        os.close(file)


class AlarmCount:
    """The number of alarms, counted at most every few seconds, so that every page can show it. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        monotonic: Callable[[], float] = time.monotonic,
        observed: Callable[[], Sequence[Alarm]] = tuple,
    ) -> None:
        """``observed``: returns alarms that this process sees by itself, in addition to those in files."""
        self._folder = folder
        self._monotonic = monotonic
        self._observed = observed
        self._counted_at = -COUNTED_SECONDS
        self._count = 0

    def __call__(self) -> int:
        """Return the count, at most ``COUNTED_SECONDS`` old."""
        now = self._monotonic()
        if now - self._counted_at >= COUNTED_SECONDS:
            self._counted_at = now
            self._count = len(read_alarms(self._folder)) + len(self._observed())
        return self._count


def disk_alarms(folder: Path) -> tuple[Alarm, ...]:
    """Return an alarm if the disk is nearly full or cannot be read."""
    try:
        disk = os.statvfs(folder)
    except OSError as fault:
        return (Alarm(code="disk_unreadable", sentence=f"The data folder cannot be accessed: {fault.strerror}."),)
    if 100.0 * disk.f_bavail / max(1, disk.f_blocks) < MIN_FREE_PERCENT:
        sentence = f"free disk space below {MIN_FREE_PERCENT:.0f}%: free some, or move the data folder to a larger disk"
    elif free_files_percent(disk) < MIN_FREE_PERCENT:
        sentence = (
            f"free files (inodes) on the disk below {MIN_FREE_PERCENT:.0f}%: delete files, lower CLICKLOOP_JOURNAL_KEEP_HOURS, or "
            "move the data folder to a larger disk"
        )
    else:
        return ()
    return (Alarm(code="disk_low", sentence=sentence),)


def free_files_percent(disk: os.statvfs_result) -> float:
    """Return the percent of files that may still be made. 100 where a file system has no such limit, and says that it has 0."""
    # A journal has a file for each notice that comes alone, so that a small disk may run out of these first.
    return 100.0 * disk.f_favail / disk.f_files if disk.f_files else 100.0


def read_alarms(folder: Path, now_ms: int | None = None, but: str = "") -> tuple[Alarm, ...]:
    """Return the current alarms of all processes, except that named by ``but``. An unreadable file is an alarm, too."""
    now = wall_clock() if now_ms is None else now_ms
    found: list[Alarm] = []
    try:
        # Sorted, so that alarms keep their order on a page.
        paths = sorted((folder / FOLDER_NAME).glob("alarms.*.json"))
    except OSError as fault:
        return (_unreadable(FOLDER_NAME, fault),)
    for path in paths:
        if path.name == f"alarms.{but}.json":
            continue
        try:
            found += msgspec.json.decode(path.read_bytes(), type=tuple[Alarm, ...])
        except FileNotFoundError:
            continue  # deleted since the listing
        except (OSError, msgspec.DecodeError) as fault:
            found.append(_unreadable(f"{FOLDER_NAME}/{path.name}", fault))
    # An expiry far ahead means that the clock has jumped back since.
    return tuple(alarm for alarm in found if not alarm.expires_at or 0 <= alarm.expires_at - now <= _MAX_EXPIRY_MS)


def delete_alarms(folder: Path) -> None:
    """Delete the alarms of an earlier run's processes. Raise OSError."""
    for path in (folder / FOLDER_NAME).glob("alarms.*.json"):
        path.unlink(missing_ok=True)


def _unreadable(name: str, fault: Exception) -> Alarm:
    return Alarm(code="alarms_unreadable", sentence=f"{name} cannot be read: {fault}")
