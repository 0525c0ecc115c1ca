"""Dialing with the address guard: real receivers and a real name server on loopback, and what strace sees."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from clickloop.clock import MINUTE_MS, wall_clock
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.retry import AttemptOutcome, Trouble
from clickloop.postback.rule import PostbackRequest
from clickloop.postback.sending.address_guard import AddressGuard, Policy
from clickloop.postback.sending.client import Sender
from clickloop.postback.sending.dialing import (
    DNS_CACHE_SECONDS,
    guarded_sockets,
    is_of_this_machine,
    open_connector,
)
from clickloop.postback.sending.resolving import SystemResolver, addresses_of
from tests.postback.delivery.delivering import QUICK, Bench
from tests.postback.sending.corpus import ALLOWED, SERVICE_PORT, UNREADABLE, read_corpus
from tests.postback.sending.dns_stub import DnsStub, StubResolver, serving_names

PUBLIC = "127.9.8.7"
"""Stands for the public internet: the only allowed address."""
PRIVATE = "127.0.0.1"
GUARD = AddressGuard(Policy(allowed_networks=(ip_network(f"{PUBLIC}/32"),)))


class World:
    """A name server, and on one port a receiver at the allowed address and one at a refused address."""

    def __init__(self, names: DnsStub, server: tuple[str, int]) -> None:
        self.names = names
        self.server = server
        self.port = 0
        self.got: dict[str, list[bytes]] = {PUBLIC: [], PRIVATE: []}
        """Requests of each receiver, by address."""
        self.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    def redirects(self, location: str) -> None:
        """Let the receivers redirect there."""
        head = f"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"
        self.answer = head.encode()

    def connect(self, guard: AddressGuard, dns_cache_seconds: int = 0) -> aiohttp.TCPConnector:
        """Return a connector that resolves names with the name server."""
        return open_connector(guard, StubResolver(self.server), dns_cache_seconds=dns_cache_seconds)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        first = await reader.read(4096)
        self.got[address].append(first)
        if first.startswith(b"GET"):
            writer.write(self.answer)
        writer.close()

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator["World"]:
        async with serving_names() as (names, server):
            world = cls(names, server)
            public = await asyncio.start_server(world._take, PUBLIC, 0)
            world.port = public.sockets[0].getsockname()[1]
            private = await asyncio.start_server(world._take, PRIVATE, world.port)
            try:
                yield world
            finally:
                public.close()
                private.close()


def in_world(play: Callable[[World], Awaitable[None]]) -> World:
    """Run a script in a world, and return the world."""

    async def run() -> World:
        async with World.open() as world:
            await play(world)
        return world

    return asyncio.run(run())


async def send(world: World, url: str) -> AttemptOutcome:
    async with Sender(5, GUARD, world.connect) as sender:
        return await sender.send(PostbackRequest(url=url), 1)


def test_of_a_public_and_a_private_address_only_the_public_one_is_connected_to() -> None:
    async def play(world: World) -> None:
        for answers in ((PRIVATE, PUBLIC), (PUBLIC, PRIVATE), ("::1", "10.0.0.1", PUBLIC)):
            world.names.says("both.example", answers)
            outcome = await send(world, f"http://both.example:{world.port}/")
            assert outcome.status_code == 200

    world = in_world(play)

    assert len(world.got[PUBLIC]) == 3
    assert world.got[PRIVATE] == []
    assert all(f"\r\nHost: both.example:{world.port}\r\n".encode() in request for request in world.got[PUBLIC])


def test_a_name_with_only_refused_addresses_is_refused_with_the_reason() -> None:
    async def play(world: World) -> None:
        world.names.says("inner.example", (PRIVATE, "10.0.0.1", "::1"))
        outcome = await send(world, f"http://inner.example:{world.port}/")
        assert (outcome.trouble, outcome.status_code) == (Trouble.NAME_REFUSED, None)
        assert outcome.error.startswith("inner.example only has refused addresses: 127.0.0.1 is this machine")

    assert in_world(play).got == {PUBLIC: [], PRIVATE: []}


def test_a_name_that_does_not_exist_is_a_dns_trouble() -> None:
    async def play(world: World) -> None:
        assert (await send(world, "http://nobody.example/")).trouble is Trouble.DNS

    in_world(play)


def test_a_name_that_rebinds_is_refused_when_it_is_resolved_again() -> None:
    async def play(world: World) -> None:
        world.names.says("rebinds.example", (PUBLIC,), (PRIVATE,))
        url = f"http://rebinds.example:{world.port}/"
        assert (await send(world, url)).status_code == 200
        assert (await send(world, url)).trouble is Trouble.NAME_REFUSED

    world = in_world(play)

    assert (len(world.got[PUBLIC]), world.got[PRIVATE]) == (1, [])


def test_a_cached_address_is_the_one_that_was_judged() -> None:
    """A name that rebinds while it is cached still leads to the allowed address, and is not resolved again."""

    async def play(world: World) -> None:
        world.names.says("rebinds.example", (PUBLIC,), (PRIVATE,))
        async with Sender(5, GUARD, lambda guard: world.connect(guard, DNS_CACHE_SECONDS)) as sender:
            for _ in range(3):
                outcome = await sender.send(PostbackRequest(url=f"http://rebinds.example:{world.port}/"), 1)
                assert outcome.status_code == 200

    world = in_world(play)

    assert (len(world.got[PUBLIC]), world.got[PRIVATE], len(world.names.asked)) == (3, [], 1)


@pytest.mark.parametrize("answers", [(PRIVATE,), ("0.0.0.0",), ("::",), ("10.0.0.1", "fd00::1")])
def test_a_name_that_resolves_to_refused_addresses_for_a_while_loses_no_postback(
    answers: tuple[str, ...], bench: Bench
) -> None:
    """Name servers respond like this for blocked, parked and moved names, and for internal ones in their network."""
    moments = [wall_clock()]

    async def play(world: World) -> None:
        world.names.says("moving.example", answers, (PUBLIC,))
        receiver = f"moving.example:{world.port}"
        bench.owe(1, f"http://{receiver}/", at=moments[0], receiver=receiver)
        async with Sender(5, GUARD, world.connect) as sender:
            for state in ("waiting", "delivered"):
                delivery = Delivery(bench.store, sender.send, alone=True, limits=QUICK, clock=lambda: moments[0])
                running = asyncio.create_task(delivery.run())
                await bench.until(lambda: bench.rows()[0].state not in {"sending", "waiting"} or has_waited(bench))
                delivery.stop()
                await running
                assert bench.rows()[0].state == state
                moments[0] += MINUTE_MS

    def has_waited(bench: Bench) -> bool:
        (row,) = bench.rows()
        return row.state == "waiting" and row.attempts == 1 and moments[0] < (row.next_attempt_at or 0)

    assert len(in_world(play).got[PUBLIC]) == 1


@pytest.mark.parametrize(
    ("location", "trouble"),
    [
        (f"http://{PRIVATE}:{{port}}/", Trouble.ADDRESS_REFUSED),
        ("//inner.example:{port}/", Trouble.NAME_REFUSED),
        ("http://again.example:{port}/", Trouble.NAME_REFUSED),
    ],
)
def test_a_redirect_to_a_refused_address_is_refused_with_its_status(location: str, trouble: Trouble) -> None:
    async def play(world: World) -> None:
        world.names.says("inner.example", (PRIVATE,))
        world.names.says("again.example", (PUBLIC,), (PRIVATE,))
        world.redirects(location.format(port=world.port))
        outcome = await send(world, f"http://again.example:{world.port}/")
        assert (outcome.status_code, outcome.trouble) == (302, trouble)

    world = in_world(play)

    assert (len(world.got[PUBLIC]), world.got[PRIVATE]) == (1, [])


def test_over_tls_the_name_is_in_sni_and_the_connection_goes_to_the_judged_address() -> None:
    async def play(world: World) -> None:
        world.names.says("secure.example", (PRIVATE, PUBLIC))
        outcome = await send(world, f"https://secure.example:{world.port}/")
        assert outcome.trouble in (
            Trouble.TLS,
            Trouble.BROKEN,
            Trouble.CONNECT,
        )  # the receiver closes the connection at the greeting

    world = in_world(play)

    assert b"\0\x0esecure.example" in world.got[PUBLIC][0]
    assert world.got[PRIVATE] == []


def test_a_socket_is_judged_by_its_own_address_even_when_the_resolver_is_wrong() -> None:
    class Unguarded(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            return [ResolveResult(hostname=host, host=PRIVATE, port=port, family=socket.AF_INET, proto=0, flags=0)]

        async def close(self) -> None:
            """Do nothing."""

    opened: list[object] = []

    def open_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        opened.append(info)
        return socket.socket(info[0], info[1])

    def connect(guard: AddressGuard) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(resolver=Unguarded(), socket_factory=guarded_sockets(guard, open_socket))

    async def play(world: World) -> None:
        async with Sender(5, GUARD, connect) as sender:
            outcome = await sender.send(PostbackRequest(url=f"http://wrong.example:{world.port}/"), 1)
        assert outcome.trouble is Trouble.NAME_REFUSED

    assert in_world(play).got == {PUBLIC: [], PRIVATE: []}
    assert opened == []


def test_an_address_is_of_this_machine_when_a_socket_can_be_bound_to_it() -> None:
    assert is_of_this_machine(socket.AF_INET, "127.0.0.1")
    assert not is_of_this_machine(socket.AF_INET, "198.51.100.77")


def test_the_systems_resolver_knows_this_machine() -> None:
    async def run() -> list[ResolveResult]:
        resolver = SystemResolver()
        try:
            return await resolver.resolve("localhost", 80)
        finally:
            await resolver.close()

    found = asyncio.run(run())

    assert "127.0.0.1" in [answer["host"] for answer in found]
    assert {answer["port"] for answer in found} == {80}
    assert addresses_of("localhost", socket.AF_INET) == ["127.0.0.1"]


@pytest.mark.parametrize("name", ["", "no-such-name.invalid", "a" * 300, "nul\0.example"])
def test_the_systems_resolver_raises_for_an_invalid_name(name: str) -> None:
    async def run() -> None:
        resolver = SystemResolver()
        try:
            await resolver.resolve(name, 80)
        finally:
            await resolver.close()

    with pytest.raises(socket.gaierror):
        asyncio.run(run())


@pytest.mark.crash
def test_strace_sees_no_connect_to_a_refused_address_from_the_whole_corpus(tmp_path: Path) -> None:
    """Every refused row is dialed, redirected to, resolved to and rebound to: the only connections are to the receiver."""
    strace = shutil.which("strace")
    assert strace is not None, "strace is missing: install it (Debian, Ubuntu: apt-get install strace)"
    trace = tmp_path / "trace"
    child = [sys.executable, str(Path(__file__).parent / "dialing_child.py")]
    command = [strace, "-f", "-qq", "-o", str(trace), "-e", "trace=connect,sendto,sendmsg", *child]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    attempts = [json.loads(line) for line in done.stdout.splitlines()]
    refusals = {Trouble.ADDRESS_REFUSED, Trouble.NAME_REFUSED, Trouble.UNSENDABLE, Trouble.REDIRECT_REFUSED}
    assert [attempt for attempt in attempts if attempt[3] not in refusals] == []
    tried = Counter(way for _, verdict, way, _, _ in attempts if verdict != UNREADABLE)
    assert min(tried[way] for way in ("dialing", "redirect", "resolving", "rebinding")) >= 300
    refused = [row for row in read_corpus() if row.verdict != ALLOWED]
    assert tried["rebinding"] == sum(row.address is not None and row.verdict != SERVICE_PORT for row in refused)
    reached = Counter(
        re.findall(r'sa_family=AF_INET6?\b.*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"', trace.read_text())
    )
    assert set(reached) == {PUBLIC}
    assert reached[PUBLIC] >= tried["redirect"] + tried["rebinding"]
