"""File descriptors: the limit of a process, and the number of connections that it allows."""

import os
import resource

MAX_LIMIT = 1_048_576
"""Maximum limit to set: the default of Linux's ceiling (``fs.nr_open``), which "unlimited" would exceed."""
MAX_CONNECTIONS = 10_000
"""Maximum per process, however many descriptors there are: an unfinished request may take some hundred KB of memory."""
MIN_CONNECTIONS = 32  # with fewer, pages of the panel don't load


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard one and return it. Children inherit it.

    systemd, ssh and cron start programs with a soft limit of 1,024, which only matters to programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MAX_LIMIT)
    if soft == resource.RLIM_INFINITY or soft >= limit:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def max_connections(reserved: int) -> int:
    """Return the maximum number of connections, beside the descriptors that are open now and ``reserved`` ones.

    Call it once everything except connections is open.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    free = limit - len(os.listdir("/proc/self/fd")) - reserved
    return max(MIN_CONNECTIONS, min(MAX_CONNECTIONS, free))
