"""The core's vitals: its heartbeat, alarms about its workers, and the alarm if it cannot start."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from clickloop.alarm.alarms import CORE, MAX_SENTENCE, Alarm, Alarms
from clickloop.alarm.heartbeat import BEAT_SECONDS, Heartbeat
from clickloop.alarm.vital_signs import Patience, VitalSigns
from clickloop.clock import SECOND_MS, Clock, wall_clock
from clickloop.diagnosis.health import WorkerHealth
from clickloop.machine.log import RateLimitedLog

WATCHED_WORKERS = frozenset({"click processing", "page event processing", "notice processing"})
"""Workers that must always make progress. Rounds of others may take minutes: a large upload, an export."""
_START = "start"
_WORKERS = "workers"
_MORE = "more"


class WatchedWorker(Protocol):
    """A worker of the core; see ``worker.Worker``."""

    name: str
    rounds: int

    def health(self) -> WorkerHealth:
        """Return whether it runs and whether it is failing."""
        ...


class CoreVitals:
    """Writes the core's heartbeat from the event loop, and watches for alarms in a thread."""

    def __init__(
        self,
        folder: Path,
        alarms: Alarms,
        patience: Patience,
        clock: Clock = wall_clock,
        more: Callable[[], Sequence[Alarm]] = tuple,
    ) -> None:
        """``more``: returns further alarms; called once a second."""
        self._folder = folder
        self._alarms = alarms
        self._patience = patience
        self._clock = clock
        self._more = more
        self._signs = VitalSigns(folder, patience, clock=clock)
        # An event, so that the end of the process interrupts the thread's wait.
        self._ending = threading.Event()
        self._unwritten = RateLimitedLog("looking for alarms failed and is tried again", 60)

    def observed(self) -> tuple[Alarm, ...]:
        """Return the vital signs' alarms as of the last look, at most some seconds ago."""
        return self._signs.alarms

    async def beat_for_ever(self, workers: Sequence[WatchedWorker]) -> None:
        """Write a heartbeat every second, in the event loop itself, so that there is none when the loop hangs."""
        heart = Heartbeat(self._folder, CORE)
        watching = threading.Thread(target=self._watch, args=(workers,), name="vital signs", daemon=True)
        watching.start()
        try:
            while True:
                heart.beat({worker.name: worker.rounds for worker in workers if worker.name in WATCHED_WORKERS})
                await asyncio.sleep(BEAT_SECONDS)
        finally:
            self._ending.set()
            heart.close()

    def _watch(self, workers: Sequence[WatchedWorker]) -> None:
        """Update the alarms every second, in a separate thread.

        Listing a journal of a million segments takes seconds, and the event loop's thread pool may be busy hashing passwords.
        """
        self._set(_START, [])
        while not self._ending.wait(BEAT_SECONDS):
            try:
                self._signs.look()
                self._set(_WORKERS, self._worker_alarms(workers))
                self._set(_MORE, self._more())
            except Exception as fault:  # it must outlive what it watches
                self._unwritten(fault=f"{type(fault).__name__}: {fault}")

    def _worker_alarms(self, workers: Sequence[WatchedWorker]) -> list[Alarm]:
        now_ms = self._clock()
        found = []
        for health in (worker.health() for worker in workers):
            since = health.failing_since
            if not health.running:
                sentence = f"The worker {health.name} has ended by itself: restart Clickloop."
                found.append(Alarm(code="worker_ended", sentence=sentence))
            elif since is not None and abs(now_ms - since) >= self._patience.begin_seconds * SECOND_MS:
                sentence = f"The worker {health.name} keeps failing: {health.fault}"[:MAX_SENTENCE]
                found.append(Alarm(code="worker_failing", sentence=sentence, since=since))
        return found

    def _set(self, source: str, alarms: Sequence[Alarm]) -> None:
        try:
            self._alarms.set(source, alarms)
        except OSError as fault:
            self._unwritten(fault=str(fault))


def report_start_failure(folder: Path, fault: Exception) -> None:
    """Raise an alarm that says why the core could not start or continue; the next successful start ends it."""
    sentence = f"The core could not continue: {type(fault).__name__}: {fault}"[:MAX_SENTENCE]
    # The log has the reason already; a full disk must not raise another error here.
    with contextlib.suppress(OSError):
        Alarms(folder).set(_START, [Alarm(code="core_cannot_start", sentence=sentence)])
