"""File descriptors: the limit of a process, and how many of them connections may take."""

import os
import resource

MAX_LIMIT = 1_048_576
"""As high as a limit is raised: Linux' own ceiling (``fs.nr_open``) as it is shipped, which "unlimited" would go beyond."""
MAX_CONNECTIONS = 10_000
"""Per process, however many descriptors there are: an unfinished request may hold some hundred KB of memory."""
MIN_CONNECTIONS = 32  # with fewer no page of the panel loads


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard one and return it. Children inherit it.

    systemd, ssh and cron start programs with a soft limit of 1,024, which is there for programs that use select(2) alone.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MAX_LIMIT)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def max_connections(reserved: int) -> int:
    """Return how many connections this process may hold open at once, with what it has open now and ``reserved`` left for the rest.

    Called once, when everything but the connections is open.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    room = limit - len(os.listdir("/proc/self/fd")) - reserved
    return max(MIN_CONNECTIONS, min(MAX_CONNECTIONS, room))
