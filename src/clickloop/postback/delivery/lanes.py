"""The queues of all receivers, so that a slow or dead one does not delay the others. Pure: time is passed in.

Claimed postbacks wait in their receiver's queue, and queues take turns. ``now`` is a monotonic time in seconds.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from clickloop.postback.delivery.breaker import Turn, Verdict
from clickloop.postback.delivery.lane import FIRST_WIDTH, LANE_CONNECTIONS, NO_TERMS, Asked, KeptLane, Lane, Standing
from clickloop.postback.retry import MAX_RETRY_AFTER_MS

FORGET_AFTER_SECONDS = 600  # width and pace learnt of a receiver are worth a little memory for a while

_Entry = TypeVar("_Entry")


class Rooms(msgspec.Struct, frozen=True):
    """Numbers of postbacks that may be claimed, by receiver; ``usual`` for one not in ``of``."""

    usual: int
    of: dict[str, int]
    after: str = ""
    """The receiver served last: if there is not enough for all, those after it come first."""
    newest: frozenset[str] = frozenset()
    """Receivers for which to claim the newest postback instead of the one due longest."""

    def room(self, lane: str) -> int:
        """Return how much may be claimed for this receiver."""
        return self.of.get(lane, self.usual)


EVERY_ROOM = Rooms(1_000_000, {})
"""Claim whatever is due."""


class Start(msgspec.Struct, Generic[_Entry], frozen=True):
    """An entry that is to leave now. ``probe``: it shows whether a paused receiver is back."""

    lane: str
    entry: _Entry
    probe: bool


class Lanes(Generic[_Entry]):
    """All receivers' queues of a worker: decides which entry leaves next, and how much may be claimed for each."""

    def __init__(self, connections: int, lane_connections: int = LANE_CONNECTIONS) -> None:
        """``connections``: maximum number of requests under way in total; ``lane_connections``: to one receiver."""
        self.queued = 0
        """Number of entries in all queues."""
        self._connections = connections
        self._usual = min(lane_connections, connections)
        self._in_flight = 0
        self._lanes: dict[str, Lane[_Entry]] = {}
        self._ready: deque[Lane[_Entry]] = deque()
        """Queues whose next entry may be able to leave, each once, in turn."""

    def restore(self, kept: Iterable[KeptLane], now: float, now_ms: int) -> None:
        """Restore pauses, waits and limits of an earlier process."""
        for each in kept:
            lane = self._lane(each.lane)
            lane.set_terms(each.terms, self._usual)
            if each.pause is not None:
                lane.breaker.restore(each.pause, now, now_ms)
                lane.width = 1
            if each.held_until is not None:
                # Bounded, because the clock may have jumped meanwhile.
                lane.defer(min(each.held_until - now_ms, MAX_RETRY_AFTER_MS), now, now_ms)
                lane.held_until = each.held_until

    def set_terms(self, kept: Iterable[KeptLane]) -> None:
        """Apply the user's current limits to all receivers."""
        terms = {each.lane: each.terms for each in kept}
        for name in terms.keys() | self._lanes.keys():
            self._lane(name).set_terms(terms.get(name, NO_TERMS), self._usual)

    def follow(self, kept: Iterable[KeptLane], now: float, now_ms: int) -> dict[str, Asked]:
        """Execute the users' commands, and return them by receiver."""
        commands = {each.lane: each.asked for each in kept if each.asked is not None}
        for name, command in commands.items():
            lane = self._lane(name)
            if command is Asked.PROBE and lane.breaker.pause is not None:
                lane.deferred_until, lane.held_until = 0.0, None
                lane.breaker.probe_now(now, now_ms)
            else:
                lane.resume()
        return commands

    def waits_over(self, now: float) -> list[str]:
        """Return the receivers whose requested wait has ended since the last call."""
        over = [lane for lane in self._lanes.values() if lane.held_until is not None and lane.deferred_until <= now]
        for lane in over:
            lane.held_until = None
        return [lane.name for lane in over]

    def put(self, name: str, entry: _Entry, now: float) -> bool:
        """Queue an entry. Return False if the receiver does not accept it: it has to wait, or is paused and no probe is due."""
        lane = self._lane(name)
        if lane.deferred_until > now:
            return False
        if lane.breaker.pause is not None and (lane.queue or lane.in_flight or lane.breaker.probe_in(now) > 0):
            return False
        lane.queue.append(entry)
        self.queued += 1
        self._list(lane)
        return True

    def next(self, now: float) -> Start[_Entry] | None:
        """Remove and return the next entry that may leave now, queues in turn; None if there is none."""
        for _ in range(len(self._ready)):
            lane = self._ready.popleft()
            lane.is_listed = False
            if not lane.queue:
                continue
            if not lane.is_ready(now, self._connections - self._in_flight):
                # Usually its next ended attempt lists it again, but not if it waits for time or for other receivers' connections.
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
        """Return the seconds until the first queue that waits for its rate may continue; None if none waits."""
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
        """Record the end of an attempt, and return the change in its receiver's state. ``wait_ms``: the wait it requests."""
        lane = self._lanes[start.lane]
        self._in_flight -= 1
        turn = lane.end(verdict, status_code, now, now_ms, start.probe)
        if wait_ms and lane.defer(wait_ms, now, now_ms) and turn is None:
            turn = Turn.HELD
        if lane.queue:
            self._list(lane)
        return turn

    def take_back(self, start: Start[_Entry]) -> None:
        """Record that an entry has not left after all."""
        self._in_flight -= 1
        lane = self._lanes[start.lane]
        lane.in_flight -= 1
        if lane.queue:
            self._list(lane)

    def drop(self, name: str | None = None) -> list[_Entry]:
        """Empty the queue of a receiver, or all queues, and return the removed entries."""
        dropped: list[_Entry] = []
        for lane in self._lanes.values() if name is None else (self._lanes[name],):
            dropped += lane.queue
            lane.queue.clear()
        self.queued -= len(dropped)
        return dropped

    def standing(self, name: str) -> Standing:
        lane = self._lanes.get(name)
        return Standing(pause=lane.breaker.pause, held_until=lane.held_until) if lane else Standing()

    def rooms(self, now: float, after: str = "") -> Rooms:
        free = self._connections - self._in_flight
        usual = max(1, min(FIRST_WIDTH, self._usual, free))
        rooms = {name: lane.room(now, free) for name, lane in self._lanes.items()}
        return Rooms(usual, rooms, after, frozenset(name for name in rooms if self._lanes[name].probes_newest))

    def note_more(self, names: Iterable[str]) -> None:
        """Record the receivers, and only those, for which more was due than could be claimed."""
        for lane in self._lanes.values():
            lane.has_more = False
        for name in names:
            self._lane(name).has_more = True

    def wants_more(self, name: str, now: float) -> bool:
        """Return whether more is due for a receiver and it is time to claim it."""
        lane = self._lanes[name]
        if not lane.has_more or lane.breaker.pause is not None or not lane.is_running_dry(now):
            return False
        return lane.room(now, self._connections - self._in_flight) > 0

    def next_probe(self, now: float) -> float | None:
        """Return the seconds until the first receiver that is paused or has to wait may be sent to; None if there is none."""
        waits = [lane.seconds_until_allowed(now) for lane in self._lanes.values()]
        return min((wait for wait in waits if wait is not None), default=None)

    def forget_idle(self, now: float) -> None:
        """Delete queues that have been idle for a while and have no state to keep."""
        # A copy, because the dict changes during the loop.
        for name, lane in list(self._lanes.items()):
            busy = lane.queue or lane.in_flight or lane.is_listed
            has_state = lane.breaker.pause is not None or lane.terms != NO_TERMS or lane.held_until is not None
            if not busy and not has_state and now - lane.used_at > FORGET_AFTER_SECONDS:
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
    """Divide ``limit`` equally among several rooms, none getting more than its room; the rest goes to the others.

    If there is not one for each, the first ones get one.
    """
    given = [0] * len(rooms)
    left = limit
    # Smallest rooms first, so that what they leave is shared among the larger ones.
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
