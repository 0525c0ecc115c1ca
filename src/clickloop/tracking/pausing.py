"""Pausing settling for a backup: nothing moves from the journal into the stores while they are copied together.

Clicks and notices are acknowledged by the edges all the while; they are settled when the pause ends. A pause is a lease: whoever
began it may be killed, and settling must then go on by itself.
"""

import secrets
import threading
import time
from collections.abc import Callable

import msgspec

from clickloop.machine.log import log

LEASE_SECONDS = 10.0
"""The length of a pause that nobody renews."""
MAX_PAUSE_SECONDS = 900.0
"""The maximum length of a pause: notices are acknowledged meanwhile, but become no conversions."""
BEGIN_SECONDS = 20.0
"""The longest wait for the steps under way: less than a command waits for an answer."""


class PauseError(Exception):
    """Settling cannot be paused now; the text says why."""


class _Pause(msgspec.Struct):
    pause_id: str
    began_at: float
    until: float
    over: threading.Event


def _nothing() -> None:
    """Nothing is to be done."""


class SettlingPauses:
    """At most one pause at a time. Threads may share it."""

    def __init__(
        self,
        checkpoint: Callable[[], None] = _nothing,
        *,
        lease_seconds: float = LEASE_SECONDS,
        begin_seconds: float = BEGIN_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``checkpoint`` is called in each pause, before it is granted: it brings the facts into their file."""
        self._checkpoint = checkpoint
        self._lease_seconds = lease_seconds
        self._begin_seconds = begin_seconds
        self._monotonic = monotonic
        self._gates: list[threading.Lock] = []
        # For ``_pause`` alone, and never held while gates are waited for: ``renew`` and ``end`` must answer meanwhile.
        self._lock = threading.Lock()
        self._pause: _Pause | None = None
        self._closed = False

    @property
    def lease_seconds(self) -> float:
        """The length of a pause that nobody renews."""
        return self._lease_seconds

    def gate(self, step: Callable[[], bool]) -> Callable[[], bool]:
        """Return the step of a worker as one that waits while there is a pause."""
        # One lock per worker, not one for all: workers do not wait for each other.
        lock = threading.Lock()
        self._gates.append(lock)

        def gated() -> bool:
            # Held for the whole step: a pause that has all gates knows that nothing is half moved.
            with lock:
                return step()

        return gated

    def begin(self) -> str:
        """Wait until no step is under way, and return the id of the pause that then begins. Raise PauseError."""
        now = self._monotonic()
        pause = _Pause(secrets.token_urlsafe(12), now, now + self._begin_seconds, threading.Event())
        with self._lock:
            if self._closed:
                raise PauseError("The server is stopping.")
            if self._pause is not None:
                raise PauseError("Another backup has paused settling: wait until it has ended.")
            self._pause = pause
        taken: list[threading.Lock] = []
        try:
            for gate in self._gates:
                # One deadline over all gates, so that the command that asked does not give up first.
                if not gate.acquire(timeout=max(0.0, pause.until - self._monotonic())):
                    raise PauseError(f"Settling could not be paused within {self._begin_seconds:g} s: try again.")
                taken.append(gate)
            # With all gates held: what is copied then has nothing in its log that changes.
            self._checkpoint()
        except BaseException:
            self._forget(pause, taken)
            raise
        pause.began_at = self._monotonic()
        pause.until = pause.began_at + self._lease_seconds
        # A thread of its own ends it: a command that was killed must not stop settling for ever.
        threading.Thread(target=self._end_in_time, args=(pause, taken), name="pause of settling", daemon=True).start()
        return pause.pause_id

    def renew(self, pause_id: str) -> bool:
        """Prolong a pause; return False if it is over, or may not last any longer."""
        with self._lock:
            pause, now = self._pause, self._monotonic()
            if pause is None or pause.pause_id != pause_id or pause.over.is_set() or now >= pause.until:
                return False
            pause.until = min(now + self._lease_seconds, pause.began_at + MAX_PAUSE_SECONDS)
            return True

    def end(self, pause_id: str) -> bool:
        """End a pause; return False if it was over before: what was copied then may not fit together."""
        with self._lock:
            pause = self._pause
            if pause is None or pause.pause_id != pause_id or pause.over.is_set() or self._monotonic() >= pause.until:
                return False
            pause.over.set()
            return True

    def close(self) -> None:
        """End the pause that there is, and allow none any more: the workers are to drain."""
        with self._lock:
            self._closed = True
            if self._pause is not None:
                self._pause.over.set()

    def _end_in_time(self, pause: _Pause, taken: list[threading.Lock]) -> None:
        while not pause.over.wait(max(0.01, pause.until - self._monotonic())):
            with self._lock:
                # Decided under the lock: after it, neither ``renew`` nor ``end`` answers True any more.
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
