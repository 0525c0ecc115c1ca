"""Connect the HTTP client to a host name, checking every address with the address guard.

A name is resolved once, all its addresses are judged, and only allowed ones are ever tried, so the client connects to what was
judged. Its DNS cache stores addresses after that, so a name is judged again whenever it is resolved again. Finally, the address
of each socket is judged before it is opened, wherever it came from.
"""

import socket
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from clickloop.postback.sending.address_guard import AddressGuard, RefusedAddress
from clickloop.postback.sending.address_ranges import AddressRefusal
from clickloop.postback.sending.answer_recovery import TolerantConnector
from clickloop.postback.sending.resolving import SystemResolver

DNS_CACHE_SECONDS = 10
"""Time for which a name's addresses are cached."""
IDLE_SECONDS = 15
"""Time for which an idle connection is kept open."""

SocketFactory = Callable[[aiohttp.AddrInfoType], socket.socket]


class AddressRefusedError(OSError):
    """Raised instead of opening a socket to a refused address. The text is the refusal's sentence."""


def open_connector(
    guard: AddressGuard,
    resolver: AbstractResolver | None = None,
    socket_factory: SocketFactory | None = None,
    dns_cache_seconds: int = DNS_CACHE_SECONDS,
) -> aiohttp.TCPConnector:
    """Return a sender's guarded connector. ``resolver`` and ``socket_factory`` default to the system's.

    It has no limit of connections, because the sender's caller limits the number of requests under way.
    """
    return TolerantConnector(
        limit=0,
        resolver=GuardedResolver(guard, resolver or SystemResolver()),
        socket_factory=guarded_sockets(guard, socket_factory or _open_socket),
        use_dns_cache=dns_cache_seconds > 0,
        ttl_dns_cache=dns_cache_seconds,
        keepalive_timeout=IDLE_SECONDS,
    )


class GuardedResolver(AbstractResolver):
    """A resolver that drops another resolver's addresses if the guard refuses them."""

    def __init__(self, guard: AddressGuard, resolver: AbstractResolver) -> None:
        self._guard = guard
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the allowed addresses of a name. Raise AddressRefusedError if it has only refused ones."""
        refused: RefusedAddress | None = None
        allowed = []
        for answer in await self._resolver.resolve(host, port, family):
            judgement = self._guard.judge(answer["host"], port)
            if isinstance(judgement, RefusedAddress):
                refused = refused or judgement
            else:
                allowed.append(answer)
        if allowed:
            return allowed
        if refused is None:
            raise socket.gaierror(socket.EAI_NONAME, "The name has no address.")
        raise AddressRefusedError(f"{host} only has refused addresses: {refused.sentence}")

    async def close(self) -> None:
        await self._resolver.close()


def guarded_sockets(guard: AddressGuard, open_socket: SocketFactory) -> SocketFactory:
    """Opens sockets for addresses that are allowed; raises AddressRefusedError for others, before there is a socket."""
    everywhere = frozenset(listen.port for listen in guard.policy.own_listens if listen.everywhere)

    def guarded(info: aiohttp.AddrInfoType) -> socket.socket:
        family, address = info[0], info[4]
        host, port = str(address[0]), int(address[1])
        judgement = guard.judge(host, port)
        if isinstance(judgement, RefusedAddress):
            raise AddressRefusedError(judgement.sentence)
        if port in everywhere and is_of_this_machine(family, host):
            raise AddressRefusedError(RefusedAddress(AddressRefusal.OWN, f"{host} port {port}").sentence)
        return open_socket(info)

    return guarded


def _open_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = info
    return socket.socket(family, kind, protocol)


def is_of_this_machine(family: int, host: str) -> bool:
    """Return whether an address is one of this machine's: a socket can be bound only to those."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True
