"""One client's requests, however many and large, delay no other client and use bounded memory."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from clickloop.edge.http import Connections
from clickloop.edge.message import HttpRequest, HttpResponse, plain_response
from clickloop.edge.open_connections import ConnectionLimits
from clickloop.edge.request_limits import FREE_BYTES, MAX_ANSWERS_PER_ITERATION, MAX_BODY_BYTES, MAX_PIPELINED

SHORTEST = b"GET /%d HTTP/1.1\r\nHost:a\r\n\r\n"
LARGE = b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 250000\r\n\r\n" + b"x" * 200_000
KB = 1024


class Server:
    """A server in the test's event loop. ``answered``: the paths that reached an endpoint, in order."""

    def __init__(self, limits: ConnectionLimits, answer_bytes: int = 1) -> None:
        self.answered: list[bytes] = []
        self.release = asyncio.Event()
        self._text = "x" * answer_bytes
        self.connections = Connections(limits, self._answer, lambda _peer: False)
        self.port = 0
        self.clients: list[asyncio.StreamWriter] = []

    def _answer(self, request: HttpRequest) -> HttpResponse:
        self.answered.append(request.path)
        answer = plain_response(200, f"{request.path.decode()} {self._text}\n", request.keep_alive)
        return self._later(answer) if request.path.startswith(b"/later") else answer

    async def _later(self, answer: bytes) -> bytes:
        await self.release.wait()
        return answer

    async def connect(self, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and send data without waiting until it is read."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        writer.write(sent)
        self.clients.append(writer)
        return reader, writer


def serve(
    talk: Callable[[Server], Awaitable[None]], answer_bytes: int = 1, unfinished_bytes: int = 64 * KB * KB
) -> None:
    """Run ``talk`` against a server."""

    async def run() -> None:
        limits = ConnectionLimits(10, 75, per_address=1000, unfinished_bytes=unfinished_bytes)
        server = Server(limits, answer_bytes)
        listening = await asyncio.get_running_loop().create_server(server.connections, "127.0.0.1", 0, backlog=1000)
        server.port = listening.sockets[0].getsockname()[1]
        try:
            await asyncio.wait_for(talk(server), 60)
        finally:
            listening.close()
            for connection in tuple(server.connections.open):
                connection.end()
            for client in server.clients:
                client.close()

    asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    """Let the server work until a condition is true."""
    while not condition():  # noqa: ASYNC110 – the server does it
        await asyncio.sleep(0)


@pytest.mark.parametrize("clients", [1, 20])
def test_a_visitor_waits_for_a_few_of_thousands_of_pipelined_requests(clients: int) -> None:
    async def talk(server: Server) -> None:
        ahead = b"".join(SHORTEST % number for number in range(3_000))
        for _ in range(clients):
            await server.connect()
        await until(lambda: len(server.connections.open) == clients)
        greedy = tuple(server.connections.open)
        reader, writer = await server.connect()
        await until(lambda: len(server.connections.open) == clients + 1)
        for connection in greedy:
            connection.data_received(ahead)
        writer.write(b"GET /visitor HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert server.answered.index(b"/visitor") < 10 * MAX_ANSWERS_PER_ITERATION + clients

    serve(talk)


@pytest.mark.parametrize("paths", [b"/now", b"/later"])
def test_thousands_of_pipelined_requests_are_all_answered_in_order(paths: bytes) -> None:
    async def talk(server: Server) -> None:
        server.release.set()
        reader, writer = await server.connect()
        wanted = [b"%b%d" % (paths if number % 3 else b"/now", number) for number in range(5_000)]
        writer.write(b"".join(b"GET %b HTTP/1.1\r\nHost:a\r\n\r\n" % path for path in wanted))
        writer.write_eof()
        got = await reader.read(-1)
        assert server.answered == wanted
        assert [line.split()[0] for line in got.split(b"\n") if line.startswith((b"/now", b"/later"))] == wanted

    serve(talk)


def test_bodies_between_pipelined_requests_arrive_whole() -> None:
    async def talk(server: Server) -> None:
        reader, writer = await server.connect()
        post = b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n" + bytes(range(1, 251)) * 120
        writer.write((post + SHORTEST % 1) * 20)
        writer.write_eof()
        got = await reader.read(-1)
        assert server.answered == [b"/post", b"/1"] * 20
        assert got.count(b"HTTP/1.1 200 ") == 40

    serve(talk)


def test_no_requests_are_answered_while_the_client_reads_no_responses() -> None:
    async def talk(server: Server) -> None:
        reader, writer = await server.connect(b"".join(SHORTEST % number for number in range(2_000)))
        await until(lambda: any(connection._stalled for connection in server.connections.open))
        answered = len(server.answered)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(server.answered) - answered <= MAX_ANSWERS_PER_ITERATION
        assert len(server.answered) < 1_000
        writer.write_eof()
        got = await reader.read(-1)
        assert (len(server.answered), got.count(b"HTTP/1.1 200 ")) == (2_000, 2_000)

    serve(talk, answer_bytes=50_000)


def test_a_client_that_reads_no_responses_is_disconnected_after_the_timeout() -> None:
    async def talk(server: Server) -> None:
        await server.connect(b"".join(SHORTEST % number for number in range(2_000)))
        await until(lambda: any(connection._stalled for connection in server.connections.open))
        server.connections.sweep(asyncio.get_running_loop().time() + 70)
        assert server.connections.open
        server.connections.sweep(asyncio.get_running_loop().time() + 80)
        await until(lambda: not server.connections.open)

    serve(talk, answer_bytes=50_000)


def test_only_a_few_bodies_are_read_ahead_of_a_pending_response() -> None:
    async def talk(server: Server) -> None:
        body = b"x" * 60_000
        post = b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + body
        reader, writer = await server.connect(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n" + post * MAX_PIPELINED)
        await until(lambda: any(connection._paused for connection in server.connections.open))
        (connection,) = server.connections.open
        assert connection._backlog.size < 2 * MAX_BODY_BYTES
        server.release.set()
        writer.write_eof()
        got = await reader.read(-1)
        assert got.count(b"HTTP/1.1 200 ") == MAX_PIPELINED + 1

    serve(talk)


def test_the_oldest_large_unfinished_requests_are_dropped_and_small_ones_never() -> None:
    async def talk(server: Server) -> None:
        small_reader, small_writer = await server.connect(b"GET /small HTTP/1.1\r\nHo")
        await until(lambda: len(server.connections.open) == 1)
        clients = []
        seen: set[object] = set()
        for number in range(1, 7):
            clients.append(await server.connect(LARGE))
            while len(seen) < number or any(size < 150_000 for size in server.connections._bytes.values()):
                await asyncio.sleep(0)
                seen |= server.connections._bytes.keys()
        assert server.connections.evicted
        assert await clients[0][0].read(-1) == b""
        clients[-1][1].write(b"x" * 50_000)
        assert (await clients[-1][0].readline()).startswith(b"HTTP/1.1 200")
        small_writer.write(b"st: a\r\n\r\n")
        assert (await small_reader.readline()).startswith(b"HTTP/1.1 200")

    serve(talk, unfinished_bytes=1_000_000)


def test_memory_of_finished_or_closed_requests_is_no_longer_counted() -> None:
    async def talk(server: Server) -> None:
        finished = await server.connect(LARGE)
        gone = await server.connect(LARGE)
        await until(lambda: sum(server.connections._bytes.values()) > 2 * (200_000 - FREE_BYTES) - 20_000)
        finished[1].write(b"x" * 50_000)
        gone[1].close()
        await finished[0].readline()
        await until(lambda: len(server.connections.open) == 1)
        assert (server.connections._bytes, server.connections._all_bytes) == ({}, 0)

    serve(talk)


def test_an_unfinished_request_is_freed_when_its_connection_closes() -> None:
    async def talk(server: Server) -> None:
        _, writer = await server.connect(b"GET /" + b"a" * 100_000)
        await until(lambda: server.connections._bytes)
        (connection,) = server.connections.open
        parser = connection._parser
        writer.close()
        await until(lambda: not server.connections.open)
        assert (connection._url, connection._headers, connection._body) == (b"", {}, [])
        assert connection not in gc.get_referrers(parser)  # else they hold each other

    serve(talk)
