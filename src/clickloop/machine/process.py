"""What child processes do alike: end when the supervisor ends, turn signals into a flag, give memory back once they are ready."""

import ctypes
import gc
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio  # the supervisor, which needs none, imports this module

SUPERVISOR = "CLICKLOOP_SUPERVISOR"
"""In the environment of a child: the process id of its supervisor."""
STORES_REFUSED = 3
"""Exit status of a core that does not start on the stores as they are."""
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Asks the kernel to send SIGTERM when the supervisor dies, however it dies (prctl(2), PR_SET_PDEATHSIG).

    It may have died before the kernel was asked: its process id stands in the environment, so that this is noticed.
    """
    supervisor = int(os.environ.get(SUPERVISOR, os.getppid()))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != supervisor:
        os.kill(os.getpid(), signal.SIGTERM)


def leave_a_core_to_visitors() -> None:
    """Keeps this process off the last of several cores: a visitor who waits behind it waits for a whole slice of time, some milliseconds.

    There are as many edge processes as other cores (``Settings.edge_count``), and whatever else runs is free to use all of them.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[:-1])


def open_standard_streams() -> None:
    """Open ``/dev/null`` in the place of standard streams that are closed.

    Else the next file that is opened gets the number 2, here or in a child, and what a library writes to standard error ends up in
    it, be it the facts.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: this one


def give_memory_back() -> None:
    """Returns to the system what starting needed and running does not (malloc_trim(3); a C library without it keeps it)."""
    # First: what the collector frees is what malloc can then return.
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def stop_signal(loop: "asyncio.AbstractEventLoop") -> "asyncio.Event":
    """An event that is set by SIGTERM or SIGINT."""
    import asyncio

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped
