"""Connections of the public port when there are too many, or the process ends."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clickloop.edge.http import Connections
from clickloop.edge.message import HttpRequest, HttpResponse, plain_response
from clickloop.edge.open_connections import ConnectionLimits, address_key

REQUEST = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
HALF = b"GET /x HTTP/1.1\r\nHo"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


class Client:
    """A client's connection from a given loopback address."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self) -> bytes:
        """Send a request and return the response's head; empty if the connection was closed instead."""
        try:
            self.writer.write(REQUEST)
            head = await self.reader.readuntil(b"\r\n\r\n")
            await self.reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        return head

    async def is_closed(self) -> bool:
        """Wait until the server closes the connection. Return False if it sends data instead."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True


class Port:
    """A server on loopback with limits. ``release`` releases the responses to ``/wait``."""

    def __init__(self, connections: Connections, port: int, release: asyncio.Event) -> None:
        self.connections = connections
        self.port = port
        self.release = release
        self.clients: list[Client] = []

    async def connect(self, sent: bytes = b"", address: str = "127.0.0.1") -> Client:
        """Connect, send data, and wait until the server has read it."""
        before = set(self.connections.open)
        opened = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        client = Client(*opened)
        self.clients.append(client)
        while not (fresh := self.connections.open - before):  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)
        if sent:
            client.writer.write(sent)
            (one,) = fresh
            while one._done and not one._task:  # noqa: ASYNC110 – the server does it
                await asyncio.sleep(0)
        return client


def serve(talk: Callable[[Port], Awaitable[None]], total: int, per_address: int = 1000) -> None:
    """Run ``talk`` against a server with these limits."""

    async def run() -> None:
        release = asyncio.Event()

        def endpoints(request: HttpRequest) -> HttpResponse:
            async def wait() -> bytes:
                await release.wait()
                return plain_response(200, "done\n", request.keep_alive)

            return wait() if request.path == b"/wait" else plain_response(200, "ok\n", request.keep_alive)

        limits = ConnectionLimits(request_seconds=10, keep_alive_seconds=75, per_address=per_address, total=total)
        connections = Connections(limits, endpoints, lambda peer: peer == "127.0.0.9")
        server = await asyncio.get_running_loop().create_server(connections, "127.0.0.1", 0, backlog=1000)
        port = Port(connections, server.sockets[0].getsockname()[1], release)
        try:
            await asyncio.wait_for(talk(port), 20)
        finally:
            for client in port.clients:
                client.writer.close()
            server.close()

    asyncio.run(run())


def test_at_the_limit_the_oldest_unfinished_head_is_ended_and_visitors_are_answered() -> None:
    async def talk(port: Port) -> None:
        halves = [await port.connect(HALF, f"127.0.1.{number}") for number in range(1, 9)]
        visitor = await port.connect(address="127.0.0.2")
        assert (await visitor.ask()).startswith(b"HTTP/1.1 200")
        assert await halves[0].is_closed()
        halves[1].writer.write(b"st: a\r\n\r\n")
        assert (await halves[1].reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")

    serve(talk, total=8)


def test_a_connection_without_any_data_counts_as_unfinished() -> None:
    async def talk(port: Port) -> None:
        regular = await port.connect()
        await regular.ask()
        silent = [await port.connect(address=f"127.0.1.{number}") for number in range(1, 8)]
        await port.connect(address="127.0.0.2")
        assert await silent[0].is_closed()
        assert (await regular.ask()).startswith(b"HTTP/1.1 200")

    serve(talk, total=8)


def test_without_unfinished_connections_the_longest_idle_one_is_ended_and_a_busy_one_never() -> None:
    async def talk(port: Port) -> None:
        busy = await port.connect(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        idle = [await port.connect(address=f"127.0.1.{number}") for number in range(1, 4)]
        for client in idle:
            await client.ask()
        visitor = await port.connect(address="127.0.0.2")
        assert (await visitor.ask()).startswith(b"HTTP/1.1 200")
        assert await idle[0].is_closed()
        assert (await idle[1].ask()).startswith(b"HTTP/1.1 200")
        port.release.set()
        assert (await busy.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")

    serve(talk, total=4)


def test_when_all_connections_are_busy_a_new_one_gets_503() -> None:
    async def talk(port: Port) -> None:
        waiting = [
            await port.connect(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", f"127.0.1.{number}") for number in (1, 2)
        ]
        assert (await (await port.connect()).reader.read(-1)).startswith(b"HTTP/1.1 503")
        port.release.set()
        for client in waiting:
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")

    serve(talk, total=2)


def test_one_address_has_at_most_half_of_all_connections_unless_it_is_a_proxy() -> None:
    async def talk(port: Port) -> None:
        for _ in range(4):
            await port.connect()
        assert (await (await port.connect()).reader.read(-1)).startswith(b"HTTP/1.1 503")
        for _ in range(4):
            await port.connect(address="127.0.0.9")
        assert len(port.connections.per_address) == 2

    serve(talk, total=8)


def test_an_ipv6_64_network_counts_as_one_address() -> None:
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff:1") != address_key("2001:db8:0:1::1")
    assert address_key("192.0.2.1") != address_key("192.0.2.2")
    assert address_key("fe80::1%eth0") != address_key("fe81::1%eth0")


def test_visitors_are_answered_during_ten_times_the_limit_of_half_open_connections() -> None:
    async def talk(port: Port) -> None:
        regular = await port.connect()
        for number in range(640):
            reader_writer = await asyncio.open_connection(
                "127.0.0.1", port.port, local_addr=(f"127.0.1.{number % 250 + 1}", 0)
            )
            reader_writer[1].write(HALF)
            port.clients.append(Client(*reader_writer))
            if number % 16 == 0:
                assert (await regular.ask()).startswith(b"HTTP/1.1 200")
                visitor = Client(*await asyncio.open_connection("127.0.0.1", port.port))
                assert (await visitor.ask()).startswith(b"HTTP/1.1 200")
                visitor.writer.close()
            assert len(port.connections.open) <= 64
        assert port.connections.evicted > 500
        assert sum(port.connections.per_address.values()) == len(port.connections.open)

    serve(talk, total=64)


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"1;" + b"e" * 60_000 + b"\r\nx\r\n", id="extensions of chunks"),
        pytest.param(b"0\r\n" + b"t" * 60_000, id="a trailer without an end"),
        pytest.param(b"1\r\nx\r\n" * 10_000, id="pieces of one byte"),
    ],
)
def test_the_framing_of_a_body_is_bounded_too(piece: bytes) -> None:
    async def talk(port: Port) -> None:
        client = await port.connect(CHUNKED)
        answer = asyncio.create_task(client.reader.read(-1))
        with_end, sent = piece, 0
        while not answer.done():
            client.writer.write(with_end)
            await client.writer.drain()
            await asyncio.sleep(0)
            sent += len(with_end)
            assert sent < 16_000_000, "no end of it"
            with_end = piece if piece.endswith(b"\n") else b"t" * 60_000
        assert answer.result().startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))

    serve(talk, total=8)


def test_draining_answers_earlier_requests_with_connection_close() -> None:
    async def talk(port: Port) -> None:
        idle, fresh = await port.connect(), await port.connect()
        assert b"connection: close" not in await idle.ask()
        port.connections.drain()
        ending = asyncio.create_task(port.connections.drained(10))
        await asyncio.sleep(0)
        for client in (idle, fresh):
            assert b"connection: close" in await client.ask()
            assert await client.is_closed()
        await ending

    serve(talk, total=8)


def test_draining_closes_idle_connections() -> None:
    async def talk(port: Port) -> None:
        idle, silent, half = await port.connect(), await port.connect(), await port.connect(HALF)
        await idle.ask()
        port.connections.drain()
        await port.connections.drained(10)
        assert not port.connections.open
        assert all([await client.is_closed() for client in (idle, silent, half)])

    serve(talk, total=8)
