"""The clock of a delivery worker: what waits was set by it, and follows it when it jumps, also while nobody looked."""

import logging
import time
from collections.abc import Callable

from clickloop.clock import MINUTE_MS, Clock, wall_clock
from clickloop.postback.delivery.jump_aware_clock import SteadyTime
from clickloop.postback.delivery.store_thread import StoreThread

NOTED_MS = MINUTE_MS
"""The clock is written down this often, and after each jump, so that a start notices that it was set back meanwhile."""
_log = logging.getLogger(__name__)


class ClockWatch:
    """Steady time, and the store's moments that follow the wall clock. For one event loop."""

    def __init__(
        self,
        ledger: StoreThread,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._time = SteadyTime(clock, monotonic)
        self._to_follow_ms = 0
        """The jumps that the store has not followed yet, together."""
        self._noted_at: int | None = None
        self.now = self._time.now
        self.monotonic = monotonic

    async def begin(self) -> int:
        """Move what waits back if the clock was set back since it was last noted, and return the moment of now.

        The newest postback tells nothing of it: no postback may have been created while the clock was ahead, and one that was
        stays the newest for as long as the clock was ahead.
        """
        self._time.look()
        now_ms = self.now()
        latest_ms = await self._ledger.call(self._ledger.store.latest_moment)
        if latest_ms is not None and latest_ms > now_ms + MINUTE_MS:
            _log.warning("the clock is %d ms behind where it was last; what waits moves back", latest_ms - now_ms)
            await self._ledger.call(self._ledger.store.follow_clock, now_ms - latest_ms)
        await self._note()
        return now_ms

    def look(self) -> int:
        """Look at the wall clock and return how far it has jumped; 0: it has not."""
        jump_ms = self._time.look()
        if jump_ms:
            _log.warning("the clock jumped by %d ms", jump_ms)
            self._to_follow_ms += jump_ms
        return jump_ms

    async def follow(self) -> bool:
        """Let the store follow the jumps, and note the clock now and then; return whether there was a jump. Raise as the store does."""
        # Taken before the await, and put back on failure: a jump meanwhile adds to what is left.
        following, self._to_follow_ms = self._to_follow_ms, 0
        if following:
            try:
                await self._ledger.call(self._ledger.store.follow_clock, following)
            except Exception:
                self._to_follow_ms += following
                raise
            self._noted_at = None
        if self._noted_at is None or abs(self.now() - self._noted_at) >= NOTED_MS:
            await self._note()
        return following != 0

    async def _note(self) -> None:
        now_ms = self.now()
        await self._ledger.call(self._ledger.store.note_clock, now_ms)
        self._noted_at = now_ms
