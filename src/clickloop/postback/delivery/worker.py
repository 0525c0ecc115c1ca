"""Delivery: the worker that claims due postbacks, sends them and writes down what became of them.

A claim takes a lease with a fencing token and writes the attempt's row before the request leaves; a write with a token that has
been taken over touches nothing. Whatever is claimed and not finished is looked at again when its lease ends. Each receiver has
its lane; ``lanes`` decides what leaves next.

Its parts, in the order in which a postback passes through them: ``claimer``, ``departures``, ``outcome_writer``; beside them
``rescuer``. They run in one event loop, and wake each other by ``signals``.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from clickloop.clock import Clock, wall_clock
from clickloop.postback.delivery.claimer import Claimer
from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.departures import Claim, Departures, Send
from clickloop.postback.delivery.lanes import Lanes
from clickloop.postback.delivery.limits import DEFAULT_LIMITS, Limits
from clickloop.postback.delivery.outcome_writer import OutcomeWriter
from clickloop.postback.delivery.rescuer import Rescuer
from clickloop.postback.delivery.signals import Signals, pause
from clickloop.postback.delivery.store_thread import StoreThread
from clickloop.postback.delivery.work import PostbackStore

_log = logging.getLogger(__name__)


class Delivery:
    """One worker: ``run`` it once, in an event loop; ``wake`` and ``stop`` may be called from any thread."""

    def __init__(
        self,
        store: PostbackStore,
        send: Send,
        *,
        alone: bool,
        limits: Limits = DEFAULT_LIMITS,
        on_hold: bool = False,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``alone``: no other worker delivers from this store, so leases found at the start are dead and are taken over at once. Said
        wrongly, it sends again what another worker is sending: otherwise each lease is waited for. ``on_hold``: claim nothing.
        """
        self._alone = alone
        self._limits = limits
        self._signals = Signals()
        self._ledger = StoreThread(store)
        self._clock = ClockWatch(self._ledger, clock, monotonic)
        self._lanes: Lanes[Claim] = Lanes(limits.connections, limits.lane_connections)
        self._writer = OutcomeWriter(self._ledger, self._lanes.standing, self._clock, limits, self._signals)
        self._departures = Departures(self._lanes, self._writer, send, self._clock, limits, self._signals, chance)
        self._claimer = Claimer(
            self._ledger, self._lanes, self._departures, self._clock, limits, self._signals, self._watch_clock
        )
        self._claimer.on_hold = on_hold
        self._rescuer = Rescuer(
            self._ledger, self._lanes, self._writer, self._clock, limits, self._signals, self._watch_clock
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_stopped = False
        """For a ``stop`` before ``run``, when there is no event loop yet that could set ``quit``."""

    def wake(self) -> None:
        """Says that something is owed, so that it leaves at once. From any thread; without effect when not running."""
        self._in_loop(self._signals.due.set)

    def follow(self) -> None:
        """Says that somebody wants something of a receiver, so that it is done at once. From any thread."""
        self._in_loop(self._signals.look.set)

    def release(self) -> None:
        """End ``on_hold``. From any thread."""
        self._claimer.on_hold = False
        self.wake()

    def stop(self) -> None:
        """Asks ``run`` to claim no more, finish what is under way, write it down, and return. From any thread."""
        self._is_stopped = True  # before the loop is looked at: ``run`` does both the other way round
        self._in_loop(self._signals.end)

    async def run(self) -> None:
        """Delivers until ``stop``. It returns within about one deadline and a write; a failing store is waited for."""
        self._loop = asyncio.get_running_loop()
        if self._is_stopped:
            self._signals.end()
        try:
            await self._start()
            writing = asyncio.create_task(self._writer.run(self._departures.let_leave))
            rescuing = asyncio.create_task(self._rescuer.run())
            try:
                await self._claimer.run()
            finally:
                # In the order in which postbacks pass through: nothing is claimed or leaves any more, what is under way comes to
                # its end, and only then the writer is closed, for nothing can come in any more.
                self._signals.end()
                await self._departures.close()
                self._writer.close()
                await asyncio.gather(writing, rescuing)  # before the store's thread ends: both call into it
        finally:
            self._loop = None
            self._ledger.close()

    async def _start(self) -> None:
        """Corrects the moments if the clock was set back while we were away, and takes over what a dead worker left."""
        store = self._ledger.store
        while not self._signals.quit.is_set():
            try:
                now_ms = await self._clock.begin()
                self._lanes.restore(await self._ledger.call(store.lanes), self._clock.monotonic(), now_ms)
                rescued = await self._ledger.call(store.rescue, now_ms, self._alone)
                await self._writer.wake_held()
            except Exception:
                _log.exception("delivery cannot start: the ledger failed")
                await pause(self._signals.quit, self._limits.error_seconds)
            else:
                if rescued:
                    _log.warning("%d postbacks were under way when delivery stopped; they are tried again", rescued)
                return

    async def _watch_clock(self) -> None:
        """Follows the wall clock. When it has jumped, leases and moments that were set by it move along."""
        jump_ms = self._clock.look()
        if jump_ms < 0:
            self._writer.move(jump_ms)  # before anything is awaited: what ends from now on has the new time already
        if await self._clock.follow():
            self._signals.due.set()

    def _in_loop(self, do: Callable[[], None]) -> None:
        """Do it in the event loop's thread: an ``asyncio.Event`` may be set in no other."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(do)
