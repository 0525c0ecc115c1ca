"""The clock of a delivery worker. Stored due times follow the wall clock when it jumps, also while no process was running."""

import logging
import time
from collections.abc import Callable

from clickloop.clock import MINUTE_MS, Clock, wall_clock
from clickloop.postback.delivery.jump_aware_clock import JumpAwareClock
from clickloop.postback.delivery.store_thread import StoreThread

SAVE_INTERVAL_MS = MINUTE_MS
"""Interval of storing the clock, besides after each jump. A start compares it to detect that the clock was set back."""
_log = logging.getLogger(__name__)


class ClockWatch:
    """A jump-free clock that also moves the store's due times when the wall clock jumps. For one event loop."""

    def __init__(
        self,
        ledger: StoreThread,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._time = JumpAwareClock(clock, monotonic)
        self._to_follow_ms = 0
        """The sum of the jumps that the store has not followed yet."""
        self._noted_at: int | None = None
        self.now = self._time.now
        self.monotonic = monotonic

    async def begin(self) -> int:
        """Move due times back if the clock was set back since it was last stored. Return the current time.

        The newest postback cannot tell: there may be none from while the clock was ahead, and one that there is remains the
        newest for as long as the clock was ahead.
        """
        self._time.look()
        now_ms = self.now()
        latest_ms = await self._ledger.call(self._ledger.store.latest_moment)
        if latest_ms is not None and latest_ms > now_ms + MINUTE_MS:
            _log.warning("the clock was set back by %d ms; due times move back with it", latest_ms - now_ms)
            await self._ledger.call(self._ledger.store.follow_clock, now_ms - latest_ms)
        await self._note()
        return now_ms

    def look(self) -> int:
        """Check the wall clock and return how far it has jumped since the last check, in milliseconds; 0 if it has not."""
        jump_ms = self._time.look()
        if jump_ms:
            _log.warning("the clock jumped by %d ms", jump_ms)
            self._to_follow_ms += jump_ms
        return jump_ms

    async def follow(self) -> bool:
        """Let the store follow jumps, and store the clock now and then. Return whether it jumped. Raise as the store does."""
        # Taken before the await and restored on failure, so that a jump meanwhile is added.
        following, self._to_follow_ms = self._to_follow_ms, 0
        if following:
            try:
                await self._ledger.call(self._ledger.store.follow_clock, following)
            except Exception:
                self._to_follow_ms += following
                raise
            self._noted_at = None
        if self._noted_at is None or abs(self.now() - self._noted_at) >= SAVE_INTERVAL_MS:
            await self._note()
        return following != 0

    async def _note(self) -> None:
        now_ms = self.now()
        await self._ledger.call(self._ledger.store.note_clock, now_ms)
        self._noted_at = now_ms
