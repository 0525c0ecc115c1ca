"""A small real name server on loopback with scripted, changing responses, and a resolver that uses it."""

import asyncio
import ipaddress
import random
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from aiohttp.abc import AbstractResolver, ResolveResult

_A, _AAAA = 1, 28
_FAMILIES = {_A: socket.AF_INET, _AAAA: socket.AF_INET6}
_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")


class DnsStub(asyncio.DatagramProtocol):
    """A name server that returns a name's next set of addresses; the last one stays. Unknown names do not exist."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """Every lookup, by name; a lookup is one query for IPv4 and one for IPv6."""
        self._scripts: dict[str, list[Sequence[str]]] = {}
        self._turns: dict[tuple[str, int], int] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def says(self, name: str, *answers: Sequence[str]) -> None:
        """Give a name these sets of addresses, each for one lookup."""
        self._scripts[name] = list(answers)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Respond to a query."""
        assert self._transport is not None
        self._transport.sendto(self._answer(data), addr)

    def _answer(self, question: bytes) -> bytes:
        number = _HEADER.unpack_from(question)[0]
        labels, at = [], _HEADER.size
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode("ascii"))
            at += 1 + length
        kind = struct.unpack_from(">H", question, at + 1)[0]
        end = at + 5
        name = ".".join(labels).lower()
        if kind == _A:
            self.asked.append(name)
        script = self._scripts.get(name)
        if script is None:
            return _HEADER.pack(number, 0x8183, 1, 0, 0, 0) + question[_HEADER.size : end]
        turn = self._turns.get((name, kind), 0)
        self._turns[name, kind] = turn + 1
        addresses = [ipaddress.ip_address(text) for text in script[min(turn, len(script) - 1)]]
        packed = [address.packed for address in addresses if address.version == (4 if kind == _A else 6)]
        records = b"".join(b"\xc0\x0c" + _RECORD.pack(kind, 1, 0, len(one)) + one for one in packed)
        return _HEADER.pack(number, 0x8180, 1, len(packed), 0, 0) + question[_HEADER.size : end] + records


class _Responses(asyncio.DatagramProtocol):
    """Waits for the responses to queries, by id."""

    def __init__(self) -> None:
        self.waiting: dict[int, asyncio.Future[bytes]] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        waiter = self.waiting.pop(_HEADER.unpack_from(data)[0], None)
        if waiter is not None:
            waiter.set_result(data)


class StubResolver(AbstractResolver):
    """Queries a name server over an unconnected socket, so that every ``connect`` seen is a request's."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._answers = _Responses()
        self._transport: asyncio.DatagramTransport | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return all addresses of a name. Raise OSError if it does not exist."""
        if self._transport is None:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self._answers, ("127.9.8.7", 0))
        found = [
            ResolveResult(hostname=host, host=address, port=port, family=_FAMILIES[kind], proto=0, flags=0)
            for kind in (_A, _AAAA)
            for address in await self._ask(host, kind)
        ]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return found

    async def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    async def _ask(self, host: str, kind: int) -> list[str]:
        assert self._transport is not None
        number = random.randrange(65_536)
        waiter = self._answers.waiting[number] = asyncio.get_running_loop().create_future()
        name = b"".join(bytes([len(label)]) + label.encode("ascii") for label in host.split(".")) + b"\0"
        self._transport.sendto(
            _HEADER.pack(number, 0x0100, 1, 0, 0, 0) + name + struct.pack(">HH", kind, 1), self._server
        )
        answer = await asyncio.wait_for(waiter, 5)
        at, addresses = _HEADER.size + len(name) + 4, []
        for _ in range(_HEADER.unpack_from(answer)[3]):
            length = _RECORD.unpack_from(answer, at + 2)[3]
            at += 2 + _RECORD.size
            addresses.append(str(ipaddress.ip_address(answer[at : at + length])))
            at += length
        return addresses


@asynccontextmanager
async def serving_names() -> AsyncIterator[tuple[DnsStub, tuple[str, int]]]:
    """Run a name server during the block; yield it and its address."""
    transport, stub = await asyncio.get_running_loop().create_datagram_endpoint(DnsStub, ("127.9.8.7", 0))
    try:
        yield stub, transport.get_extra_info("sockname")
    finally:
        transport.close()
