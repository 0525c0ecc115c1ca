"""The delivery worker: claims due postbacks, sends them and records the outcomes.

A claim takes a lease with a fencing token and writes the attempt's row before the request leaves; a write with a stale token
changes nothing. A claimed postback that is not finished is sent again once its lease has expired. Each receiver has its own
queue, and they decide together what leaves next.

A postback passes through ``claimer``, ``departures`` and ``outcome_writer``; ``rescuer`` runs beside them. They share one event
loop, and wake each other with ``signals``.
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
from clickloop.postback.delivery.limits import DEFAULT_LIMITS, DeliveryLimits
from clickloop.postback.delivery.outcome_writer import OutcomeWriter
from clickloop.postback.delivery.receiver_queues import ReceiverQueues
from clickloop.postback.delivery.rescuer import Rescuer
from clickloop.postback.delivery.signals import Signals, pause
from clickloop.postback.delivery.store_thread import StoreThread
from clickloop.postback.delivery.work import PostbackStore

_log = logging.getLogger(__name__)


class Delivery:
    """A delivery worker. ``run`` it once, in an event loop; the other methods may be called from any thread."""

    def __init__(
        self,
        store: PostbackStore,
        send: Send,
        *,
        alone: bool,
        limits: DeliveryLimits = DEFAULT_LIMITS,
        on_hold: bool = False,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``alone``: no other worker delivers from this store, so leases found at the start are dead and taken over at once. If
        that is not true, postbacks that another worker is sending are sent twice. ``on_hold``: claim nothing until ``release``.
        """
        self._alone = alone
        self._limits = limits
        self._signals = Signals()
        self._ledger = StoreThread(store)
        self._clock = ClockWatch(self._ledger, clock, monotonic)
        self._receivers: ReceiverQueues[Claim] = ReceiverQueues(limits.connections, limits.receiver_connections)
        self._writer = OutcomeWriter(self._ledger, self._receivers.condition, self._clock, limits, self._signals)
        self._departures = Departures(self._receivers, self._writer, send, self._clock, limits, self._signals, chance)
        self._claimer = Claimer(
            self._ledger, self._receivers, self._departures, self._clock, limits, self._signals, self._watch_clock
        )
        self._claimer.on_hold = on_hold
        self._rescuer = Rescuer(
            self._ledger, self._receivers, self._writer, self._clock, limits, self._signals, self._watch_clock
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_stopped = False
        """Set by a ``stop`` before ``run``, when there is no event loop yet in which to set ``quit``."""

    def wake(self) -> None:
        """Report that postbacks were created, so that they leave at once. Without effect when not running."""
        self._in_loop(self._signals.due.set)

    def follow(self) -> None:
        """Report that a user has a command for a receiver, so that it is done at once."""
        self._in_loop(self._signals.look.set)

    def release(self) -> None:
        """End ``on_hold``."""
        self._claimer.on_hold = False
        self.wake()

    def stop(self) -> None:
        """Let ``run`` claim no more, finish and record what is under way, and return."""
        self._is_stopped = True  # before the loop is read: ``run`` does both in reverse order
        self._in_loop(self._signals.end)

    async def run(self) -> None:
        """Deliver until ``stop``, then return within about one deadline and a write; a failing store is retried."""
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
                # In the order in which postbacks pass through: nothing more is claimed or leaves, what is under way ends, and
                # only then is the writer closed, when nothing more can arrive.
                self._signals.end()
                await self._departures.close()
                self._writer.close()
                await asyncio.gather(writing, rescuing)  # before the store's thread ends: both call into it
        finally:
            self._loop = None
            self._ledger.close()

    async def _start(self) -> None:
        """Correct due times if the clock was set back while no worker ran, and take over what a dead worker left."""
        store = self._ledger.store
        while not self._signals.quit.is_set():
            try:
                now_ms = await self._clock.begin()
                self._receivers.restore(await self._ledger.call(store.receivers), self._clock.monotonic(), now_ms)
                rescued = await self._ledger.call(store.rescue, now_ms, self._alone)
                await self._writer.wake_resumed()
            except Exception:
                _log.exception("delivery cannot start: the ledger failed")
                await pause(self._signals.quit, self._limits.error_seconds)
            else:
                if rescued:
                    _log.warning("%d postbacks were under way when delivery stopped; they are sent again", rescued)
                return

    async def _watch_clock(self) -> None:
        """Check the wall clock. If it has jumped, move leases and due times along."""
        jump_ms = self._clock.look()
        if jump_ms < 0:
            self._writer.move(
                jump_ms
            )  # before anything is awaited: attempts that end from now on already have the new time
        if await self._clock.follow():
            self._signals.due.set()

    def _in_loop(self, do: Callable[[], None]) -> None:
        """Call it in the event loop's thread, the only one that may set an ``asyncio.Event``."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(do)
