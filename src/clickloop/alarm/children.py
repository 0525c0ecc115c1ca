"""Alarms about the supervisor's children: crash loops, hanging edges, and descriptors running out."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from clickloop.alarm.alarms import CORE, Alarm
from clickloop.alarm.heartbeat import read_beat
from clickloop.alarm.vital_signs import Patience, Standstill

CRASHES = 3  # fewer may be chance
CRASH_WINDOW_SECONDS = 300.0
DESCRIPTORS_SHARE = 0.9  # the rest may be used up within seconds under load
DESCRIPTORS_LOOK_SECONDS = 5.0  # each look lists /proc


class ChildState(Protocol):
    """A child of the supervisor; see ``supervisor.Child``."""

    name: str
    deaths_at: deque[float]
    """Times of the last deaths, in monotonic seconds."""

    @property
    def pid(self) -> int | None:
        """Return the process id; None while it does not run."""
        ...


class ChildAlarms:
    """Watches the children. For one thread."""

    def __init__(
        self,
        folder: Path,
        children: Sequence[ChildState],
        patience: Patience,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._children = children
        self._patience = patience
        self._monotonic = monotonic
        now = monotonic()
        self._hearts = {child.name: Standstill(read_beat(folder, child.name).mark, now) for child in children}
        self._descriptors: tuple[Alarm, ...] = ()
        self._descriptors_at = now - DESCRIPTORS_LOOK_SECONDS

    def look(self) -> list[Alarm]:
        """Return the current alarms."""
        now = self._monotonic()
        found = [
            alarm
            for child in self._children
            for alarm in (self._crashes(child, now), self._silence(child, now))
            if alarm
        ]
        if now - self._descriptors_at >= DESCRIPTORS_LOOK_SECONDS:
            self._descriptors_at = now
            self._descriptors = tuple(
                alarm for child in self._children if child.pid and (alarm := descriptors_alarm(child.name, child.pid))
            )
        return [*found, *self._descriptors]

    def _crashes(self, child: ChildState, now: float) -> Alarm | None:
        """Return an alarm after several deaths within minutes. It ends once the child has lived for ``end_seconds``."""
        recent = [at for at in tuple(child.deaths_at) if now - at < CRASH_WINDOW_SECONDS]
        if len(recent) < CRASHES or now - recent[-1] > self._patience.end_seconds:
            return None
        what = (
            "conversions are not registered and postbacks are not sent"
            if child.name == CORE
            else "visitors may have to wait"
        )
        sentence = (
            f"The process {child.name} has died {len(recent)} times in the last few minutes and is restarted each time; {what} "
            "meanwhile. See the log for the cause."
        )
        return Alarm(code="core_crash_loop" if child.name == CORE else "edge_crash_loop", sentence=sentence)

    def _silence(self, child: ChildState, now: float) -> Alarm | None:
        """Return an alarm about an edge that hangs. The core's silence is one of the vital signs, which every process checks."""
        seconds = self._hearts[child.name].seconds(read_beat(self._folder, child.name).mark, now)
        if child.name == CORE or seconds < self._patience.seconds:
            return None
        sentence = (
            f"The process {child.name} has given no sign of life for {seconds:.0f} s, so visitors may have to wait. See the log "
            "for the cause, or restart Clickloop."
        )
        return Alarm(code="edge_silent", sentence=sentence)


def descriptors_alarm(name: str, pid: int) -> Alarm | None:
    """Return an alarm about a process that has nearly used up its descriptors; None if it hasn't, or that is unknown."""
    try:
        used = len(os.listdir(f"/proc/{pid}/fd"))
        limits = Path(f"/proc/{pid}/limits").read_text()
    except OSError:
        return None  # the process has just ended, or there is no /proc
    line = next((line for line in limits.splitlines() if line.startswith("Max open files")), "")
    words = line.split()
    if len(words) < 4 or not words[3].isdecimal() or used < DESCRIPTORS_SHARE * int(words[3]):
        return None
    sentence = (
        f"The process {name} has {used} of {words[3]} file descriptors open: without free ones it can neither accept connections "
        "nor write. Raise the limit (LimitNOFILE= in systemd, ulimit -n)."
    )
    return Alarm(code="descriptors", sentence=sentence)
