"""Lanes: one per receiver, so that a slow or dead one holds nobody else back. Pure: moments are passed in.

What is claimed for a lane stands in its queue, and the lanes take turns. ``now`` is a monotonic time in seconds.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from clickloop.postback.delivery.breaker import Turn, Verdict
from clickloop.postback.delivery.lane import FIRST_WIDTH, LANE_CONNECTIONS, NO_TERMS, Asked, KeptLane, Lane, Standing
from clickloop.postback.retry import MAX_RETRY_AFTER_MS

FORGET_AFTER_SECONDS = 600  # what a lane has learnt of its receiver is worth a little memory for a while

_Entry = TypeVar("_Entry")


class Rooms(msgspec.Struct, frozen=True):
    """How much may be claimed for each lane; ``usual`` for one that is not named."""

    usual: int
    of: dict[str, int]
    after: str = ""
    """The lane that was served last: where there is not enough for all, those behind it come first."""
    newest: frozenset[str] = frozenset()
    """Lanes of which the newest is wanted, not the longest due."""

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
            if each.held_until is not None:
                lane.hold(min(each.held_until - now_ms, MAX_RETRY_AFTER_MS), now, now_ms)
                lane.held_until = each.held_until

    def set_terms(self, kept: Iterable[KeptLane]) -> None:
        """Takes over what the user has set since."""
        terms = {each.lane: each.terms for each in kept}
        for name in terms.keys() | self._lanes.keys():
            self._lane(name).set_terms(terms.get(name, NO_TERMS), self._usual)

    def follow(self, kept: Iterable[KeptLane], now: float, now_ms: int) -> dict[str, Asked]:
        """Does what somebody wants of receivers; answers what that was."""
        wanted = {each.lane: each.asked for each in kept if each.asked is not None}
        for name, asked in wanted.items():
            lane = self._lane(name)
            if asked is Asked.PROBE and lane.breaker.pause is not None:
                lane.quiet_until, lane.held_until = 0.0, None
                lane.breaker.probe_now(now, now_ms)
            else:
                lane.go_on()
        return wanted

    def waits_over(self, now: float) -> list[str]:
        """The lanes whose receivers had asked us to wait, where that is over since this was last asked."""
        over = [lane for lane in self._lanes.values() if lane.held_until is not None and lane.quiet_until <= now]
        for lane in over:
            lane.held_until = None
        return [lane.name for lane in over]

    def put(self, name: str, entry: _Entry, now: float) -> bool:
        """Queues an entry in its lane. False: the lane was paused or is to wait, and takes nothing but one entry when a probe is due."""
        lane = self._lane(name)
        if lane.quiet_until > now:
            return False
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
        self,
        start: Start[_Entry],
        verdict: Verdict,
        status_code: int | None,
        now: float,
        now_ms: int,
        wait_ms: int = 0,
    ) -> Turn | None:
        """Notes how what was started has ended; answers what that made of its receiver. ``wait_ms``: the wait it asks for."""
        lane = self._lanes[start.lane]
        self._in_flight -= 1
        turn = lane.end(verdict, status_code, now, now_ms, start.probe)
        if wait_ms and lane.hold(wait_ms, now, now_ms) and turn is None:
            turn = Turn.HELD
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

    def standing(self, name: str) -> Standing:
        """How a receiver stands."""
        lane = self._lanes.get(name)
        return Standing(pause=lane.breaker.pause, held_until=lane.held_until) if lane else Standing()

    def rooms(self, now: float, after: str = "") -> Rooms:
        """How much may be claimed for each lane now."""
        free = self._connections - self._in_flight
        usual = max(1, min(FIRST_WIDTH, self._usual, free))
        rooms = {name: lane.room(now, free) for name, lane in self._lanes.items()}
        return Rooms(usual, rooms, after, frozenset(name for name in rooms if self._lanes[name].probes_newest))

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
        """Seconds until the next receiver that is paused or asked us to wait may be asked again; None: there is none."""
        waits = [lane.asked_again_in(now) for lane in self._lanes.values()]
        return min((wait for wait in waits if wait is not None), default=None)

    def forget_idle(self, now: float) -> None:
        """Lets go of lanes that nothing has left on for a while and nothing needs to be known of."""
        # A copy: deleting while looking is an error.
        for name, lane in list(self._lanes.items()):
            busy = lane.queue or lane.in_flight or lane.is_listed
            known = lane.breaker.pause is not None or lane.terms != NO_TERMS or lane.held_until is not None
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
    # Smallest rooms first: what they leave is shared among the larger ones.
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
