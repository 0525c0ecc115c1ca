"""The only reader of the machine's clocks; all other code is passed a moment or a clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

Clock = Callable[[], int]
"""A function that returns the time in Unix milliseconds, UTC. Fields named ``…_at`` hold such moments."""

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

Moment = Annotated[str, Meta(description="ISO 8601, UTC, milliseconds.", examples=["2026-03-01T12:00:00.123Z"])]
"""A moment in a view, as ``iso_text`` returns it."""


def wall_clock() -> int:
    """Return the time by the system clock, in Unix milliseconds. It may jump in either direction."""
    return time.time_ns() // 1_000_000


def steady_seconds() -> float:
    """Return the seconds since boot, including sleep; jumps of the wall clock don't affect them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def iso_text(moment_ms: int) -> str:
    """Return a moment as ISO 8601 in UTC with milliseconds, the API's form: ``2026-03-01T12:00:00.123Z``."""
    moment = datetime.fromtimestamp(moment_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment_ms % 1000:03d}Z"


def optional_iso_text(moment_ms: int | None) -> str | None:
    """Return a moment as ISO 8601, or None."""
    return None if moment_ms is None else iso_text(moment_ms)
