"""A worker of the core: a thread that does a step again and again, and tells whether it works."""

import threading
from collections.abc import Callable

from clickloop.clock import wall_clock
from clickloop.diagnosis.health import WorkerHealth
from clickloop.machine.log import Sparingly

_FAILED_PAUSE_SECONDS = 1.0  # a store that is away is not asked in a loop, and is found again soon


class Worker(threading.Thread):
    """Calls a step again and again until stopped, at once while it says that there is more, else after a pause.

    A step that fails (a store is away, the disk is full) is told and tried again: nothing is lost, it stands in the journal.
    ``drains`` False: what is still waiting when it is stopped is left for the next start.
    """

    def __init__(self, name: str, step: Callable[[], bool], pause_seconds: float, *, drains: bool = True) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._pause_seconds = pause_seconds
        self._drains = drains
        # An event, not a flag: stopping ends the pause between two steps at once.
        self._stopping = threading.Event()
        self._failed = Sparingly(f"{name} failed and is tried again")
        self._failing_since: int | None = None
        self._fault = ""
        self.rounds = 0
        """The number of steps that have gone well, in this thread's life."""

    def run(self) -> None:
        """Works until ``stop``, then, if it drains, until nothing more is waiting."""
        while True:
            # Before the step: what came in until then is still drained by it.
            stopping = self._stopping.is_set()
            try:
                more = self._step()
            except Exception as fault:  # whatever it is: the work stands in the journal and must go on
                self._fault = f"{type(fault).__name__}: {fault}"
                self._failing_since = self._failing_since or wall_clock()
                self._failed(fault=self._fault)
                if stopping:
                    return
                self._stopping.wait(_FAILED_PAUSE_SECONDS)
                continue
            self._failing_since = None
            self.rounds += 1
            if more and (self._drains or not stopping):
                continue
            if stopping:
                return
            self._stopping.wait(self._pause_seconds)

    def stop(self) -> None:
        """Asks ``run`` to return."""
        self._stopping.set()

    def health(self) -> WorkerHealth:
        """Whether it works."""
        failing_since = self._failing_since
        fault = self._fault if failing_since is not None else ""
        return WorkerHealth(name=self.name, running=self.is_alive(), failing_since=failing_since, fault=fault)
