"""The claimer of a delivery worker: claims due postbacks from the store, as many as there is capacity for."""

import logging
from collections.abc import Awaitable, Callable

from clickloop.clock import SECOND_MS
from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.departures import Claim, Departures
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.receiver_queues import ReceiverQueues
from clickloop.postback.delivery.signals import Signals, pause
from clickloop.postback.delivery.store_thread import StoreThread
from clickloop.postback.delivery.work import ClaimBatch

RETRY_WHEN_FULL_SECONDS = 0.05
"""Delay before looking again when there is no capacity: not every end of an attempt wakes the claimer."""
_log = logging.getLogger(__name__)


class Claimer:
    """Claims due postbacks. A claim takes a lease, and the store writes the attempt's row before its request can leave."""

    def __init__(
        self,
        ledger: StoreThread,
        receivers: ReceiverQueues[Claim],
        departures: Departures,
        clock: ClockWatch,
        limits: DeliveryLimits,
        signals: Signals,
        watch_clock: Callable[[], Awaitable[None]],
    ) -> None:
        """``watch_clock`` is awaited before each claim, because the clock decides what is due."""
        self.on_hold = False
        """While True, nothing is claimed."""
        self._ledger = ledger
        self._receivers = receivers
        self._departures = departures
        self._clock = clock
        self._limits = limits
        self._signals = signals
        self._watch_clock = watch_clock
        self._after = ""
        """The receiver served last."""

    async def run(self) -> None:
        """Claim until ``quit``."""
        due = self._signals.due
        while not self._signals.quit.is_set():
            due.clear()
            if self.on_hold:
                await pause(due, self._limits.poll_seconds)
            elif (want := self._want()) <= 0:
                await pause(due, RETRY_WHEN_FULL_SECONDS)
            else:
                await self._claim(want)

    def _want(self) -> int:
        limits = self._limits
        return min(limits.batch, limits.queue - self._receivers.queued, limits.held - self._departures.held)

    async def _claim(self, want: int) -> None:
        limits = self._limits
        # Before the call, so that no lease ends earlier than assumed here.
        called_at = self._clock.monotonic()
        rooms = self._receivers.rooms(called_at, self._after)
        lease_ms = int(limits.lease_seconds * SECOND_MS)
        try:
            await self._watch_clock()
            claimed = await self._ledger.call(self._ledger.store.claim, self._clock.now(), want, lease_ms, rooms)
        except Exception:
            _log.exception("postbacks cannot be claimed: the ledger failed")
            await pause(self._signals.quit, limits.error_seconds)
            return
        # Round robin: otherwise the first receivers would take every small claim.
        self._after = claimed.last
        self._departures.take(claimed, called_at + limits.lease_seconds - limits.deadline_seconds)
        if not claimed.more:
            await self._wait_for_more(claimed)

    async def _wait_for_more(self, claimed: ClaimBatch) -> None:
        """Wait until a postback is created or due, a receiver's queue runs dry, or a probe may leave."""
        limits = self._limits
        if claimed.seen < limits.batch // 4:
            # Many small claims cost more than a short delay.
            await pause(self._signals.quit, limits.claim_after_seconds)
        wait_seconds = limits.next_poll_seconds if claimed.seen else limits.poll_seconds
        if claimed.next_at is not None:
            # At least 10 ms: a time just passed would otherwise cause a tight loop.
            wait_seconds = min(wait_seconds, max(0.01, (claimed.next_at - self._clock.now()) / SECOND_MS))
        probe_seconds = self._receivers.next_probe(self._clock.monotonic())
        if probe_seconds is not None:
            wait_seconds = min(wait_seconds, probe_seconds)
        await pause(self._signals.due, wait_seconds)
