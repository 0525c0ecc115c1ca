"""Functions for child processes: ending with the supervisor, signals, processor cores, and releasing memory."""

import ctypes
import gc
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio  # not at run time: the supervisor imports this module and needs no asyncio

SUPERVISOR = "CLICKLOOP_SUPERVISOR"
"""Environment variable of a child: the process id of its supervisor."""
STORES_REFUSED = 3
"""Exit status of a core that refuses the stores."""
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when the supervisor dies (prctl(2), PR_SET_PDEATHSIG)."""
    supervisor = int(os.environ.get(SUPERVISOR, os.getppid()))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # It may have died before the call above, which then has no effect.
    if os.getppid() != supervisor:
        os.kill(os.getpid(), signal.SIGTERM)


def reserve_core_for_visitors() -> None:
    """Keep this process off the last of several processor cores, so that visitors don't wait for its time slice (milliseconds).

    There are as many edge processes as other cores (``Settings.edge_count``); edges and other processes may use all cores.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[:-1])


def open_standard_streams() -> None:
    """Open ``/dev/null`` in place of closed standard streams.

    Otherwise the next file to be opened, here or in a child, could get descriptor 2, and what a library writes to standard error
    would end up in it, even in the facts.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, which is this one


def release_memory() -> None:
    """Return memory that was only needed for starting to the system, if the C library can (malloc_trim(3))."""
    # First: malloc can only return what the collector has freed.
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def stop_signal(loop: "asyncio.AbstractEventLoop") -> "asyncio.Event":
    """Return an event that is set by SIGTERM or SIGINT."""
    import asyncio

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped
