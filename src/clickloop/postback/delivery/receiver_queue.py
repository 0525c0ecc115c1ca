"""The queue of one receiver (host and port). Pure: time is passed in.

It has a width (the number of requests that may be under way), a breaker, and, if the user sets one, a rate. It waits when the
receiver requests that (Retry-After). ``now`` is a monotonic time in seconds.
"""

import enum
from collections import deque
from typing import Generic, TypeVar

import msgspec

from clickloop.clock import SECOND_MS
from clickloop.postback.delivery.breaker import AttemptVerdict, Breaker, BreakerChange, Pause

RECEIVER_CONNECTIONS = 20
"""Default maximum width."""
FIRST_WIDTH = 4
"""Width at the start, when nothing is known of the receiver; each response widens it by one."""
PACE_SECONDS = 0.25
"""Length of the slots in which ended attempts are counted: work is claimed ahead for as long, at the receiver's recent pace."""
MAX_CLAIMED_AHEAD = 400  # what is claimed and not sent must be released when the process ends
CATCH_UP_SECONDS = 0.1
"""Maximum lost time that a rate may catch up on. More would be a burst at the receiver."""
RATED_AHEAD_SECONDS = 2  # a rate needs no more claimed ahead, and a changed rate takes effect soon
LONGER_SECONDS = 1
"""Minimum extension of a requested wait that is reported again, so that not every response of the same wait is."""

_Entry = TypeVar("_Entry")


class ReceiverTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The user's limits for a receiver."""

    connections: int | None = None
    """Maximum number of requests under way; None: the default."""
    per_minute: int | None = None
    """Maximum number of requests per minute, evenly spread; None for no limit."""


NO_TERMS = ReceiverTerms()


class ReceiverCommand(enum.StrEnum):
    """A user's command for a receiver that is paused, or that requested a wait."""

    PROBE = "probe"
    """Send one postback now."""
    RESUME = "resume"
    """Send as before."""


class ReceiverCondition(msgspec.Struct, frozen=True, kw_only=True):
    """The condition of a receiver. ``held_until``: the end of the wait that it requested, in Unix milliseconds; None for no wait."""

    pause: Pause | None = None
    held_until: int | None = None


class StoredReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """The stored state of a receiver, which survives a restart."""

    receiver: str
    terms: ReceiverTerms = NO_TERMS
    pause: Pause | None = None
    held_until: int | None = None
    """As in ``ReceiverCondition``."""
    command: ReceiverCommand | None = None
    """The user's command that is still to be done."""


class ReceiverQueue(Generic[_Entry]):
    """The queue of one receiver; ``ReceiverQueues`` owns them."""

    __slots__ = (
        *("breaker", "deferred_until", "has_more", "held_until", "in_flight", "is_listed", "leave_at", "max_width"),
        *("name", "queue", "terms", "used_at", "width", "_ended", "_ended_before", "_slot"),
    )

    def __init__(self, name: str, max_width: int) -> None:
        self.name = name
        self.max_width = max_width
        self.terms = NO_TERMS
        self.width = min(FIRST_WIDTH, max_width)
        self.breaker = Breaker()
        self.queue: deque[_Entry] = deque()
        self.in_flight = 0
        self.leave_at = 0.0
        """When the rate lets the next one leave."""
        self.deferred_until = 0.0
        """The end of the wait that the receiver requested."""
        self.held_until: int | None = None
        """The same in Unix milliseconds; None for no wait, or its end was reported."""
        self.used_at = 0.0
        self.has_more = False
        """More is due for it than could be claimed."""
        self.is_listed = False
        self._slot = 0
        self._ended = 0
        self._ended_before = 0

    def is_ready(self, now: float, free: int) -> bool:
        """Return whether the next entry may leave, with ``free`` connections left for all receivers.

        A receiver gets no more connections than remain for the others, so that dead receivers cannot take them all.
        """
        if self.deferred_until > now:
            return False
        if self.breaker.pause is not None:
            return self.in_flight == 0 and free > 0 and self.breaker.probe_in(now) <= 0
        return self.in_flight < min(self.width, free) and self.leave_at <= now

    def room(self, now: float, free: int) -> int:
        """Return how much more to claim: what can leave at once, and what will be done soon."""
        if self.deferred_until > now:
            return 0
        if self.breaker.pause is not None:
            return int(not self.queue and self.is_ready(now, 1))
        idle = self.width - self.in_flight
        room = (min(idle, max(free, 1)) if idle > 0 else 0) + self.recent_ends(now)
        if self.terms.per_minute is not None:
            room = min(room, max(1, self.terms.per_minute * RATED_AHEAD_SECONDS // 60))
        return max(0, room - len(self.queue))

    def recent_ends(self, now: float) -> int:
        """Return how many attempts ended in the current or the previous slot, whichever is more."""
        self._advance_slot(now)
        return min(MAX_CLAIMED_AHEAD, max(self._ended, self._ended_before))

    def is_running_dry(self, now: float) -> bool:
        """Return whether it is time to claim more, if more is due."""
        return self.in_flight + len(self.queue) <= (self.width + self.recent_ends(now)) // 2

    @property
    def probes_newest(self) -> bool:
        """Return whether the next probe is the newest postback.

        Oldest and newest alternate, so that a postback that always fails cannot keep the receiver paused for ever.
        """
        return self.breaker.pause is not None and self.breaker.pause.probes % 2 == 1

    def leave(self, now: float) -> None:
        """Record that an entry leaves."""
        self.in_flight += 1
        self.used_at = now
        if self.terms.per_minute is not None:
            self.leave_at = max(self.leave_at, now - CATCH_UP_SECONDS) + 60 / self.terms.per_minute

    def end(
        self, verdict: AttemptVerdict, status_code: int | None, now: float, now_ms: int, probe: bool
    ) -> BreakerChange | None:
        """Record that an entry ended: responses widen the queue by one, failures narrow it by one, 429 halves it."""
        self.in_flight -= 1
        self.used_at = now
        self._advance_slot(now)
        self._ended += 1
        change = self.breaker.judge(verdict, now, now_ms, probe=probe)
        if change is not None:
            self.width = 1
        elif status_code == 429:
            self.width = max(1, self.width // 2)
        elif verdict is AttemptVerdict.FAILED:
            self.width = max(1, self.width - 1)
        elif verdict is AttemptVerdict.ANSWERED:
            self.width = min(self.max_width, self.width + 1)
        return change

    def defer(self, wait_ms: int, now: float, now_ms: int) -> bool:
        """Defer until a requested wait is over. Return False if it extends the current wait by less than ``LONGER_SECONDS``."""
        before, until = self.deferred_until, now + wait_ms / SECOND_MS
        if until <= before:
            return False
        self.deferred_until, self.held_until = until, now_ms + wait_ms
        return before <= now or until - before >= LONGER_SECONDS

    def resume(self) -> None:
        """Resume sending, one request at a time at first."""
        self.breaker.close()
        self.deferred_until, self.held_until, self.width = 0.0, None, 1

    def seconds_until_allowed(self, now: float) -> float | None:
        """Return the seconds until the receiver's pause or requested wait permits sending; None: now."""
        wait = self.deferred_until - now
        if self.breaker.pause is not None:
            wait = max(wait, self.breaker.probe_in(now))
        return wait if wait > 0 else None

    def set_terms(self, terms: ReceiverTerms, usual: int) -> None:
        self.terms = terms
        self.max_width = terms.connections or usual
        self.width = min(self.width, self.max_width)
        if terms.per_minute is None:
            self.leave_at = 0.0

    def _advance_slot(self, now: float) -> None:
        slot = int(now / PACE_SECONDS)
        if slot != self._slot:
            self._ended_before = self._ended if slot == self._slot + 1 else 0
            self._ended = 0
            self._slot = slot
