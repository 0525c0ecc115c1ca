"""The breaker of a lane: pauses a receiver that fails again and again, probes it, and lets it go on. Pure: moments are passed in.

``now`` is a monotonic time in seconds, so that a clock that jumps pauses and resumes nothing; ``now_ms`` is only for people and
for what outlives a restart.
"""

import enum
from collections import deque

import msgspec

from clickloop.clock import SECOND_MS
from clickloop.postback.retry import PASSING, Outcome, Trouble

WINDOW_SECONDS = 300  # long enough for ten attempts at a receiver with little traffic
SLOT_SECONDS = 10  # counts by slot, not by attempt: memory stays flat at any rate
OPENS_AT = 10
"""Minimum number of attempts within the window for a verdict on a receiver: fewer may fail by chance."""
OPENS_PERCENT = 70
"""Share of failed attempts in the window from which the breaker opens."""
FIRST_PROBE_SECONDS = 30  # a restart at the receiver is often over by then
MAX_PROBE_SECONDS = 900  # a receiver that is back after hours is noticed within this


class Verdict(enum.Enum):
    """What an attempt says of the receiver itself, whatever it means for the postback."""

    ANSWERED = "answered"
    FAILED = "failed"
    NOT_ASKED = "not_asked"
    """The attempt never reached out: it says nothing."""


def verdict_of(outcome: Outcome) -> Verdict:
    """Time-outs, network errors, 5xx, 408, 425 and 429 count against the receiver; any other answer shows that it is there.

    Other 4xx concern one request, and so does a 200 whose text means failure.
    """
    if outcome.trouble in (Trouble.UNSENDABLE, Trouble.ADDRESS_REFUSED):
        return Verdict.NOT_ASKED
    if outcome.status_code is None:
        return Verdict.FAILED
    return Verdict.FAILED if outcome.status_code >= 500 or outcome.status_code in PASSING else Verdict.ANSWERED


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A paused receiver. Moments are Unix milliseconds."""

    opened_at: int
    probe_at: int
    """When the next attempt is let through to see whether it is back."""
    probes: int = 0
    """How many of those have failed."""
    why: str = ""
    """What was found when it was paused, for people."""


class Turn(enum.Enum):
    """What the end of an attempt, or somebody's wish, made of a receiver."""

    PAUSED = "paused"
    STILL_PAUSED = "still_paused"
    RESUMED = "resumed"
    HELD = "held"
    """It asked us to wait."""


class Breaker:
    """Counts the verdicts of the last five minutes. ``pause`` is None while the receiver may be asked."""

    __slots__ = ("_attempts", "_failed", "_probe_due", "_slots", "pause")

    def __init__(self) -> None:
        self.pause: Pause | None = None
        self._probe_due = 0.0
        self._slots: deque[list[int]] = deque()
        """Number of the slot, attempts and failures in it; oldest first."""
        self._attempts = 0
        self._failed = 0

    def restore(self, pause: Pause, now: float, now_ms: int) -> None:
        """Goes on where an earlier process stopped. A clock that jumped meanwhile cannot put the probe off for longer than usual."""
        self.pause = pause
        usual = probe_wait(pause.probes)
        self._probe_due = now + min(max(0.0, (pause.probe_at - now_ms) / SECOND_MS), usual)

    def probe_in(self, now: float) -> float:
        """Seconds until a probe may leave; not above 0: it may. Only for a paused receiver."""
        return self._probe_due - now

    def probe_now(self, now: float, now_ms: int) -> None:
        """Lets a probe leave at once. Only for a paused receiver."""
        if self.pause is not None:
            self._probe_due = now
            self.pause = msgspec.structs.replace(self.pause, probe_at=now_ms)

    def close(self) -> None:
        """Lets a paused receiver be asked again without a probe; what was counted before is forgotten."""
        self.pause = None
        self._forget()

    def judge(self, verdict: Verdict, now: float, now_ms: int, *, probe: bool = False) -> Turn | None:
        """Takes a verdict in. While paused only a ``probe`` counts, not what had left before."""
        if self.pause is not None:
            return self._judge_probe(self.pause, verdict, now, now_ms) if probe else None
        if verdict is Verdict.NOT_ASKED:
            return None
        self._count(verdict is Verdict.FAILED, now)
        if verdict is Verdict.ANSWERED or self._attempts < OPENS_AT:
            return None
        if self._failed * 100 < self._attempts * OPENS_PERCENT:
            return None
        why = f"{self._failed} of {self._attempts} attempts within {WINDOW_SECONDS // 60} minutes failed."
        self._forget()
        self._probe_due = now + FIRST_PROBE_SECONDS
        self.pause = Pause(opened_at=now_ms, probe_at=now_ms + FIRST_PROBE_SECONDS * SECOND_MS, why=why)
        return Turn.PAUSED

    def _judge_probe(self, pause: Pause, verdict: Verdict, now: float, now_ms: int) -> Turn:
        if verdict is Verdict.ANSWERED:
            self.pause = None
            return Turn.RESUMED
        probes = pause.probes + (verdict is Verdict.FAILED)
        wait_seconds = probe_wait(probes)
        self._probe_due = now + wait_seconds
        self.pause = msgspec.structs.replace(pause, probes=probes, probe_at=now_ms + wait_seconds * SECOND_MS)
        return Turn.STILL_PAUSED

    def _count(self, failed: bool, now: float) -> None:
        slot = int(now // SLOT_SECONDS)
        while self._slots and self._slots[0][0] <= slot - WINDOW_SECONDS // SLOT_SECONDS:
            _, attempts, failures = self._slots.popleft()
            self._attempts -= attempts
            self._failed -= failures
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append([slot, 0, 0])
        self._slots[-1][1] += 1
        self._slots[-1][2] += failed
        self._attempts += 1
        self._failed += failed

    def _forget(self) -> None:
        self._slots.clear()
        self._attempts = self._failed = 0


def probe_wait(probes: int) -> int:
    """Return the seconds before the next probe, by the number of failed ones: 30 s, doubling up to 15 min."""
    return int(min(FIRST_PROBE_SECONDS * 2 ** min(probes, 10), MAX_PROBE_SECONDS))
