"""Alarms about the supervisor's children: crash loops, edges that hang, and descriptors that run out."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from clickloop.alarm.alarms import CORE, Alarm
from clickloop.alarm.heartbeat import read_beat
from clickloop.alarm.vital_signs import Patience, Standstill

CRASHES = 3  # once may be chance
CRASH_WINDOW_SECONDS = 300.0
DESCRIPTORS_SHARE = 0.9  # the rest goes within seconds under load
DESCRIPTORS_LOOK_SECONDS = 5.0  # each look lists /proc


class ChildState(Protocol):
    """A child of the supervisor, as ``supervisor.Child``."""

    name: str
    deaths_at: deque[float]
    """In monotonic seconds, the last ones."""

    @property
    def pid(self) -> int | None:
        """Return the process id; None while it does not run."""
        ...


class ChildAlarms:
    """Looks at the children again and again. For one thread."""

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
        """Return the alarms of now."""
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
        """Return the alarm of several deaths within minutes. It ends when the child has lived for as long as an alarm must be gone."""
        recent = [at for at in tuple(child.deaths_at) if now - at < CRASH_WINDOW_SECONDS]
        if len(recent) < CRASHES or now - recent[-1] > self._patience.end_seconds:
            return None
        what = (
            "no conversion is registered and no postback is sent" if child.name == CORE else "visitors may have to wait"
        )
        sentence = (
            f"The process {child.name} has died {len(recent)} times in the last few minutes and is restarted each time; {what} "
            "meanwhile. The log says why."
        )
        return Alarm(code="core_crash_loop" if child.name == CORE else "edge_crash_loop", sentence=sentence)

    def _silence(self, child: ChildState, now: float) -> Alarm | None:
        """Return the alarm of an edge that hangs. The core's silence is among the vital signs that every process looks at."""
        seconds = self._hearts[child.name].seconds(read_beat(self._folder, child.name).mark, now)
        if child.name == CORE or seconds < self._patience.seconds:
            return None
        sentence = (
            f"The process {child.name} has given no sign of life for {seconds:.0f} s, so visitors may have to wait. The log may say why; "
            "otherwise restart Clickloop."
        )
        return Alarm(code="edge_silent", sentence=sentence)


def descriptors_alarm(name: str, pid: int) -> Alarm | None:
    """Return the alarm of a process that has nearly as many descriptors open as it may have; None where all is well or unknown."""
    try:
        used = len(os.listdir(f"/proc/{pid}/fd"))
        limits = Path(f"/proc/{pid}/limits").read_text()
    # The process has just ended, or is another user's.
    except OSError:
        return None
    line = next((line for line in limits.splitlines() if line.startswith("Max open files")), "")
    words = line.split()
    if len(words) < 4 or not words[3].isdecimal() or used < DESCRIPTORS_SHARE * int(words[3]):
        return None
    sentence = (
        f"The process {name} has {used} of {words[3]} file descriptors open: without free ones it can neither accept connections "
        "nor write. Raise the limit (LimitNOFILE= in systemd, ulimit -n)."
    )
    return Alarm(code="descriptors", sentence=sentence)
