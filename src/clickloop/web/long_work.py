"""Threads for the pages and endpoints that compute for long: however many ask for them, everything else is answered beside them."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

LONG_WORK = ThreadPoolExecutor(2, "long-work")
"""Two: more would compute at once what one core computes, and deliveries share that core."""

OTHERS_SERVERS = ThreadPoolExecutor(2, "others-servers")
"""For what waits for the answer of somebody else's server, up to the time limit of an attempt."""

P = ParamSpec("P")
T = TypeVar("T")


def in_long_work(answer: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return a handler that answers in one of these threads, instead of those that all others share."""
    return _in_threads(LONG_WORK, answer)


def waiting_for_others(answer: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return a handler that waits for somebody else's server in one of the threads for that."""
    return _in_threads(OTHERS_SERVERS, answer)


def _in_threads(threads: ThreadPoolExecutor, answer: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    @functools.wraps(answer)
    async def run(*given: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, functools.partial(answer, *given, **named))

    return run
