"""Dialing: how the one HTTP client gets from a name to a connection, and the address guard's place on that way.

A name is resolved once, all its answers are judged, and only those that are allowed are ever tried: what is connected to is what
was judged. The client's memory of answers sits behind the judgement, so a name that changes its mind is judged again when it is
asked again. The last look is at the address of each socket before it is opened, whoever chose it.
"""

import socket
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from clickloop.postback.sending.address_guard import AddressGuard, RefusedAddress
from clickloop.postback.sending.address_ranges import Refusal
from clickloop.postback.sending.answer_recovery import TolerantConnector
from clickloop.postback.sending.resolving import SystemResolver

REMEMBER_SECONDS = 10
"""How long the answers for a name are used again."""
IDLE_SECONDS = 15
"""How long a connection that nobody uses is kept."""

SocketFactory = Callable[[aiohttp.AddrInfoType], socket.socket]


class AddressRefusedError(OSError):
    """Nothing may be sent to an address: raised instead of opening a socket. Its text is the refusal's sentence."""


def open_connector(
    guard: AddressGuard,
    resolver: AbstractResolver | None = None,
    socket_factory: SocketFactory | None = None,
    remember_seconds: int = REMEMBER_SECONDS,
) -> aiohttp.TCPConnector:
    """The connections of a sender, guarded. ``resolver`` and ``socket_factory`` are the system's unless others are given.

    How many requests are under way is bounded by who calls the sender, so there is no limit here.
    """
    return TolerantConnector(
        limit=0,
        resolver=GuardedResolver(guard, resolver or SystemResolver()),
        socket_factory=guarded_sockets(guard, socket_factory or _open_socket),
        use_dns_cache=remember_seconds > 0,
        ttl_dns_cache=remember_seconds,
        keepalive_timeout=IDLE_SECONDS,
    )


class GuardedResolver(AbstractResolver):
    """Another resolver's answers, less those that the guard refuses."""

    def __init__(self, guard: AddressGuard, resolver: AbstractResolver) -> None:
        self._guard = guard
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name that may be sent to. Raises AddressRefusedError when it has none but refused ones."""
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
        raise AddressRefusedError(f"{host} leads nowhere but to a refused address: {refused.sentence}")

    async def close(self) -> None:
        """Closes the other resolver."""
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
            raise AddressRefusedError(RefusedAddress(Refusal.OWN, f"{host} port {port}").sentence)
        return open_socket(info)

    return guarded


def _open_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = info
    return socket.socket(family, kind, protocol)


def is_of_this_machine(family: int, host: str) -> bool:
    """Whether an address is one of this machine's: only to those can a socket be bound."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True
