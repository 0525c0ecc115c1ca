"""Threads for the pages and endpoints that compute for long: however many ask for them, everything else is answered beside them."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

LONG_WORK = ThreadPoolExecutor(2, "long-work")
"""Two: more would compute at once what one core computes, and deliveries share that core."""

P = ParamSpec("P")
T = TypeVar("T")


def in_long_work(answer: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return a handler that answers in one of these threads, instead of those that all others share."""

    @functools.wraps(answer)
    async def run(*given: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(LONG_WORK, functools.partial(answer, *given, **named))

    return run
