"""The open connections of one process: counted per address and over all, ended when too slow, too idle, or in the way of new ones."""

import asyncio
import enum
import functools
import ipaddress
import select
from typing import Generic, Protocol, TypeVar

import msgspec

from clickloop.config import Settings
from clickloop.edge.request_limits import FREE_BYTES, UNFINISHED_BYTES
from clickloop.machine.descriptors import MAX_CONNECTIONS, max_connections
from clickloop.machine.log import Sparingly

MAPPED = "::ffff:"
"""Begins the IPv4 address of a peer on a socket that takes IPv6 as well."""
IDLE_GRACE_SECONDS = 1.0
"""While draining, an idle connection stays open this long: its next request may be on the way already, and is answered."""
HEAD_GRACE_SECONDS = 3.0
"""The same for a connection whose first request is not here, or not in whole: longer than TCP takes to send a lost packet again."""
_EVICTED_SHARE = 64
"""At the cap the first sixty-fourth of them goes at once: so all are looked at for every few hundred new ones only."""


class Limits(msgspec.Struct, frozen=True):
    """Limits of times and numbers. Seconds are of the loop's monotonic clock."""

    request_seconds: float
    keep_alive_seconds: float
    per_address: int
    total: int = MAX_CONNECTIONS
    unfinished_bytes: int = UNFINISHED_BYTES
    """Memory of all unfinished requests together."""

    def __post_init__(self) -> None:
        # So that one address cannot have all of them, however few there are.
        if self.per_address > self.total // 2:
            msgspec.structs.force_setattr(self, "per_address", max(1, self.total // 2))


def limits_of(settings: Settings, reserved: int) -> Limits:
    """Return the limits of this process, which leave ``reserved`` descriptors free. Call it when all but the connections is open."""
    return Limits(
        settings.request_seconds,
        settings.keep_alive_seconds,
        settings.connections_per_address,
        max_connections(reserved),
    )


class Phase(enum.IntEnum):
    """The phase of a connection. At the cap, the lower go first, and in each phase those that have waited longest."""

    UNFINISHED = 0
    """Nothing of a request has come yet, or not its whole head; or the client does not take its last answer."""
    IDLE = 1
    """Between two requests."""
    RECEIVING = 2
    """A long body is arriving."""
    STALLED = 3
    """An answer is being sent, and the client does not take it."""
    BUSY = 4
    """An answer is being made: never ended for others."""


class OpenConnection(Protocol):
    """The parts of a connection that are used here."""

    peer: str

    def phase(self) -> tuple[Phase, float]:
        """Return what it is doing, and what the connections of a phase are ended by, the lowest first: since when, or how fast."""
        ...

    def fileno(self) -> int:
        """Return the descriptor of its socket; -1 when it has none any more."""
        ...

    def sweep(self, now: float) -> None:
        """End the connection if it is over its deadline."""
        ...

    def end(self) -> None:
        """End a connection on which nothing is being done."""
        ...


class Unlimited(Protocol):
    """Tells which peers may open any number of connections: the trusted proxies."""

    def __call__(self, peer: str) -> bool: ...


def place_of(peer: str) -> str:
    """Return who counts as one address: an IPv4 address, or the 64 bits of IPv6 that one customer is given."""
    return _network_of(peer) if ":" in peer else peer


@functools.lru_cache(maxsize=4096)
def _network_of(peer: str) -> str:
    try:
        return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(peer)) >> 64 << 64))
    # No address, such as that of a Unix socket: it counts as itself.
    except ValueError:
        return peer


C = TypeVar("C", bound=OpenConnection)


class OpenConnections(Generic[C]):
    """All open connections of one process. For one event loop."""

    def __init__(self, limits: Limits, unlimited: Unlimited) -> None:
        self.limits = limits
        self.unlimited = unlimited
        self.open: set[C] = set()
        self.per_address: dict[str, int] = {}
        self.closing = False
        self.turned_away = 0
        self.evicted = 0
        self._bytes: dict[C, int] = {}
        self._all_bytes = 0
        self._full = Sparingly("as many connections are open as may be: the oldest unfinished ones were closed")
        self._heavy = Sparingly(
            "unfinished requests take as much memory as they may: the oldest large ones were closed"
        )

    def enter(self, connection: C) -> bool:
        """Count a new connection; return False if it has to be turned away."""
        place = place_of(connection.peer)
        count = self.per_address.get(place, 0) + 1
        self.per_address[place] = count
        self.open.add(connection)
        if count > self.limits.per_address and not self.unlimited(connection.peer):
            self.turned_away += 1
            return False
        if len(self.open) > self.limits.total and not self._make_room(connection):
            self.turned_away += 1
            return False
        return True

    def leave(self, connection: C) -> None:
        """Count a connection that is gone no longer. A second time does nothing."""
        if connection not in self.open:
            return
        self.open.discard(connection)
        if connection in self._bytes:
            self._all_bytes -= self._bytes.pop(connection)
        place = place_of(connection.peer)
        left = self.per_address[place] - 1
        if left > 0:
            self.per_address[place] = left
        else:
            del self.per_address[place]

    def count_bytes(self, connection: C, size: int) -> None:
        """Count the memory of an unfinished request. Beyond what all of them may take, those that began first are ended.

        A small one counts as nothing, so that only large ones are in each other's way: there are never more than ``limits.total``.
        """
        beyond = size - FREE_BYTES
        if beyond <= 0:
            if connection in self._bytes:
                self._all_bytes -= self._bytes.pop(connection)
            return
        if connection not in self.open:
            return
        self._all_bytes += beyond - self._bytes.get(connection, 0)
        self._bytes[connection] = beyond
        if self._all_bytes > self.limits.unfinished_bytes:
            self._drop_large()

    def _drop_large(self) -> None:
        """End large unfinished requests, the oldest first, until a quarter of the memory is free: then the next look is far off."""
        most = self.limits.unfinished_bytes
        # By the phase alone: connections themselves have no order.
        ranked = sorted(((one.phase(), one) for one in self._bytes), key=lambda pair: pair[0])
        for phase, connection in ranked:
            if self._all_bytes <= most * 3 // 4 or phase[0] is Phase.BUSY:
                break
            self.evicted += 1
            # Now: its own call comes when the loop turns, and its bytes would be counted until then.
            self.leave(connection)
            connection.end()
        self._heavy(bytes=self._all_bytes, most=most, ended=self.evicted)

    def sweep(self, now: float) -> None:
        """End what is over its deadline at ``now``, a reading of the loop's clock. Called about once a second."""
        # A copy: sweeping ends connections, which leave the set.
        for connection in tuple(self.open):
            connection.sweep(now)

    def drain(self) -> None:
        """From now on, end each connection with its next answer, which says so (``Connection: close``)."""
        self.closing = True

    async def drained(self, seconds: float) -> None:
        """Return when every connection has ended, at the latest after ``seconds``. Called after ``drain``.

        A client that sends no further request is not told of the end. Its connection is closed after a grace, in which a request
        that had left before still arrives and is answered.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self.open and (waited := loop.time() - began) < seconds:
            if waited >= IDLE_GRACE_SECONDS:
                self._end_silent(Phase.IDLE if waited < HEAD_GRACE_SECONDS else Phase.UNFINISHED)
            # Polled: connections end in many places, and this runs only while the process ends.
            await asyncio.sleep(0.02)

    def _end_silent(self, phase: Phase) -> None:
        """End the idle connections, or with UNFINISHED those that began a request as well, but none whose bytes wait to be read."""
        ended = {Phase.IDLE, phase}
        silent = [one for one in self.open if one.phase()[0] in ended]
        poll = select.poll()
        for connection in silent:
            if connection.fileno() >= 0:
                poll.register(connection.fileno(), select.POLLIN)
        # A request whose bytes are here was sent in time: closing now would lose it.
        readable = {number for number, _ in poll.poll(0)}
        for connection in silent:
            if connection.fileno() not in readable:
                connection.end()

    def _make_room(self, newcomer: C) -> bool:
        """End the connections that have waited longest with the least; return False if all of them are busy."""
        ranked = [(one.phase(), one) for one in self.open if one is not newcomer]
        # Phases are asked for once each: they change while connections are being ended.
        ranked = [(phase, one) for phase, one in ranked if phase[0] is not Phase.BUSY]
        ranked.sort(key=lambda pair: pair[0])
        for _, connection in ranked[: max(1, self.limits.total // _EVICTED_SHARE)]:
            self.evicted += 1
            self.leave(connection)  # now: its own call comes later, and more may be accepted until then
            connection.end()
        self._full(open=len(self.open), most=self.limits.total, ended=self.evicted)
        return bool(ranked)
