"""Pause settling for a backup: nothing moves from the journal into the stores while they are copied together.

The edges go on acknowledging clicks and notices, which are settled when the pause ends. A pause is a lease: the process that
began it may be killed, and settling must then resume by itself.
"""

import secrets
import threading
import time
from collections.abc import Callable

import msgspec

from clickloop.machine.log import log

LEASE_SECONDS = 10.0
"""The duration of a pause that is not renewed."""
MAX_PAUSE_SECONDS = 900.0
"""The maximum duration of a pause: notices are acknowledged meanwhile, but not turned into conversions."""
BEGIN_SECONDS = 20.0
"""The longest wait for running steps: shorter than a command's timeout."""


class PauseError(Exception):
    """Settling cannot be paused now; the message says why."""


class _Pause(msgspec.Struct):
    pause_id: str
    began_at: float
    until: float
    over: threading.Event


def _nothing() -> None:
    """Do nothing."""


class SettlingPauses:
    """The pauses of settling, at most one at a time. Thread-safe."""

    def __init__(
        self,
        checkpoint: Callable[[], None] = _nothing,
        *,
        lease_seconds: float = LEASE_SECONDS,
        begin_seconds: float = BEGIN_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``checkpoint`` is called at the start of each pause, before it is granted: it writes the facts to their file."""
        self._checkpoint = checkpoint
        self._lease_seconds = lease_seconds
        self._begin_seconds = begin_seconds
        self._monotonic = monotonic
        self._gates: list[threading.Lock] = []
        # Guards ``_pause`` and ``_closed`` only, and is never held while waiting for gates: ``renew`` and ``end`` must not block.
        self._lock = threading.Lock()
        self._pause: _Pause | None = None
        self._closed = False

    @property
    def lease_seconds(self) -> float:
        return self._lease_seconds

    def gate(self, step: Callable[[], bool]) -> Callable[[], bool]:
        """Wrap a worker's step so that it waits during a pause."""
        # One lock per worker instead of one for all: workers do not wait for each other.
        lock = threading.Lock()
        self._gates.append(lock)

        def gated() -> bool:
            # Held for the whole step: with all gates acquired, a pause knows that nothing is half moved.
            with lock:
                return step()

        return gated

    def begin(self) -> str:
        """Wait until no step is running, begin a pause, and return its id. Raise PauseError."""
        now = self._monotonic()
        pause = _Pause(secrets.token_urlsafe(12), now, now + self._begin_seconds, threading.Event())
        with self._lock:
            if self._closed:
                raise PauseError("The server is stopping.")
            if self._pause is not None:
                raise PauseError("Another backup has paused settling. Wait until it has finished.")
            self._pause = pause
        taken: list[threading.Lock] = []
        try:
            for gate in self._gates:
                # One deadline over all gates, so that this fails before the command times out.
                if not gate.acquire(timeout=max(0.0, pause.until - self._monotonic())):
                    raise PauseError(f"Settling could not be paused within {self._begin_seconds:g} s. Try again.")
                taken.append(gate)
            # With all gates held, so that the write-ahead log stays unchanged while the file is copied.
            self._checkpoint()
        except BaseException:
            self._forget(pause, taken)
            raise
        pause.began_at = self._monotonic()
        pause.until = pause.began_at + self._lease_seconds
        # A separate thread ends it: a killed command must not stop settling for ever.
        threading.Thread(target=self._end_in_time, args=(pause, taken), name="pause of settling", daemon=True).start()
        return pause.pause_id

    def renew(self, pause_id: str) -> bool:
        """Extend a pause. Return False if it is over or has reached its maximum duration."""
        with self._lock:
            pause, now = self._pause, self._monotonic()
            if pause is None or pause.pause_id != pause_id or pause.over.is_set() or now >= pause.until:
                return False
            pause.until = min(now + self._lease_seconds, pause.began_at + MAX_PAUSE_SECONDS)
            return True

    def end(self, pause_id: str) -> bool:
        """End a pause. Return False if it was already over: the copied stores may then be inconsistent."""
        with self._lock:
            pause = self._pause
            if pause is None or pause.pause_id != pause_id or pause.over.is_set() or self._monotonic() >= pause.until:
                return False
            pause.over.set()
            return True

    def close(self) -> None:
        """End the current pause and refuse new ones, so that the workers can drain at shutdown."""
        with self._lock:
            self._closed = True
            if self._pause is not None:
                self._pause.over.set()

    def _end_in_time(self, pause: _Pause, taken: list[threading.Lock]) -> None:
        while not pause.over.wait(max(0.01, pause.until - self._monotonic())):
            with self._lock:
                # Decided under the lock: afterwards neither ``renew`` nor ``end`` returns True.
                if self._monotonic() >= pause.until:
                    pause.over.set()
        self._forget(pause, taken)
        log("settling was paused for a backup", seconds=round(self._monotonic() - pause.began_at, 3))

    def _forget(self, pause: _Pause, taken: list[threading.Lock]) -> None:
        for gate in taken:
            gate.release()
        with self._lock:
            if self._pause is pause:
                self._pause = None
