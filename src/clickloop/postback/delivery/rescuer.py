"""The rescuer of a delivery worker: recovers postbacks with expired leases, and applies users' limits and commands."""

import logging
from collections.abc import Awaitable, Callable

from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.delivery_log import log_receiver_command
from clickloop.postback.delivery.departures import Claim
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.outcome_writer import OutcomeWriter
from clickloop.postback.delivery.receiver_queue import StoredReceiver
from clickloop.postback.delivery.receiver_queues import ReceiverQueues
from clickloop.postback.delivery.signals import Signals, pause
from clickloop.postback.delivery.store_thread import StoreThread

_log = logging.getLogger(__name__)


class Rescuer:
    """Returns postbacks whose lease has expired to waiting, whichever worker had claimed them, so that none is lost."""

    def __init__(
        self,
        ledger: StoreThread,
        receivers: ReceiverQueues[Claim],
        writer: OutcomeWriter,
        clock: ClockWatch,
        limits: DeliveryLimits,
        signals: Signals,
        watch_clock: Callable[[], Awaitable[None]],
    ) -> None:
        """``watch_clock`` is awaited before each check, because the clock decides which leases have expired."""
        self._ledger = ledger
        self._receivers = receivers
        self._writer = writer
        self._clock = clock
        self._limits = limits
        self._signals = signals
        self._watch_clock = watch_clock

    async def run(self) -> None:
        """Check periodically, and when a user has a command for a receiver, until ``quit``."""
        while True:
            await pause(self._signals.look, self._limits.poll_seconds)
            self._signals.look.clear()
            if self._signals.quit.is_set():
                return
            try:
                await self._look()
            except Exception:
                _log.exception("expired leases cannot be recovered: the ledger failed")
            self._receivers.forget_idle(self._clock.monotonic())

    async def _look(self) -> None:
        await self._watch_clock()
        store = self._ledger.store
        rescued = await self._ledger.call(store.rescue, self._clock.now())
        if rescued:
            _log.warning("the leases of %d postbacks expired; they are sent again", rescued)
            self._signals.due.set()
        self._follow(await self._ledger.call(store.receivers))

    def _follow(self, stored: tuple[StoredReceiver, ...]) -> None:
        """Apply users' limits and commands, and store which receivers' waits have ended."""
        now = self._clock.monotonic()
        self._receivers.set_terms(stored)
        done = self._receivers.follow(stored, now, self._clock.now())
        for receiver, command in done.items():
            log_receiver_command(receiver, command)
        changed = {*done, *self._receivers.waits_over(now)}
        if changed:
            self._writer.note_changed(changed, done)
            self._signals.due.set()
