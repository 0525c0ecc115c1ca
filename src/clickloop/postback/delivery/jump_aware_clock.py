"""Steady time: the wall clock when it was last looked at, and steady time since, so that between two looks it never jumps."""

import time
from collections.abc import Callable

from clickloop.clock import SECOND_MS, Clock, wall_clock

JUMP_MS = 2_000
"""The wall clock jumped when it went this much further, or less far, than time did."""


class SteadyTime:
    """The moment in Unix milliseconds, and how far the wall clock has jumped."""

    def __init__(self, clock: Clock = wall_clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._looked = (clock(), monotonic())

    def now(self) -> int:
        """The moment."""
        wall_ms, steady = self._looked
        return wall_ms + int((self._monotonic() - steady) * SECOND_MS)

    def look(self) -> int:
        """Looks at the wall clock; answers how far it has jumped, 0 for what is none."""
        jump_ms = self._clock() - self.now()
        self._looked = (self._clock(), self._monotonic())
        return jump_ms if abs(jump_ms) > JUMP_MS else 0
