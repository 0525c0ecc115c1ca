"""Threads for slow pages and endpoints: however many of them are requested, all others are still answered."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

LONG_WORK = ThreadPoolExecutor(2, "long-work")
"""Two threads: more would only compete for the one core, which deliveries share."""

OTHERS_SERVERS = ThreadPoolExecutor(2, "others-servers")
"""For requests that wait for another server, up to the time limit of an attempt."""

P = ParamSpec("P")
T = TypeVar("T")


def in_long_work(handler: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return a handler that runs in a thread for long work instead of those that all others share."""
    return _in_threads(LONG_WORK, handler)


def waiting_for_others(handler: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return a handler that runs in a thread for requests that wait for another server."""
    return _in_threads(OTHERS_SERVERS, handler)


def _in_threads(threads: ThreadPoolExecutor, handler: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    @functools.wraps(handler)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, functools.partial(handler, *args, **kwargs))

    return run
