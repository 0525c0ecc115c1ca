"""Separate threads for hashing passwords, so that nothing else in the core waits behind guesses."""

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from litestar.exceptions import HTTPException

THREADS = 2
"""Number of threads. A hash takes 46 MiB and about 60 ms of one core."""
MAX_WAITING = 8  # people would give up before a longer queue has moved
RESERVED_FOR_KNOWN = 2
"""Places in the queue that unknown devices never get, so that known users get in while the rest is full of guesses."""
MAX_DELAYED = 64
"""Maximum number of requests that wait a moment and retry when the queue is full, which slows down guessing in a loop.

Bounded because each occupies a connection."""
_DELAY_SECONDS = 0.5  # by then the queue has moved
_NICENESS = 3  # checking a password takes a whole core; visitors and postbacks have priority

T = TypeVar("T")


class PasswordThreads:
    """Runs functions in its own threads. For one event loop at a time."""

    def __init__(self, threads: int = THREADS, waiting: int = MAX_WAITING, reserved: int = RESERVED_FOR_KNOWN) -> None:
        # In the threads that all requests share, guesses would block the panel.
        self._executor = ThreadPoolExecutor(threads, "passwords", _lower_priority)
        self._free = threads
        self._places_for_strangers = waiting - reserved
        self._places = waiting
        self._known: deque[asyncio.Future[None]] = deque()
        self._strangers: deque[asyncio.Future[None]] = deque()
        self._delayed = 0
        self._devices: set[str] = set()
        """Known devices that are waiting or running; each takes at most one reserved place."""

    async def run(self, function: Callable[..., T], *args: object, device: str = "") -> T:
        """Run a function in one of the threads, in order of arrival, known devices first.

        Raise HTTPException 503 if the queue is full; for unknown devices it is full without the reserved places.
        """
        is_known = bool(device) and device not in self._devices
        if not is_known:
            return await self._run(partial(function, *args), self._strangers, self._places_for_strangers)
        self._devices.add(device)
        try:
            return await self._run(partial(function, *args), self._known, self._places)
        finally:
            self._devices.discard(device)

    async def _run(self, function: Callable[[], T], queue: deque[asyncio.Future[None]], places: int) -> T:
        if self._is_full(places) and self._delayed < MAX_DELAYED:
            self._delayed += 1
            try:
                # Not rejected at once: a short burst finds a place, and a flood is slowed down.
                await asyncio.sleep(_DELAY_SECONDS)
            finally:
                self._delayed -= 1
        if self._free == 0:
            await self._wait(queue, places)
        else:
            self._free -= 1
        running = asyncio.get_running_loop().run_in_executor(self._executor, function)
        # Not when this coroutine ends: a cancelled request leaves a thread that is still working.
        running.add_done_callback(self._pass_on)
        return await running

    async def _wait(self, queue: deque[asyncio.Future[None]], places: int) -> None:
        if self._is_full(places):
            raise HTTPException(
                status_code=503,
                detail="Too many people are signing in right now. Try again in a moment.",
                headers={"Retry-After": "2"},
            )
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            # The thread was granted to a request that has just been cancelled: pass it on, or it is lost for good.
            if granted.done() and not granted.cancelled():
                self._pass_on()
            # Already removed from the queue if it was granted.
            with contextlib.suppress(ValueError):
                queue.remove(granted)
            raise

    def _is_full(self, places: int) -> bool:
        return self._free == 0 and len(self._known) + len(self._strangers) >= places

    def _pass_on(self, _done: object = None) -> None:
        """Grant a free thread to the next request in the queue."""
        # Known devices first, so that users get in while strangers guess.
        for queue in (self._known, self._strangers):
            while queue:
                granted = queue.popleft()
                if not granted.done():
                    granted.set_result(None)
                    return
        self._free += 1


def _lower_priority() -> None:
    """Lower this thread's priority: on a machine with few cores, two busy threads would slow down everything."""
    with contextlib.suppress(OSError):  # no thread priorities on this system
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
