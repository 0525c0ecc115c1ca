"""The guard of the machine's clock, by which old records are deleted: it is compared with the monotonic clock and the last sign of life."""

import threading
from collections.abc import Callable

import msgspec

from clickloop.clock import DAY_MS, MINUTE_MS, Clock, iso_text

MAX_DRIFT_MS = MINUTE_MS
"""Maximum drift of the wall clock against the monotonic one within a day. NTP slews by 43 seconds a day at most."""
STEADY_MS = DAY_MS
"""Time without a jump after which the clock is trusted again."""
MAX_ABSENCE_MS = DAY_MS
"""Maximum time between the last sign of life and a start: beyond it, a long pause and a wrong clock look the same."""


class Doubt(msgspec.Struct, frozen=True):
    """The reason why nothing is deleted by the clock now. ``by_ms``: its lead or, negative, its lag."""

    at: int
    by_ms: int
    at_start: bool

    @property
    def sentence(self) -> str:
        """Return the reason for people, with what to do."""
        way = "ahead" if self.by_ms > 0 else "back"
        span = _span(abs(self.by_ms))
        if self.at_start:
            side = "after" if self.by_ms > 0 else "before"
            what = f"when the tracker started, the clock said {iso_text(self.at)}, {span} {side} it last ran"
        else:
            what = f"the clock jumped {way} by {span}, to {iso_text(self.at)}"
        return (
            f"{what}: nothing is deleted for its age, and no incoming postback is refused as expired_click, until the clock has been "
            "steady for a day. If it is right, confirm it on the page Health or with POST /api/v1/health/clock"
        )


class ClockGuard:
    """Compares a wall clock with a steady one that counts on while the machine sleeps. Threads may share it.

    ``wall`` is in Unix milliseconds, ``steady`` in seconds from any origin; ``last_seen_at``: when a tracker on this data folder
    last trusted its clock, None for a new folder.
    """

    def __init__(self, wall: Clock, steady: Callable[[], float], last_seen_at: int | None) -> None:
        self._wall = wall
        self._steady = steady
        self._lock = threading.Lock()  # housekeeping, the API and every request with a session read and move the marks
        now_ms, self._steady_at = wall(), steady()
        self._wall_at = self._trusted_wall = now_ms
        self._trusted_steady = self._steady_at
        self._doubt: Doubt | None = None
        if last_seen_at is not None and abs(now_ms - last_seen_at) > MAX_ABSENCE_MS:
            self._doubt = Doubt(now_ms, now_ms - last_seen_at, at_start=True)

    @property
    def doubt(self) -> Doubt | None:
        """Return why the clock is not trusted, as of the last check."""
        return self._doubt

    def moment_to_delete_by(self) -> int | None:
        """Return the moment by the wall clock if it can be trusted, else None. Delete by this very moment: the next may be wrong."""
        with self._lock:
            now_ms, steady = self._wall(), self._steady()
            passed_ms = round((steady - self._steady_at) * 1000)
            drift_ms = now_ms - self._wall_at - passed_ms
            if abs(drift_ms) > MAX_DRIFT_MS:
                self._doubt = Doubt(now_ms, drift_ms, at_start=False)
                self._wall_at, self._steady_at = now_ms, steady
            elif passed_ms >= STEADY_MS:
                # The marks move on once a day, so that a minute a day is allowed and not a minute for ever.
                self._doubt = None
                self._wall_at, self._steady_at = now_ms, steady
            if self._doubt is not None:
                return None
            self._trusted_wall, self._trusted_steady = now_ms, steady
            return now_ms

    def is_trusted(self) -> bool:
        """Return whether the clock can be trusted now."""
        return self.moment_to_delete_by() is not None

    def confirm(self) -> None:
        """Trust the clock as it is now: somebody has looked at it."""
        with self._lock:
            self._doubt = None
            self._wall_at = self._trusted_wall = self._wall()
            self._steady_at = self._trusted_steady = self._steady()

    def earlier_now(self) -> int:
        """Return the moment by the wall clock, or by the steady one where the wall clock jumped ahead: sessions are judged by it.

        A jump then ends no session; while the clock is wrong sessions live a little longer.
        """
        with self._lock:
            steady_now = self._trusted_wall + round((self._steady() - self._trusted_steady) * 1000)
            return min(self._wall(), steady_now + MAX_DRIFT_MS)


def _span(ms: int) -> str:
    """Return a span of time in its largest fitting unit."""
    for unit_ms, name in ((DAY_MS, "day"), (DAY_MS // 24, "hour"), (MINUTE_MS, "minute")):
        if ms >= unit_ms:
            count = round(ms / unit_ms)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{ms // 1000} seconds"
