"""A worker of the core: a thread that repeats a step and reports its health."""

import threading
from collections.abc import Callable

from clickloop.clock import wall_clock
from clickloop.diagnosis.health import WorkerHealth
from clickloop.machine.log import RateLimitedLog

_RETRY_SECONDS = 1.0  # after a failure: no busy loop, and soon after a store is back


class Worker(threading.Thread):
    """Repeats a step until stopped, immediately while the step returns that there is more to do, else after a pause.

    A failed step (a store is unavailable, the disk is full) is reported and retried: nothing is lost, since it is in the journal.
    ``drains`` False: work that waits when it is stopped is left for the next start.
    """

    def __init__(self, name: str, step: Callable[[], bool], pause_seconds: float, *, drains: bool = True) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._pause_seconds = pause_seconds
        self._drains = drains
        # An event, so that stopping interrupts the pause between two steps.
        self._stopping = threading.Event()
        self._failed = RateLimitedLog(f"{name} failed and is tried again")
        self._failing_since: int | None = None
        self._fault = ""
        self.rounds = 0
        """Number of successful steps."""

    def run(self) -> None:
        """Work until ``stop`` is called and then, if it drains, until nothing is left."""
        while True:
            # Before the step, so that the last step comes after the request to stop, and drains what arrived until then.
            stopping = self._stopping.is_set()
            try:
                more = self._step()
            except Exception as fault:  # any error: the work is in the journal and must continue
                self._fault = f"{type(fault).__name__}: {fault}"
                self._failing_since = self._failing_since or wall_clock()
                self._failed(fault=self._fault)
                if stopping:
                    return
                self._stopping.wait(_RETRY_SECONDS)
                continue
            self._failing_since = None
            self.rounds += 1
            if more and (self._drains or not stopping):
                continue
            if stopping:
                return
            self._stopping.wait(self._pause_seconds)

    def stop(self) -> None:
        """Make ``run`` return."""
        self._stopping.set()

    def health(self) -> WorkerHealth:
        """Return whether it runs, and since when and why it has been failing."""
        failing_since = self._failing_since
        fault = self._fault if failing_since is not None else ""
        return WorkerHealth(name=self.name, running=self.is_alive(), failing_since=failing_since, fault=fault)
