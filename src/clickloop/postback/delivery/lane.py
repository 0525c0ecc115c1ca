"""A lane: the way to one receiver (host and port). Pure: moments are passed in.

It has a width (how many requests may be under way), a breaker, and if the user wants one a rate; and it waits when its receiver
asks for that (Retry-After). ``now`` is a monotonic time in seconds.
"""

import enum
from collections import deque
from typing import Generic, TypeVar

import msgspec

from clickloop.clock import SECOND_MS
from clickloop.postback.delivery.breaker import Breaker, Pause, Turn, Verdict

LANE_CONNECTIONS = 20
"""The usual width of a lane."""
FIRST_WIDTH = 4
"""The width of a lane of which nothing is known yet; each answer widens it by one."""
PACE_SECONDS = 0.25
"""Time ahead for which work is claimed for a lane, at the pace at which it gets work done."""
MAX_CLAIMED_AHEAD = 400  # what is claimed and not sent must be given back when the process ends
CATCH_UP_SECONDS = 0.1
"""Maximum lost time that a rate may catch up with; more would be a burst at the receiver."""
RATED_AHEAD_SECONDS = 2  # a lane with a rate needs no more, and a changed rate counts soon
LONGER_SECONDS = 1
"""Minimum extension of a requested wait that is reported again: not every answer of the same wait."""

_Entry = TypeVar("_Entry")


class LaneTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a user has set for a receiver; None: the usual."""

    connections: int | None = None
    """Requests that may be under way at once."""
    per_minute: int | None = None
    """Requests that may leave in a minute, evenly spread; None: no limit."""


NO_TERMS = LaneTerms()


class Asked(enum.StrEnum):
    """What somebody may want of a receiver that is paused, or that asked us to wait."""

    PROBE = "probe"
    """One postback is to be let through now."""
    RESUME = "resume"
    """It is to be asked as before."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a receiver stands. ``held_until``: it asked us to wait until then, in Unix milliseconds; None: it did not."""

    pause: Pause | None = None
    held_until: int | None = None


class KeptLane(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a lane over a restart."""

    lane: str
    terms: LaneTerms = NO_TERMS
    pause: Pause | None = None
    held_until: int | None = None
    """As in ``Standing``."""
    asked: Asked | None = None
    """What somebody wants of it."""


class Lane(Generic[_Entry]):
    """One receiver's lane; ``Lanes`` keeps them."""

    __slots__ = (
        *(
            "breaker",
            "has_more",
            "held_until",
            "in_flight",
            "is_listed",
            "leave_at",
            "most",
            "name",
            "queue",
            "quiet_until",
        ),
        *("terms", "used_at", "width", "_ended", "_ended_before", "_slot"),
    )

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.most = most
        self.terms = NO_TERMS
        self.width = min(FIRST_WIDTH, most)
        self.breaker = Breaker()
        self.queue: deque[_Entry] = deque()
        self.in_flight = 0
        self.leave_at = 0.0
        """By its rate, when the next one may leave."""
        self.quiet_until = 0.0
        """Until when its receiver asked us to wait, …"""
        self.held_until: int | None = None
        """… in Unix milliseconds; None: it did not, or that is over and noted."""
        self.used_at = 0.0
        self.has_more = False
        """More of it is due than there was room for."""
        self.is_listed = False
        self._slot = 0
        self._ended = 0
        self._ended_before = 0

    def is_ready(self, now: float, free: int) -> bool:
        """Whether its next one may leave, with ``free`` connections left for all.

        A lane gets no more connections than it leaves for the others: dead receivers cannot take them all.
        """
        if self.quiet_until > now:
            return False
        if self.breaker.pause is not None:
            return self.in_flight == 0 and free > 0 and self.breaker.probe_in(now) <= 0
        return self.in_flight < min(self.width, free) and self.leave_at <= now

    def room(self, now: float, free: int) -> int:
        """How much more may be claimed for it: what could leave at once, and what it will have done soon."""
        if self.quiet_until > now:
            return 0
        if self.breaker.pause is not None:
            return int(not self.queue and self.is_ready(now, 1))
        idle = self.width - self.in_flight
        room = (min(idle, max(free, 1)) if idle > 0 else 0) + self.ahead(now)
        if self.terms.per_minute is not None:
            room = min(room, max(1, self.terms.per_minute * RATED_AHEAD_SECONDS // 60))
        return max(0, room - len(self.queue))

    def ahead(self, now: float) -> int:
        """How much it got done lately."""
        self._turn_slot(now)
        return min(MAX_CLAIMED_AHEAD, max(self._ended, self._ended_before))

    def is_running_dry(self, now: float) -> bool:
        """Whether it is time to claim more for it, if there is more."""
        return self.in_flight + len(self.queue) <= (self.width + self.ahead(now)) // 2

    @property
    def probes_newest(self) -> bool:
        """Whether its next probe is the newest: they take turns, so that postbacks that fail by themselves hold nobody for ever."""
        return self.breaker.pause is not None and self.breaker.pause.probes % 2 == 1

    def leave(self, now: float) -> None:
        """Notes that one leaves."""
        self.in_flight += 1
        self.used_at = now
        if self.terms.per_minute is not None:
            self.leave_at = max(self.leave_at, now - CATCH_UP_SECONDS) + 60 / self.terms.per_minute

    def end(self, verdict: Verdict, status_code: int | None, now: float, now_ms: int, probe: bool) -> Turn | None:
        """Notes that one ended: answers widen the lane, failures narrow it, 429 halves it."""
        self.in_flight -= 1
        self.used_at = now
        self._turn_slot(now)
        self._ended += 1
        turn = self.breaker.judge(verdict, now, now_ms, probe=probe)
        if turn is not None:
            self.width = 1
        elif status_code == 429:
            self.width = max(1, self.width // 2)
        elif verdict is Verdict.FAILED:
            self.width = max(1, self.width - 1)
        elif verdict is Verdict.ANSWERED:
            self.width = min(self.most, self.width + 1)
        return turn

    def hold(self, wait_ms: int, now: float, now_ms: int) -> bool:
        """Notes that its receiver asks us to wait. False: it did before, and for nearly as long."""
        before, until = self.quiet_until, now + wait_ms / SECOND_MS
        if until <= before:
            return False
        self.quiet_until, self.held_until = until, now_ms + wait_ms
        return before <= now or until - before >= LONGER_SECONDS

    def go_on(self) -> None:
        """Lets it be asked as before, paused or not; one at a time at first."""
        self.breaker.close()
        self.quiet_until, self.held_until, self.width = 0.0, None, 1

    def asked_again_in(self, now: float) -> float | None:
        """Seconds until it may be asked again; None: it may be now, as far as its receiver is concerned."""
        wait = self.quiet_until - now
        if self.breaker.pause is not None:
            wait = max(wait, self.breaker.probe_in(now))
        return wait if wait > 0 else None

    def set_terms(self, terms: LaneTerms, usual: int) -> None:
        """Takes over what the user has set."""
        self.terms = terms
        self.most = terms.connections or usual
        self.width = min(self.width, self.most)
        if terms.per_minute is None:
            self.leave_at = 0.0

    def _turn_slot(self, now: float) -> None:
        slot = int(now / PACE_SECONDS)
        if slot != self._slot:
            self._ended_before = self._ended if slot == self._slot + 1 else 0
            self._ended = 0
            self._slot = slot
