"""A clock that does not jump between checks: the wall clock at the last check, plus monotonic time since."""

import time
from collections.abc import Callable

from clickloop.clock import SECOND_MS, Clock, wall_clock

JUMP_MS = 2_000
"""Minimum difference between elapsed wall clock and elapsed monotonic time that counts as a jump."""


class JumpAwareClock:
    """The current time in Unix milliseconds, and how far the wall clock has jumped."""

    def __init__(self, clock: Clock = wall_clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._looked = (clock(), monotonic())

    def now(self) -> int:
        wall_ms, steady = self._looked
        return wall_ms + int((self._monotonic() - steady) * SECOND_MS)

    def look(self) -> int:
        """Adopt the wall clock and return how far it had jumped; 0 if no further than ``JUMP_MS``."""
        jump_ms = self._clock() - self.now()
        self._looked = (self._clock(), self._monotonic())
        return jump_ms if abs(jump_ms) > JUMP_MS else 0
