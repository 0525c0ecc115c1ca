"""Lanes: one per receiver (host and port), so that a slow or dead one holds nobody else back. Pure: moments are passed in.

A lane has a width (how many requests may be under way), a breaker, and if the user wants one a rate. What is claimed for a lane
stands in its queue, and the lanes take turns. ``now`` is a monotonic time in seconds.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from clickloop.postback.breaker import Breaker, Pause, Turn, Verdict

LANE_CONNECTIONS = 20
"""The usual width of a lane."""
FIRST_WIDTH = 4
"""The width of a lane of which nothing is known yet; each answer widens it by one."""
PACE_SECONDS = 0.25
"""So far ahead of what a lane gets done is claimed for it."""
MOST_AHEAD = 400
CATCH_UP_SECONDS = 0.1
"""A rate may catch up with so much time in which nothing could leave."""
RATED_AHEAD_SECONDS = 2
FORGET_AFTER_SECONDS = 600

_Entry = TypeVar("_Entry")


class LaneTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a user has set for a receiver; None: the usual."""

    connections: int | None = None
    """Requests that may be under way at once."""
    per_minute: int | None = None
    """Requests that may leave in a minute, evenly spread; None: no limit."""


NO_TERMS = LaneTerms()


class KeptLane(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a lane over a restart."""

    lane: str
    terms: LaneTerms = NO_TERMS
    pause: Pause | None = None


class Rooms(msgspec.Struct, frozen=True):
    """How much may be claimed for each lane; ``usual`` for one that is not named."""

    usual: int
    of: dict[str, int]
    after: str = ""
    """The lane that was served last: where there is not enough for all, those behind it come first."""

    def room(self, lane: str) -> int:
        """How much may be claimed for this lane."""
        return self.of.get(lane, self.usual)


EVERY_ROOM = Rooms(1_000_000, {})
"""For who wants whatever is due."""


class Start(msgspec.Struct, Generic[_Entry], frozen=True):
    """Something that is to leave now. ``probe``: to see whether a paused receiver is back."""

    lane: str
    entry: _Entry
    probe: bool


class Lane(Generic[_Entry]):
    """One receiver's lane; ``Lanes`` keeps them."""

    __slots__ = (
        *("breaker", "has_more", "in_flight", "is_listed", "leave_at", "most", "name", "queue", "terms", "used_at"),
        *("width", "_ended", "_ended_before", "_slot"),
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
        if self.breaker.pause is not None:
            return self.in_flight == 0 and free > 0 and self.breaker.probe_in(now) <= 0
        return self.in_flight < min(self.width, free) and self.leave_at <= now

    def room(self, now: float, free: int) -> int:
        """How much more may be claimed for it: what could leave at once, and what it will have done soon."""
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
        return min(MOST_AHEAD, max(self._ended, self._ended_before))

    def is_running_dry(self, now: float) -> bool:
        """Whether it is time to claim more for it, if there is more."""
        return self.in_flight + len(self.queue) <= (self.width + self.ahead(now)) // 2

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


class Lanes(Generic[_Entry]):
    """All lanes of a worker: which entry leaves next, and how much may be claimed for whom."""

    def __init__(self, connections: int, lane_connections: int = LANE_CONNECTIONS) -> None:
        """``connections``: requests under way at once in all; ``lane_connections``: to one receiver."""
        self.queued = 0
        """Entries that wait in all lanes."""
        self._connections = connections
        self._usual = min(lane_connections, connections)
        self._in_flight = 0
        self._lanes: dict[str, Lane[_Entry]] = {}
        self._ready: deque[Lane[_Entry]] = deque()
        """Lanes whose next entry may perhaps leave, each once; they take turns."""

    def restore(self, kept: Iterable[KeptLane], now: float, now_ms: int) -> None:
        """Takes over what an earlier process left: who is paused, and what the user has set."""
        for each in kept:
            lane = self._lane(each.lane)
            lane.set_terms(each.terms, self._usual)
            if each.pause is not None:
                lane.breaker.restore(each.pause, now, now_ms)
                lane.width = 1

    def set_terms(self, kept: Iterable[KeptLane]) -> None:
        """Takes over what the user has set since."""
        terms = {each.lane: each.terms for each in kept}
        for name in terms.keys() | self._lanes.keys():
            self._lane(name).set_terms(terms.get(name, NO_TERMS), self._usual)

    def put(self, name: str, entry: _Entry, now: float) -> bool:
        """Queues an entry in its lane. False: the lane was paused meanwhile and takes nothing but one entry when a probe is due."""
        lane = self._lane(name)
        if lane.breaker.pause is not None and (lane.queue or lane.in_flight or lane.breaker.probe_in(now) > 0):
            return False
        lane.queue.append(entry)
        self.queued += 1
        self._list(lane)
        return True

    def next(self, now: float) -> Start[_Entry] | None:
        """Takes out what may leave now, lanes in turns; None: nothing may."""
        for _ in range(len(self._ready)):
            lane = self._ready.popleft()
            lane.is_listed = False
            if not lane.queue:
                continue
            if not lane.is_ready(now, self._connections - self._in_flight):
                # Its own next end lists it again, unless it waits for time or for the others.
                if lane.in_flight == 0 or (lane.breaker.pause is None and lane.in_flight < lane.width):
                    self._list(lane)
                continue
            entry = lane.queue.popleft()
            self.queued -= 1
            probe = lane.breaker.pause is not None
            lane.leave(now)
            self._in_flight += 1
            if lane.queue:
                self._list(lane)
            return Start(lane.name, entry, probe)
        return None

    def rest(self, now: float) -> float | None:
        """Seconds until a lane that waits only for its rate may go on; None: there is none."""
        waits = [lane.leave_at - now for lane in self._ready if lane.queue and lane.leave_at > now]
        return min(waits) if waits else None

    def end(
        self, start: Start[_Entry], verdict: Verdict, status_code: int | None, now: float, now_ms: int
    ) -> Turn | None:
        """Notes how what was started has ended; answers what that made of its receiver."""
        lane = self._lanes[start.lane]
        self._in_flight -= 1
        turn = lane.end(verdict, status_code, now, now_ms, start.probe)
        if lane.queue:
            self._list(lane)
        return turn

    def take_back(self, start: Start[_Entry]) -> None:
        """Notes that what was started has not left after all."""
        self._in_flight -= 1
        lane = self._lanes[start.lane]
        lane.in_flight -= 1
        if lane.queue:
            self._list(lane)

    def drop(self, name: str | None = None) -> list[_Entry]:
        """Empties the queue of a lane, or of all; answers what stood in it."""
        dropped: list[_Entry] = []
        for lane in self._lanes.values() if name is None else (self._lanes[name],):
            dropped += lane.queue
            lane.queue.clear()
        self.queued -= len(dropped)
        return dropped

    def pause_of(self, name: str) -> Pause | None:
        """Since when and why a receiver is paused; None: it is not."""
        lane = self._lanes.get(name)
        return lane.breaker.pause if lane else None

    def rooms(self, now: float, after: str = "") -> Rooms:
        """How much may be claimed for each lane now."""
        free = self._connections - self._in_flight
        usual = max(1, min(FIRST_WIDTH, self._usual, free))
        return Rooms(usual, {name: lane.room(now, free) for name, lane in self._lanes.items()}, after)

    def note_more(self, names: Iterable[str]) -> None:
        """Notes for which lanes, and no others, more was due than they had room for."""
        for lane in self._lanes.values():
            lane.has_more = False
        for name in names:
            self._lane(name).has_more = True

    def wants_more(self, name: str, now: float) -> bool:
        """Whether it is time to claim for a lane of which more is due."""
        lane = self._lanes[name]
        if not lane.has_more or lane.breaker.pause is not None or not lane.is_running_dry(now):
            return False
        return lane.room(now, self._connections - self._in_flight) > 0

    def next_probe(self, now: float) -> float | None:
        """Seconds until the next probe of a paused receiver may leave; None: none is ahead."""
        waits = [lane.breaker.probe_in(now) for lane in self._lanes.values() if lane.breaker.pause is not None]
        return min((wait for wait in waits if wait > 0), default=None)

    def forget_idle(self, now: float) -> None:
        """Lets go of lanes that nothing has left on for a while and nothing needs to be known of."""
        for name, lane in list(self._lanes.items()):
            busy = lane.queue or lane.in_flight or lane.is_listed
            known = lane.breaker.pause is not None or lane.terms != NO_TERMS
            if not busy and not known and now - lane.used_at > FORGET_AFTER_SECONDS:
                del self._lanes[name]

    def _lane(self, name: str) -> Lane[_Entry]:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, self._usual)
        return lane

    def _list(self, lane: Lane[_Entry]) -> None:
        if not lane.is_listed:
            lane.is_listed = True
            self._ready.append(lane)


def shares(rooms: Sequence[int], limit: int) -> list[int]:
    """What each of several rooms gets of ``limit``: all the same, none more than its room, what one leaves goes to the others.

    Where there is not one for each, the first ones get it.
    """
    given = [0] * len(rooms)
    left = limit
    waiting = sorted((room, position) for position, room in enumerate(rooms) if room > 0)
    if len(waiting) > left:
        for position in sorted(position for _, position in waiting)[:left]:
            given[position] = 1
        return given
    for number, (room, position) in enumerate(waiting):
        share = min(room, left // (len(waiting) - number))
        given[position] = share
        left -= share
    return given
