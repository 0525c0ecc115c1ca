"""The circuit breaker of a receiver: pauses one that keeps failing, probes it, and resumes it. Pure: time is passed in.

``now`` is a monotonic time in seconds, so that a clock that jumps pauses and resumes nothing. ``now_ms`` is used only for display
and for state that survives a restart.
"""

import enum
from collections import deque

import msgspec

from clickloop.clock import SECOND_MS
from clickloop.postback.retry import TRANSIENT_CODES, AttemptOutcome, Trouble

WINDOW_SECONDS = 300  # long enough for ten attempts at a receiver with little traffic
SLOT_SECONDS = 10  # attempts are counted per slot, so memory stays constant at any rate
OPENS_AT = 10
"""Minimum number of attempts in the window before the breaker can open: fewer may fail by chance."""
OPENS_PERCENT = 70
"""Percentage of failed attempts in the window at which the breaker opens."""
FIRST_PROBE_SECONDS = 30  # a restart at the receiver is often over by then
MAX_PROBE_SECONDS = 900  # the longest delay in noticing that a receiver is back


class AttemptVerdict(enum.Enum):
    """The verdict of an attempt on the receiver itself, regardless of the postback."""

    ANSWERED = "answered"
    FAILED = "failed"
    NOT_ASKED = "not_asked"
    """No request was sent, so it says nothing."""


def verdict_of(outcome: AttemptOutcome) -> AttemptVerdict:
    """Return the verdict on the receiver: timeouts, network errors, 5xx, 408, 425 and 429 count as failures.

    Any other response shows that it works: other 4xx, and a 200 whose text means failure, concern one request.
    """
    if outcome.trouble in (Trouble.UNSENDABLE, Trouble.ADDRESS_REFUSED):
        return AttemptVerdict.NOT_ASKED
    if outcome.status_code is None:
        return AttemptVerdict.FAILED
    return (
        AttemptVerdict.FAILED
        if outcome.status_code >= 500 or outcome.status_code in TRANSIENT_CODES
        else AttemptVerdict.ANSWERED
    )


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """The pause of a receiver. Times are Unix milliseconds."""

    opened_at: int
    probe_at: int
    """When the next probe may be sent: one postback, to see whether the receiver is back."""
    probes: int = 0
    """Number of failed probes."""
    why: str = ""
    """Why it was paused, as a sentence."""


class BreakerChange(enum.Enum):
    """The change that the end of an attempt caused in a receiver's state."""

    PAUSED = "paused"
    STILL_PAUSED = "still_paused"
    RESUMED = "resumed"
    HELD = "held"
    """It requested a wait (Retry-After)."""


class Breaker:
    """The breaker of one receiver, counting the verdicts of the last five minutes. ``pause`` is None while it is closed."""

    __slots__ = ("_attempts", "_failed", "_probe_due", "_slots", "pause")

    def __init__(self) -> None:
        self.pause: Pause | None = None
        self._probe_due = 0.0
        self._slots: deque[list[int]] = deque()
        """Slot number, attempts and failures of each slot, oldest first."""
        self._attempts = 0
        self._failed = 0

    def restore(self, pause: Pause, now: float, now_ms: int) -> None:
        """Restore the pause of an earlier process."""
        self.pause = pause
        # Bounded, because the clock may have jumped meanwhile.
        self._probe_due = now + min(max(0.0, (pause.probe_at - now_ms) / SECOND_MS), probe_wait(pause.probes))

    def probe_in(self, now: float) -> float:
        """Return the seconds until a probe may leave; 0 or less: now. Only for a paused receiver."""
        return self._probe_due - now

    def probe_now(self, now: float, now_ms: int) -> None:
        """Let a probe leave immediately. Does nothing unless the receiver is paused."""
        if self.pause is not None:
            self._probe_due = now
            self.pause = msgspec.structs.replace(self.pause, probe_at=now_ms)

    def close(self) -> None:
        """End the pause without a probe, and reset the counts."""
        self.pause = None
        self._forget()

    def judge(self, verdict: AttemptVerdict, now: float, now_ms: int, *, probe: bool = False) -> BreakerChange | None:
        """Apply a verdict. While paused only that of a ``probe`` counts, not those of attempts that had left before."""
        if self.pause is not None:
            return self._judge_probe(self.pause, verdict, now, now_ms) if probe else None
        if verdict is AttemptVerdict.NOT_ASKED:
            return None
        self._count(verdict is AttemptVerdict.FAILED, now)
        if verdict is AttemptVerdict.ANSWERED or self._attempts < OPENS_AT:
            return None
        if self._failed * 100 < self._attempts * OPENS_PERCENT:
            return None
        why = f"{self._failed} of {self._attempts} attempts within {WINDOW_SECONDS // 60} minutes failed."
        self._forget()
        self._probe_due = now + FIRST_PROBE_SECONDS
        self.pause = Pause(opened_at=now_ms, probe_at=now_ms + FIRST_PROBE_SECONDS * SECOND_MS, why=why)
        return BreakerChange.PAUSED

    def _judge_probe(self, pause: Pause, verdict: AttemptVerdict, now: float, now_ms: int) -> BreakerChange:
        if verdict is AttemptVerdict.ANSWERED:
            self.pause = None
            return BreakerChange.RESUMED
        probes = pause.probes + (verdict is AttemptVerdict.FAILED)
        wait_seconds = probe_wait(probes)
        self._probe_due = now + wait_seconds
        self.pause = msgspec.structs.replace(pause, probes=probes, probe_at=now_ms + wait_seconds * SECOND_MS)
        return BreakerChange.STILL_PAUSED

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
