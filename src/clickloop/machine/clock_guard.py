"""The guard of the system clock, by which old records are deleted: checks it against boot time and the last sign of life."""

import threading
from collections.abc import Callable

import msgspec

from clickloop.clock import DAY_MS, MINUTE_MS, Clock, iso_text
from clickloop.plural import pluralize

MAX_DRIFT_MS = MINUTE_MS
"""Maximum drift of the wall clock against the steady one within a day. NTP slews by at most 43 seconds a day."""
STEADY_MS = DAY_MS
"""Time without a jump after which the clock is trusted again."""
MAX_ABSENCE_MS = DAY_MS
"""Maximum time between the last sign of life and a start; a longer one may as well be a wrong clock."""


class ClockDoubt(msgspec.Struct, frozen=True):
    """A reason not to trust the clock. ``by_ms``: how far it is ahead or, if negative, behind."""

    at: int
    by_ms: int
    at_start: bool

    @property
    def sentence(self) -> str:
        """Return the reason as a sentence with a remedy."""
        way = "ahead" if self.by_ms > 0 else "back"
        span = _span(abs(self.by_ms))
        if self.at_start:
            side = "after" if self.by_ms > 0 else "before"
            what = f"when the tracker started, the clock said {iso_text(self.at)}, {span} {side} it last ran"
        else:
            what = f"the clock jumped {way} by {span}, to {iso_text(self.at)}"
        return (
            f"{what}: no old records are deleted, and no incoming postback is refused as expired_click, until the clock has "
            "been steady for a day. If it is right, confirm it on the page Health or with POST /api/v1/health/clock"
        )


class ClockGuard:
    """Compares a wall clock with a steady one, which keeps counting while the machine sleeps. Thread-safe.

    ``wall`` is in Unix milliseconds, ``steady`` in seconds from any origin. ``last_seen_at``: the last sign of life of a tracker
    on this data folder, None for a new folder.
    """

    def __init__(self, wall: Clock, steady: Callable[[], float], last_seen_at: int | None) -> None:
        self._wall = wall
        self._steady = steady
        self._lock = (
            threading.Lock()
        )  # housekeeping, the API and every request with a session read and update the marks
        now_ms, self._steady_at = wall(), steady()
        self._wall_at = self._trusted_wall = now_ms
        self._trusted_steady = self._steady_at
        self._doubt: ClockDoubt | None = None
        if last_seen_at is not None and abs(now_ms - last_seen_at) > MAX_ABSENCE_MS:
            self._doubt = ClockDoubt(now_ms, now_ms - last_seen_at, at_start=True)

    @property
    def doubt(self) -> ClockDoubt | None:
        """Return why the clock is not trusted, as of the last check."""
        return self._doubt

    def trusted_now(self) -> int | None:
        """Return the wall clock's time if it can be trusted, else None. Use this very time: the clock may jump right after."""
        with self._lock:
            now_ms, steady = self._wall(), self._steady()
            passed_ms = round((steady - self._steady_at) * 1000)
            drift_ms = now_ms - self._wall_at - passed_ms
            if abs(drift_ms) > MAX_DRIFT_MS:
                self._doubt = ClockDoubt(now_ms, drift_ms, at_start=False)
                self._wall_at, self._steady_at = now_ms, steady
            elif passed_ms >= STEADY_MS:
                # The marks are updated once a day: the allowance is a minute per day, not a minute in total.
                self._doubt = None
                self._wall_at, self._steady_at = now_ms, steady
            if self._doubt is not None:
                return None
            self._trusted_wall, self._trusted_steady = now_ms, steady
            return now_ms

    def is_trusted(self) -> bool:
        """Return whether the clock can be trusted now."""
        return self.trusted_now() is not None

    def confirm(self) -> None:
        """Trust the clock as it is now, since a user has confirmed it."""
        with self._lock:
            self._doubt = None
            self._wall_at = self._trusted_wall = self._wall()
            self._steady_at = self._trusted_steady = self._steady()

    def earlier_now(self) -> int:
        """Return the time for judging sessions: the wall clock's, or the steady clock's if the wall clock has jumped ahead.

        So a jump ends no session; while the clock is wrong, sessions last a little longer.
        """
        with self._lock:
            steady_now = self._trusted_wall + round((self._steady() - self._trusted_steady) * 1000)
            return min(self._wall(), steady_now + MAX_DRIFT_MS)


def _span(ms: int) -> str:
    """Return a duration in its largest fitting unit."""
    for unit_ms, name in ((DAY_MS, "day"), (DAY_MS // 24, "hour"), (MINUTE_MS, "minute")):
        if ms >= unit_ms:
            return pluralize(round(ms / unit_ms), name)
    return f"{ms // 1000} seconds"
