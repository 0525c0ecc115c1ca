"""Vital signs: whether the core lives, whether settling goes on, how far the journal is behind, how full the disk is.

Each process looks for itself, at files alone, so that a core that is dead, stopped or stuck is noticed by those that are not. Only
monotonic time is compared: a wall clock that jumps raises no alarm and hides none.
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

LOOK_SECONDS = 1.0  # a stat of a few files; patience is counted in tens of seconds
BEGIN_SHARE = 6
"""An alarm is sent once it is as old as this part of the patience: what passes by itself wakes nobody."""
_LISTING_SHARE = 20
"""Listing a journal of a million segments takes seconds: it is listed again only after twenty times as long."""


class Patience(msgspec.Struct, frozen=True):
    """Times without progress that are no alarm yet. ``seconds`` is the setting ``alarm_after_seconds``."""

    seconds: float = 30.0

    @property
    def lag_seconds(self) -> float:
        """Return the maximum lag of the journal. With it, and the looks and the wait before sending, the default stays within a minute."""
        return 1.5 * self.seconds

    @property
    def begin_seconds(self) -> float:
        """Return how old an alarm must be before it is sent."""
        return self.seconds / BEGIN_SHARE

    @property
    def end_seconds(self) -> float:
        """Return how long an alarm must be gone before its end is sent."""
        return 2 * self.seconds


class JournalState(msgspec.Struct, frozen=True):
    """The part of the journal that is not settled yet."""

    segments: int = 0
    octets: int = 0
    seconds: float = 0.0


class LagWatch:
    """Watches the journal's lag. While its oldest segment stays where it is, one ``stat`` tells all that matters."""

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
        """Return the lag of now. The age is the larger one of what the wall clock says and of how long we have seen the segment."""
        now = self._monotonic()
        if now - self._listed_at >= max(LOOK_SECONDS, _LISTING_SHARE * self._listing_seconds):
            self._list(now)
        if not self._oldest:
            return self._state
        try:
            written_ms = os.stat(self._oldest).st_mtime_ns / 1_000_000
        except OSError:  # settled meanwhile: the next listing finds the next one
            return self._state
        seconds = max(0.0, (self._clock() - written_ms) / 1000, now - self._oldest_seen)
        self._state = msgspec.structs.replace(self._state, seconds=seconds)
        return self._state

    def _list(self, now: float) -> None:
        try:
            lags = [journal_lag(self._root, stream, self._clock()) for stream in STREAMS]
        except OSError:  # no descriptor is left for a listing: what was known last grows older by the clock
            return
        self._listed_at = self._monotonic()
        self._listing_seconds = self._listed_at - now
        waiting = [lag for lag in lags if lag.oldest_path]
        oldest = max(waiting, key=lambda lag: lag.oldest_age_ms).oldest_path if waiting else ""
        if oldest != self._oldest:
            self._oldest, self._oldest_seen = oldest, now
        self._state = JournalState(
            sum(lag.segments for lag in lags),
            sum(lag.octets for lag in lags),
            max((lag.oldest_age_ms for lag in waiting), default=0) / 1000,
        )


class Standstill:
    """The time for which something has not changed, by monotonic time since the first look at it."""

    __slots__ = ("changed_at", "mark")

    def __init__(self, mark: int, now: float) -> None:
        self.mark = mark
        self.changed_at = now

    def seconds(self, mark: int, now: float) -> float:
        if mark != self.mark:
            self.mark, self.changed_at = mark, now
        return now - self.changed_at


class VitalSigns:
    """Looks at a data folder again and again. Threads may share it."""

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
        # The core's thread and requests for health look at once; each look moves the state on.
        self._lock = threading.Lock()
        self.journal = JournalState()
        """As of the last look."""
        self.alarms: tuple[Alarm, ...] = ()
        """As of the last look."""

    def look(self) -> tuple[Alarm, ...]:
        """Look at everything and return the alarms of now."""
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
                standstill.changed_at = now  # they could not go on either: when the core comes back, they begin anew
            sentence = (
                f"The core has given no sign of life for {silent:.0f} s: no conversion is registered and no postback is sent. Clicks and "
                "incoming postbacks are stored in the journal meanwhile. The log says why it ended; if it hangs, restart Clickloop."
            )
            return [Alarm(code="core_silent", sentence=sentence, since=self._clock() - round(silent * 1000))]
        alarms = []
        for name, steps in beat.steps.items():
            standstill = self._workers.setdefault(name, Standstill(steps, now))
            seconds = standstill.seconds(steps, now)
            if seconds >= self._patience.seconds:
                sentence = (
                    f"{name[:1].upper()}{name[1:]} has made no progress for {seconds:.0f} s: clicks and incoming postbacks are stored "
                    "in the journal, but not registered. The log, or Workers on the page Health, says what holds it up."
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
            f"The journal is {seconds:.0f} s behind: clicks and incoming postbacks are stored, but not registered yet. The log says what "
            "holds them up."
        )
        return [Alarm(code="journal_lag", sentence=sentence, since=self._clock() - round(seconds * 1000))]
