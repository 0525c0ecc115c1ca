"""The queues of all receivers, so that a slow or dead one does not delay the others. Pure: time is passed in.

Claimed postbacks wait in their receiver's queue, and queues take turns. ``now`` is a monotonic time in seconds.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from clickloop.postback.delivery.breaker import AttemptVerdict, BreakerChange
from clickloop.postback.delivery.receiver_queue import (
    FIRST_WIDTH,
    NO_TERMS,
    RECEIVER_CONNECTIONS,
    ReceiverCommand,
    ReceiverCondition,
    ReceiverQueue,
    StoredReceiver,
)
from clickloop.postback.retry import MAX_RETRY_AFTER_MS

FORGET_AFTER_SECONDS = 600  # width and pace learnt of a receiver are worth a little memory for a while

_Entry = TypeVar("_Entry")


class Quotas(msgspec.Struct, frozen=True):
    """Numbers of postbacks that may be claimed, by receiver; ``usual`` for one not in ``of``."""

    usual: int
    of: dict[str, int]
    after: str = ""
    """The receiver served last: if there is not enough for all, those after it come first."""
    newest: frozenset[str] = frozenset()
    """Receivers for which to claim the newest postback instead of the one due longest."""

    def room(self, receiver: str) -> int:
        """Return how much may be claimed for this receiver."""
        return self.of.get(receiver, self.usual)


UNLIMITED_QUOTAS = Quotas(1_000_000, {})
"""Claim whatever is due."""


class Departure(msgspec.Struct, Generic[_Entry], frozen=True):
    """An entry that is to leave now. ``probe``: it shows whether a paused receiver is back."""

    receiver: str
    entry: _Entry
    probe: bool


class ReceiverQueues(Generic[_Entry]):
    """All receivers' queues of a worker: decides which entry leaves next, and how much may be claimed for each."""

    def __init__(self, connections: int, receiver_connections: int = RECEIVER_CONNECTIONS) -> None:
        """``connections``: maximum number of requests under way in total; ``receiver_connections``: to one receiver."""
        self.queued = 0
        """Number of entries in all queues."""
        self._connections = connections
        self._usual = min(receiver_connections, connections)
        self._in_flight = 0
        self._receivers: dict[str, ReceiverQueue[_Entry]] = {}
        self._ready: deque[ReceiverQueue[_Entry]] = deque()
        """Queues whose next entry may be able to leave, each once, in turn."""

    def restore(self, stored: Iterable[StoredReceiver], now: float, now_ms: int) -> None:
        """Restore pauses, waits and limits of an earlier process."""
        for each in stored:
            receiver = self._receiver(each.receiver)
            receiver.set_terms(each.terms, self._usual)
            if each.pause is not None:
                receiver.breaker.restore(each.pause, now, now_ms)
                receiver.width = 1
            if each.held_until is not None:
                # Bounded, because the clock may have jumped meanwhile.
                receiver.defer(min(each.held_until - now_ms, MAX_RETRY_AFTER_MS), now, now_ms)
                receiver.held_until = each.held_until

    def set_terms(self, stored: Iterable[StoredReceiver]) -> None:
        """Apply the user's current limits to all receivers."""
        terms = {each.receiver: each.terms for each in stored}
        for name in terms.keys() | self._receivers.keys():
            self._receiver(name).set_terms(terms.get(name, NO_TERMS), self._usual)

    def follow(self, stored: Iterable[StoredReceiver], now: float, now_ms: int) -> dict[str, ReceiverCommand]:
        """Execute the users' commands, and return them by receiver."""
        commands = {each.receiver: each.command for each in stored if each.command is not None}
        for name, command in commands.items():
            receiver = self._receiver(name)
            if command is ReceiverCommand.PROBE and receiver.breaker.pause is not None:
                receiver.deferred_until, receiver.held_until = 0.0, None
                receiver.breaker.probe_now(now, now_ms)
            else:
                receiver.resume()
        return commands

    def waits_over(self, now: float) -> list[str]:
        """Return the receivers whose requested wait has ended since the last call."""
        over = [
            receiver
            for receiver in self._receivers.values()
            if receiver.held_until is not None and receiver.deferred_until <= now
        ]
        for receiver in over:
            receiver.held_until = None
        return [receiver.name for receiver in over]

    def put(self, name: str, entry: _Entry, now: float) -> bool:
        """Queue an entry. Return False if the receiver does not accept it: it has to wait, or is paused and no probe is due."""
        receiver = self._receiver(name)
        if receiver.deferred_until > now:
            return False
        if receiver.breaker.pause is not None and (
            receiver.queue or receiver.in_flight or receiver.breaker.probe_in(now) > 0
        ):
            return False
        receiver.queue.append(entry)
        self.queued += 1
        self._list(receiver)
        return True

    def next(self, now: float) -> Departure[_Entry] | None:
        """Remove and return the next entry that may leave now, queues in turn; None if there is none."""
        for _ in range(len(self._ready)):
            receiver = self._ready.popleft()
            receiver.is_listed = False
            if not receiver.queue:
                continue
            if not receiver.is_ready(now, self._connections - self._in_flight):
                # Usually its next ended attempt lists it again, but not if it waits for time or for other receivers' connections.
                if receiver.in_flight == 0 or (receiver.breaker.pause is None and receiver.in_flight < receiver.width):
                    self._list(receiver)
                continue
            entry = receiver.queue.popleft()
            self.queued -= 1
            probe = receiver.breaker.pause is not None
            receiver.leave(now)
            self._in_flight += 1
            if receiver.queue:
                self._list(receiver)
            return Departure(receiver.name, entry, probe)
        return None

    def rest(self, now: float) -> float | None:
        """Return the seconds until the first queue that waits for its rate may continue; None if none waits."""
        waits = [receiver.leave_at - now for receiver in self._ready if receiver.queue and receiver.leave_at > now]
        return min(waits) if waits else None

    def end(
        self,
        start: Departure[_Entry],
        verdict: AttemptVerdict,
        status_code: int | None,
        now: float,
        now_ms: int,
        wait_ms: int = 0,
    ) -> BreakerChange | None:
        """Record the end of an attempt, and return the change in its receiver's state. ``wait_ms``: the wait it requests."""
        receiver = self._receivers[start.receiver]
        self._in_flight -= 1
        change = receiver.end(verdict, status_code, now, now_ms, start.probe)
        if wait_ms and receiver.defer(wait_ms, now, now_ms) and change is None:
            change = BreakerChange.HELD
        if receiver.queue:
            self._list(receiver)
        return change

    def take_back(self, start: Departure[_Entry]) -> None:
        """Record that an entry has not left after all."""
        self._in_flight -= 1
        receiver = self._receivers[start.receiver]
        receiver.in_flight -= 1
        if receiver.queue:
            self._list(receiver)

    def drop(self, name: str | None = None) -> list[_Entry]:
        """Empty the queue of a receiver, or all queues, and return the removed entries."""
        dropped: list[_Entry] = []
        for receiver in self._receivers.values() if name is None else (self._receivers[name],):
            dropped += receiver.queue
            receiver.queue.clear()
        self.queued -= len(dropped)
        return dropped

    def condition(self, name: str) -> ReceiverCondition:
        receiver = self._receivers.get(name)
        return (
            ReceiverCondition(pause=receiver.breaker.pause, held_until=receiver.held_until)
            if receiver
            else ReceiverCondition()
        )

    def rooms(self, now: float, after: str = "") -> Quotas:
        free = self._connections - self._in_flight
        usual = max(1, min(FIRST_WIDTH, self._usual, free))
        rooms = {name: receiver.room(now, free) for name, receiver in self._receivers.items()}
        return Quotas(usual, rooms, after, frozenset(name for name in rooms if self._receivers[name].probes_newest))

    def note_more(self, names: Iterable[str]) -> None:
        """Record the receivers, and only those, for which more was due than could be claimed."""
        for receiver in self._receivers.values():
            receiver.has_more = False
        for name in names:
            self._receiver(name).has_more = True

    def wants_more(self, name: str, now: float) -> bool:
        """Return whether more is due for a receiver and it is time to claim it."""
        receiver = self._receivers[name]
        if not receiver.has_more or receiver.breaker.pause is not None or not receiver.is_running_dry(now):
            return False
        return receiver.room(now, self._connections - self._in_flight) > 0

    def next_probe(self, now: float) -> float | None:
        """Return the seconds until the first receiver that is paused or has to wait may be sent to; None if there is none."""
        waits = [receiver.seconds_until_allowed(now) for receiver in self._receivers.values()]
        return min((wait for wait in waits if wait is not None), default=None)

    def forget_idle(self, now: float) -> None:
        """Delete queues that have been idle for a while and have no state to keep."""
        # A copy, because the dict changes during the loop.
        for name, receiver in list(self._receivers.items()):
            busy = receiver.queue or receiver.in_flight or receiver.is_listed
            has_state = (
                receiver.breaker.pause is not None or receiver.terms != NO_TERMS or receiver.held_until is not None
            )
            if not busy and not has_state and now - receiver.used_at > FORGET_AFTER_SECONDS:
                del self._receivers[name]

    def _receiver(self, name: str) -> ReceiverQueue[_Entry]:
        receiver = self._receivers.get(name)
        if receiver is None:
            receiver = self._receivers[name] = ReceiverQueue(name, self._usual)
        return receiver

    def _list(self, receiver: ReceiverQueue[_Entry]) -> None:
        if not receiver.is_listed:
            receiver.is_listed = True
            self._ready.append(receiver)


def shares(rooms: Sequence[int], limit: int) -> list[int]:
    """Divide ``limit`` equally among several rooms, none getting more than its room; the rest goes to the others.

    If there is not one for each, the first ones get one.
    """
    result = [0] * len(rooms)
    left = limit
    # Smallest rooms first, so that what they leave is shared among the larger ones.
    waiting = sorted((room, position) for position, room in enumerate(rooms) if room > 0)
    if len(waiting) > left:
        for position in sorted(position for _, position in waiting)[:left]:
            result[position] = 1
        return result
    for number, (room, position) in enumerate(waiting):
        share = min(room, left // (len(waiting) - number))
        result[position] = share
        left -= share
    return result
