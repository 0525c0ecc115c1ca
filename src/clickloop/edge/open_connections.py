"""The open connections of a process: counted per address and in total; ended when too slow, idle, or in the way of new ones."""

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
from clickloop.machine.log import RateLimitedLog

MAPPED = "::ffff:"
"""Prefix of a peer's IPv4 address on a dual-stack socket."""
IDLE_GRACE_SECONDS = 1.0
"""While draining, how long idle connections stay open: a request that is already on its way is still answered."""
HEAD_GRACE_SECONDS = 3.0
"""The same for connections without a complete first request: longer than TCP needs to retransmit a lost packet."""
_EVICTED_SHARE = 64
"""At the cap, one connection in 64 is ended at once, so that ranking them all is needed only once per few hundred new ones."""


class ConnectionLimits(msgspec.Struct, frozen=True):
    """Timeouts and maximum numbers. Seconds are of the loop's monotonic clock."""

    request_seconds: float
    keep_alive_seconds: float
    per_address: int
    total: int = MAX_CONNECTIONS
    unfinished_bytes: int = UNFINISHED_BYTES
    """Maximum memory of all unfinished requests together, beyond ``FREE_BYTES`` of each."""

    def __post_init__(self) -> None:
        # One address must never be able to use up all connections, however few there are.
        if self.per_address > self.total // 2:
            msgspec.structs.force_setattr(self, "per_address", max(1, self.total // 2))


def limits_of(settings: Settings, reserved: int) -> ConnectionLimits:
    """Return limits that leave ``reserved`` descriptors free. Call after everything but the connections is open."""
    return ConnectionLimits(
        settings.request_seconds,
        settings.keep_alive_seconds,
        settings.connections_per_address,
        max_connections(reserved),
    )


class Phase(enum.IntEnum):
    """The phase of a connection. At the cap, lower phases are ended first, and within a phase the lowest rank of ``phase``."""

    UNFINISHED = 0
    """The request's head is incomplete, or the client does not read its last response."""
    IDLE = 1
    """Between two requests."""
    RECEIVING = 2
    """A large body is arriving."""
    STALLED = 3
    """A response is being sent, and the client does not read it."""
    BUSY = 4
    """A response is being prepared. Never ended in favour of others."""


class OpenConnection(Protocol):
    """The parts of a connection that ``OpenConnections`` uses."""

    peer: str

    def phase(self) -> tuple[Phase, float]:
        """Return the phase and the rank within it: the time it began, or the speed of a body. The lowest rank is ended first."""
        ...

    def fileno(self) -> int:
        """Return the socket's file descriptor, or -1 if it is closed."""
        ...

    def sweep(self, now: float) -> None:
        """End the connection if it is past its deadline."""
        ...

    def end(self) -> None:
        """Close the connection without a response."""
        ...


class IsUnlimited(Protocol):
    """Return whether a peer may open any number of connections: a trusted proxy."""

    def __call__(self, peer: str) -> bool: ...


def address_key(peer: str) -> str:
    """Return the key by which a peer's connections are counted: its IPv4 address, or its IPv6 /64, which one customer gets."""
    return _network_of(peer) if ":" in peer else peer


@functools.lru_cache(maxsize=4096)
def _network_of(peer: str) -> str:
    try:
        return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(peer)) >> 64 << 64))
    # Not an IP address, such as a Unix socket's: counted as it is.
    except ValueError:
        return peer


C = TypeVar("C", bound=OpenConnection)


class OpenConnections(Generic[C]):
    """All open connections of one process. Not thread-safe: for one event loop."""

    def __init__(self, limits: ConnectionLimits, is_unlimited: IsUnlimited) -> None:
        self.limits = limits
        self.is_unlimited = is_unlimited
        self.open: set[C] = set()
        self.per_address: dict[str, int] = {}
        self.closing = False
        self.rejected_count = 0
        self.evicted = 0
        self._bytes: dict[C, int] = {}
        self._all_bytes = 0
        self._full = RateLimitedLog("as many connections are open as may be: the oldest unfinished ones were closed")
        self._heavy = RateLimitedLog(
            "unfinished requests take as much memory as they may: the oldest large ones were closed"
        )

    def enter(self, connection: C) -> bool:
        """Count a new connection. Return False if it must be rejected."""
        key = address_key(connection.peer)
        count = self.per_address.get(key, 0) + 1
        self.per_address[key] = count
        self.open.add(connection)
        if count > self.limits.per_address and not self.is_unlimited(connection.peer):
            self.rejected_count += 1
            return False
        if len(self.open) > self.limits.total and not self._make_room(connection):
            self.rejected_count += 1
            return False
        return True

    def leave(self, connection: C) -> None:
        """Remove a connection that has ended. Idempotent."""
        if connection not in self.open:
            return
        self.open.discard(connection)
        if connection in self._bytes:
            self._all_bytes -= self._bytes.pop(connection)
        key = address_key(connection.peer)
        left = self.per_address[key] - 1
        if left > 0:
            self.per_address[key] = left
        else:
            del self.per_address[key]

    def count_bytes(self, connection: C, size: int) -> None:
        """Record the memory of an unfinished request. Beyond the limit for all of them, the oldest large ones are ended.

        Below ``FREE_BYTES`` a request counts as nothing, so that only large ones compete; ``limits.total`` bounds the small ones.
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
        """End large unfinished requests, the oldest first, until a quarter of the memory is free, so that this runs rarely."""
        most = self.limits.unfinished_bytes
        # The key leaves out the connections, which cannot be compared.
        ranked = sorted(((one.phase(), one) for one in self._bytes), key=lambda pair: pair[0])
        for phase, connection in ranked:
            if self._all_bytes <= most * 3 // 4 or phase[0] is Phase.BUSY:
                break
            self.evicted += 1
            # At once: connection_lost comes a loop iteration later, and its bytes would be counted until then.
            self.leave(connection)
            connection.end()
        self._heavy(bytes=self._all_bytes, most=most, ended=self.evicted)

    def sweep(self, now: float) -> None:
        """End connections past their deadline at ``now``, by the loop's clock. Call about once a second."""
        # A copy, since ending a connection removes it from the set.
        for connection in tuple(self.open):
            connection.sweep(now)

    def drain(self) -> None:
        """From now on, send ``Connection: close`` with the next response of each connection and end it."""
        self.closing = True

    async def drained(self, seconds: float) -> None:
        """Wait until every connection has ended, at most ``seconds``. Call after ``drain``.

        Idle connections are closed after a grace period, in which requests already on their way are still answered.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self.open and (waited := loop.time() - began) < seconds:
            if waited >= IDLE_GRACE_SECONDS:
                self._end_silent(Phase.IDLE if waited < HEAD_GRACE_SECONDS else Phase.UNFINISHED)
            # Polling is enough: connections end in many places, and this runs only during shutdown.
            await asyncio.sleep(0.02)

    def _end_silent(self, phase: Phase) -> None:
        """End idle connections, and with UNFINISHED those with a partial request, except where unread bytes have arrived."""
        ended = {Phase.IDLE, phase}
        silent = [one for one in self.open if one.phase()[0] in ended]
        poll = select.poll()
        for connection in silent:
            if connection.fileno() >= 0:
                poll.register(connection.fileno(), select.POLLIN)
        # A request whose bytes have arrived was sent in time: closing now would lose it.
        readable = {number for number, _ in poll.poll(0)}
        for connection in silent:
            if connection.fileno() not in readable:
                connection.end()

    def _make_room(self, newcomer: C) -> bool:
        """End the connections of the lowest phase and rank. Return False if all of them are busy."""
        ranked = [(one.phase(), one) for one in self.open if one is not newcomer]
        # Phases are read once each: they change while connections are being ended.
        ranked = [(phase, one) for phase, one in ranked if phase[0] is not Phase.BUSY]
        ranked.sort(key=lambda pair: pair[0])
        for _, connection in ranked[: max(1, self.limits.total // _EVICTED_SHARE)]:
            self.evicted += 1
            self.leave(connection)  # at once: connection_lost comes later, and more may be accepted until then
            connection.end()
        self._full(open=len(self.open), most=self.limits.total, ended=self.evicted)
        return bool(ranked)
