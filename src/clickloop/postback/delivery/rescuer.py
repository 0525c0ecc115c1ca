"""The rescuer of a delivery worker: looks for leases that have ended, and for what users set and want of receivers."""

import logging
from collections.abc import Awaitable, Callable

from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.delivery_log import tell_asked
from clickloop.postback.delivery.departures import Claim
from clickloop.postback.delivery.lane import KeptLane
from clickloop.postback.delivery.lanes import Lanes
from clickloop.postback.delivery.limits import Limits
from clickloop.postback.delivery.outcome_writer import OutcomeWriter
from clickloop.postback.delivery.signals import Signals, pause
from clickloop.postback.delivery.store_thread import StoreThread

_log = logging.getLogger(__name__)


class Rescuer:
    """Nothing that was claimed is forgotten: whoever claimed it, once its lease has ended it waits again."""

    def __init__(
        self,
        ledger: StoreThread,
        lanes: Lanes[Claim],
        writer: OutcomeWriter,
        clock: ClockWatch,
        limits: Limits,
        signals: Signals,
        watch_clock: Callable[[], Awaitable[None]],
    ) -> None:
        """``watch_clock`` is awaited before each look: leases end by the clock."""
        self._ledger = ledger
        self._lanes = lanes
        self._writer = writer
        self._clock = clock
        self._limits = limits
        self._signals = signals
        self._watch_clock = watch_clock

    async def run(self) -> None:
        """Look now and then, and when somebody wants something of a receiver, until ``quit``."""
        while True:
            await pause(self._signals.look, self._limits.look_seconds)
            self._signals.look.clear()
            if self._signals.quit.is_set():
                return
            try:
                await self._look()
            except Exception:
                _log.exception("expired leases cannot be looked for: the ledger failed")
            self._lanes.forget_idle(self._clock.monotonic())

    async def _look(self) -> None:
        await self._watch_clock()
        store = self._ledger.store
        rescued = await self._ledger.call(store.rescue, self._clock.now())
        if rescued:
            _log.warning("%d postbacks had outlived their lease; they are tried again", rescued)
            self._signals.due.set()
        self._follow(await self._ledger.call(store.lanes))

    def _follow(self, kept: tuple[KeptLane, ...]) -> None:
        """Take over what users set for receivers, do what they want of them, and note which need not be waited for any more."""
        now = self._clock.monotonic()
        self._lanes.set_terms(kept)
        wanted = self._lanes.follow(kept, now, self._clock.now())
        for lane, wish in wanted.items():
            tell_asked(lane, wish)
        turned = {*wanted, *self._lanes.waits_over(now)}
        if turned:
            self._writer.note_turned(turned, wanted)
            self._signals.due.set()
