"""Vital signs: whether the core is alive, settling makes progress, the journal lags, or the disk is full.

Each process checks them by itself, from files alone, so that others notice when the core is dead, stopped or stuck. Only
monotonic time is compared, so a wall clock that jumps neither raises nor hides an alarm.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from clickloop.alarm.alarms import CORE, Alarm, disk_alarms
from clickloop.alarm.heartbeat import read_beat
from clickloop.clock import Clock, wall_clock
from clickloop.store.journal.listing import journal_lag
from clickloop.store.journal.segment import STREAMS

LOOK_SECONDS = 1.0  # cheap: a stat of a few files
BEGIN_SHARE = 6
"""An alarm is sent once it is as old as the patience divided by this, so that what passes quickly disturbs no one."""
_LISTING_SHARE = 20
"""Factor between the time that a listing of the journal takes (seconds, for a million segments) and the time until the next."""


class Patience(msgspec.Struct, frozen=True):
    """Times without progress before an alarm. ``seconds`` is the setting ``alarm_after_seconds``."""

    seconds: float = 30.0

    @property
    def lag_seconds(self) -> float:
        """Return the maximum lag of the journal. By default, the alarm is then sent within a minute."""
        return 1.5 * self.seconds

    @property
    def begin_seconds(self) -> float:
        """Return the age at which an alarm is sent."""
        return self.seconds / BEGIN_SHARE

    @property
    def end_seconds(self) -> float:
        """Return the time after which an alarm's end is sent."""
        return 2 * self.seconds


class JournalState(msgspec.Struct, frozen=True):
    """The unsettled part of the journal; ``seconds`` is the age of its oldest segment."""

    segments: int = 0
    size: int = 0
    seconds: float = 0.0


class LagWatch:
    """Watches the journal's lag, mostly by a single ``stat`` of its oldest segment."""

    def __init__(self, folder: Path, monotonic: Callable[[], float], clock: Clock) -> None:
        self._root = folder / "journal"
        self._monotonic = monotonic
        self._clock = clock
        self._oldest = ""
        self._oldest_seen = 0.0
        self._listed_at = -1.0e9
        self._listing_seconds = 0.0
        self._state = JournalState()

    def look(self) -> JournalState:
        """Return the current lag. A segment's age is by the wall clock, but at least the time since we first saw it."""
        now = self._monotonic()
        if now - self._listed_at >= max(LOOK_SECONDS, _LISTING_SHARE * self._listing_seconds):
            self._list(now)
        if not self._oldest:
            return self._state
        try:
            written_ms = os.stat(self._oldest).st_mtime_ns / 1_000_000
        except OSError:  # settled meanwhile; the next listing finds another one
            return self._state
        seconds = max(0.0, (self._clock() - written_ms) / 1000, now - self._oldest_seen)
        self._state = msgspec.structs.replace(self._state, seconds=seconds)
        return self._state

    def _list(self, now: float) -> None:
        try:
            lags = [journal_lag(self._root, stream, self._clock()) for stream in STREAMS]
        except OSError:  # such as no free descriptor: the last known segment keeps aging
            return
        self._listed_at = self._monotonic()
        self._listing_seconds = self._listed_at - now
        waiting = [lag for lag in lags if lag.oldest_path]
        oldest = max(waiting, key=lambda lag: lag.oldest_age_ms).oldest_path if waiting else ""
        if oldest != self._oldest:
            self._oldest, self._oldest_seen = oldest, now
        self._state = JournalState(
            sum(lag.segments for lag in lags),
            sum(lag.size for lag in lags),
            max((lag.oldest_age_ms for lag in waiting), default=0) / 1000,
        )


class Standstill:
    """Measures for how long a number has not changed, in monotonic time."""

    __slots__ = ("changed_at", "mark")

    def __init__(self, mark: int, now: float) -> None:
        self.mark = mark
        self.changed_at = now

    def seconds(self, mark: int, now: float) -> float:
        if mark != self.mark:
            self.mark, self.changed_at = mark, now
        return now - self.changed_at


class VitalSigns:
    """The vital signs of a data folder. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        patience: Patience,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Clock = wall_clock,
    ) -> None:
        self._folder = folder
        self._patience = patience
        self._monotonic = monotonic
        self._clock = clock
        self._lag = LagWatch(folder, monotonic, clock)
        self._core = Standstill(read_beat(folder, CORE).mark, monotonic())
        self._workers: dict[str, Standstill] = {}
        self._since: dict[str, int] = {}
        # The core's thread and health requests may look concurrently, and each look updates the state.
        self._lock = threading.Lock()
        self.journal = JournalState()
        """As of the last look."""
        self.alarms: tuple[Alarm, ...] = ()
        """As of the last look."""

    def look(self) -> tuple[Alarm, ...]:
        """Check all vital signs and return the current alarms."""
        with self._lock:
            found = [*disk_alarms(self._folder), *self._core_alarms(), *self._lag_alarms()]
            now_ms = self._clock()
            self._since = {alarm.key: self._since.get(alarm.key) or alarm.since or now_ms for alarm in found}
            self.alarms = tuple(msgspec.structs.replace(alarm, since=self._since[alarm.key]) for alarm in found)
            return self.alarms

    def _core_alarms(self) -> list[Alarm]:
        now = self._monotonic()
        beat = read_beat(self._folder, CORE)
        silent = self._core.seconds(beat.mark, now)
        if silent >= self._patience.seconds:
            for standstill in self._workers.values():
                standstill.changed_at = now  # they could not work either; their patience restarts with the core
            sentence = (
                f"The core has given no sign of life for {silent:.0f} s: conversions are not registered and postbacks are not "
                "sent. Clicks and incoming postbacks are stored in the journal. See the log for why it ended; if it hangs, restart "
                "Clickloop."
            )
            return [Alarm(code="core_silent", sentence=sentence, since=self._clock() - round(silent * 1000))]
        alarms = []
        for name, steps in beat.steps.items():
            standstill = self._workers.setdefault(name, Standstill(steps, now))
            seconds = standstill.seconds(steps, now)
            if seconds >= self._patience.seconds:
                sentence = (
                    f"{name[:1].upper()}{name[1:]} has made no progress for {seconds:.0f} s: clicks and incoming postbacks are "
                    "stored in the journal, but not registered. See the log, or Workers on the page Health, for the cause."
                )
                since = self._clock() - round(seconds * 1000)
                alarms.append(Alarm(code="settling_stuck", sentence=sentence, since=since))
        return alarms

    def _lag_alarms(self) -> list[Alarm]:
        self.journal = self._lag.look()
        seconds = self.journal.seconds
        if seconds < self._patience.lag_seconds:
            return []
        sentence = (
            f"The journal is {seconds:.0f} s behind: clicks and incoming postbacks are stored, but not registered yet. See the "
            "log for the cause."
        )
        return [Alarm(code="journal_lag", sentence=sentence, since=self._clock() - round(seconds * 1000))]
