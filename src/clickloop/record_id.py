"""Ids of records, which sort by time: 26 characters of lower-case Crockford base32.

A click id (see ``click_id``) has the same shape but carries a keyed tag; these carry 80 random bits.
"""

import os
import threading
from collections.abc import Callable

from clickloop.clock import Clock, wall_clock

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)


def base32_time(moment_ms: int) -> str:
    """Return 48 bits of Unix milliseconds as the ten leading characters of an id."""
    return (
        PAIRS[moment_ms >> 40 & 1023]
        + PAIRS[moment_ms >> 30 & 1023]
        + PAIRS[moment_ms >> 20 & 1023]
        + PAIRS[moment_ms >> 10 & 1023]
        + PAIRS[moment_ms & 1023]
    )


def base32_tail(bits80: int) -> str:
    """Return 80 bits as the sixteen trailing characters of an id."""
    return (
        PAIRS[bits80 >> 70 & 1023]
        + PAIRS[bits80 >> 60 & 1023]
        + PAIRS[bits80 >> 50 & 1023]
        + PAIRS[bits80 >> 40 & 1023]
        + PAIRS[bits80 >> 30 & 1023]
        + PAIRS[bits80 >> 20 & 1023]
        + PAIRS[bits80 >> 10 & 1023]
        + PAIRS[bits80 & 1023]
    )


class EntropyPool:
    """Random bytes from a pool that one system call fills for hundreds of ids. Not thread-safe."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._pool = b""
        self._at = 0

    def __call__(self, count: int) -> bytes:
        """Return this many random bytes, at most the pool's size."""
        at, end = self._at, self._at + count
        if end > len(self._pool):
            self._pool = os.urandom(self._size)
            at, end = 0, count
        self._at = end
        return self._pool[at:end]


class RecordIds:
    """A generator of ids that are unique and ascending within this process, even when the clock jumps back. Thread-safe."""

    def __init__(self, clock: Clock = wall_clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._entropy = entropy
        # Two threads in one millisecond would otherwise draw the same id.
        self._lock = threading.Lock()
        self._last_ms = 0
        self._tail = 0

    def __call__(self) -> str:
        with self._lock:
            now_ms = self._clock()
            # One bit less than fits: the tail can then be incremented without overflow.
            step = int.from_bytes(self._entropy(10), "big") >> 1
            if now_ms > self._last_ms:
                self._last_ms = now_ms
                self._tail = step
            else:
                self._tail += 1 + (step & 0xFFFFFFFF)
            return base32_time(self._last_ms) + base32_tail(self._tail)
