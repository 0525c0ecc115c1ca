"""Threads of their own for whatever hashes passwords: however many are guessing, nothing else of the core waits behind it."""

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
"""A hash takes 46 MiB and some 60 ms of one core."""
MAX_WAITING = 8  # a person would give up before a longer queue has moved
RESERVED_FOR_KNOWN = 2
"""Places in the queue that strangers never get: people get in while the others are full of guesses."""
MAX_DELAYED = 64
"""Requests without a place in the queue that wait a moment and look once more, so that guessing in a loop is slow.

Bounded, because each has a connection."""
_DELAY_SECONDS = 0.5  # the queue has moved by then
_NICENESS = 3  # checking a password takes a whole core; visitors and postbacks come first

T = TypeVar("T")


class PasswordThreads:
    """Runs functions in its threads. For one event loop at a time."""

    def __init__(self, threads: int = THREADS, waiting: int = MAX_WAITING, reserved: int = RESERVED_FOR_KNOWN) -> None:
        # Its own threads: in those that all requests share, guesses would hold up the panel.
        self._executor = ThreadPoolExecutor(threads, "passwords", _step_back)
        self._free = threads
        self._places_for_strangers = waiting - reserved
        self._places = waiting
        self._known: deque[asyncio.Future[None]] = deque()
        self._strangers: deque[asyncio.Future[None]] = deque()
        self._delayed = 0
        self._devices: set[str] = set()
        """Known devices that wait or are served: each has one of the reserved places at most."""

    async def run(self, function: Callable[..., T], *given: object, device: str = "") -> T:
        """Run a function in one of the threads, after those that came before; who has a known ``device`` goes first.

        Raise HTTPException 503 when as many wait as may, for a stranger two earlier.
        """
        known = bool(device) and device not in self._devices
        if not known:
            return await self._run(partial(function, *given), self._strangers, self._places_for_strangers)
        self._devices.add(device)
        try:
            return await self._run(partial(function, *given), self._known, self._places)
        finally:
            self._devices.discard(device)

    async def _run(self, function: Callable[[], T], queue: deque[asyncio.Future[None]], places: int) -> T:
        if self._is_full(places) and self._delayed < MAX_DELAYED:
            self._delayed += 1
            try:
                # Not refused at once: a short burst finds a place, and a flood is slowed down.
                await asyncio.sleep(_DELAY_SECONDS)
            finally:
                self._delayed -= 1
        if self._free == 0:
            await self._wait(queue, places)
        else:
            self._free -= 1
        running = asyncio.get_running_loop().run_in_executor(self._executor, function)
        # Not when the waiting ends: who is cancelled leaves a thread that still works.
        running.add_done_callback(self._pass_on)
        return await running

    async def _wait(self, queue: deque[asyncio.Future[None]], places: int) -> None:
        if self._is_full(places):
            raise HTTPException(
                status_code=503,
                detail="Too many people are signing in right now. Try again in a moment.",
                headers={"Retry-After": "2"},
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # The place was given to a request that has just gone: pass it on, or it is lost for good.
            if turn.done() and not turn.cancelled():
                self._pass_on()
            # Already taken off the queue by whoever gave it its turn.
            with contextlib.suppress(ValueError):
                queue.remove(turn)
            raise

    def _is_full(self, places: int) -> bool:
        return self._free == 0 and len(self._known) + len(self._strangers) >= places

    def _pass_on(self, _done: object = None) -> None:
        """Give a thread that is free again to whoever is next."""
        # Known devices first: people get in while strangers guess.
        for queue in (self._known, self._strangers):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


def _step_back() -> None:
    """Let all other threads go first: on a machine with few cores, two that compute slow down everything."""
    with contextlib.suppress(OSError):  # a system that has no priorities of threads
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
