"""The port of panel and API over raw sockets: the limits that uvicorn alone does not have."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from clickloop.edge.open_connections import ConnectionLimits, Phase
from clickloop.edge.request_limits import LINGER_SECONDS
from clickloop.web.panel_port import (
    HEAD_BYTES,
    MAX_PARAMETERS,
    MAX_PATH_BYTES,
    MAX_PIPELINED,
    MAX_TARGET_BYTES,
    PanelConnection,
    PanelConnections,
)

REQUEST = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
HALF = b"GET /x HTTP/1.1\r\nHo"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class CountingConnection(PanelConnection):
    """Counts the bytes that it has read and parsed."""

    read_bytes = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.read_bytes += len(data)


class CountingConnections(PanelConnections):
    """The connections of a port that count their bytes."""

    def __call__(self, *arguments: Any, **named: Any) -> CountingConnection:  # uvicorn names them
        return CountingConnection(self, *arguments, **named)


class Port:
    """The protocol on loopback before a small ASGI application."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.connections = CountingConnections(limits)
        self.release = asyncio.Event()
        self.received = 0
        """Bytes of bodies that the application has read."""
        self.reads = asyncio.Event()
        self.reads.set()
        self.disconnects = 0
        self.ends = asyncio.Event()
        """Set when the second part of an answer is sent."""
        self._opened: list[asyncio.StreamWriter] = []
        self.number = 0
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http=self.connections,  # type: ignore[arg-type]
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        config.timeout_graceful_shutdown = 5
        self.server = uvicorn.Server(config)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        """``/wait`` answers when released, ``/body`` with the size of the body, ``/refuse`` before it, ``/long`` with much.

        ``/parts`` answers in two parts, the second when released.
        """
        path = scope["path"]
        text = b"ok"
        if path == "/wait":
            await self.release.wait()
        if path == "/body":
            while True:
                await self.reads.wait()
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.disconnects += 1
                    return
                self.received += len(message["body"])
                if not message.get("more_body"):
                    break
            text = b"%d" % self.received
        if path == "/long":
            text = b"x" * 50_000_000
        if path == "/parts":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
            await send({"type": "http.response.body", "body": text, "more_body": True})
            await self.release.wait()
            await send({"type": "http.response.body", "body": text})
            self.ends.set()
            return
        headers = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    async def connect(self, sent: bytes = b"", address: str = "127.0.0.1") -> Streams:
        """Connect, send something, and wait until the server has read it."""
        before = set(self.connections.open)
        streams = await asyncio.open_connection("127.0.0.1", self.number, local_addr=(address, 0))
        self._opened.append(streams[1])
        while not (fresh := self.connections.open - before):  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)
        if sent:
            streams[1].write(sent)
            (one,) = fresh
            while one.cycle is None and not one._in_head:  # noqa: ASYNC110 – the server does it
                await asyncio.sleep(0)
        return streams

    async def ask(self, sent: bytes = REQUEST) -> bytes:
        """Send a request on a connection of its own; the head of its answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        self._opened.append(writer)
        writer.write(sent)
        return await head_of(reader)

    def one(self) -> CountingConnection:
        """The only connection."""
        (connection,) = self.connections.open
        assert isinstance(connection, CountingConnection)
        return connection

    async def wait_for(self, is_so: Callable[[], object]) -> None:
        """Wait for something that the server does."""
        while not is_so():  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve until the block is left."""
        serving = asyncio.create_task(self.server._serve())
        await self.wait_for(lambda: self.server.started)
        try:
            yield
        finally:
            self.release.set()
            for writer in self._opened:
                writer.close()
            self.server.should_exit = True
            await serving


def serve(talk: Callable[[Port], Awaitable[None]], total: int = 100, per_address: int = 1000) -> None:
    """Run ``talk`` against a server with these caps."""

    async def run() -> None:
        port = Port(ConnectionLimits(request_seconds=10, keep_alive_seconds=75, per_address=per_address, total=total))
        port.server.config.port = 0
        async with port.serving():
            port.number = port.server.servers[0].sockets[0].getsockname()[1]
            await asyncio.wait_for(talk(port), 20)

    asyncio.run(run())


async def head_of(reader: asyncio.StreamReader) -> bytes:
    """The head of an answer; its body is read too, if it is short."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    if length < 1000:
        await reader.readexactly(length)
    return head


async def sent_until_closed(port: Port, writer: asyncio.StreamWriter, piece: bytes, most: int) -> int:
    """Send a piece again and again until the server ends the connection, or its half of it; return how many bytes it took."""
    sent = 0
    while not all(one._lingers for one in port.connections.open):
        with contextlib.suppress(ConnectionError):
            writer.write(piece)
            await writer.drain()
        await asyncio.sleep(0)
        sent += len(piece)
        assert sent < most, "no end of it"
    return sent


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"GET /x HTTP/1.1\r\nHost: a\r\nX-Long: ", id="one header"),
        pytest.param(b"GET /", id="the address"),
        pytest.param(b"GET /x HTTP/1.1\r\nX-", id="the name of a header"),
        pytest.param(
            b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", id="a field after the body"
        ),
        pytest.param(
            b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", id="an extension of a chunk"
        ),
        pytest.param(REQUEST + b"GET /x HTTP/1.1\r\nX: ", id="a header of the second request"),
    ],
)
def test_an_endless_request_is_ended_early(begin: bytes) -> None:
    async def talk(port: Port) -> None:
        _, writer = await port.connect(begin)
        assert await sent_until_closed(port, writer, b"a" * 10_000, 8_000_000)

    serve(talk)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"X: " + b"a" * HEAD_BYTES, id="one header"),
        pytest.param(b"X: aaaaaaaaaaaaaaaaaaa\r\n" * 3_000 + b"Y: b", id="many headers"),
    ],
)
def test_a_head_larger_than_64_kb_is_refused_with_431(head: bytes) -> None:
    async def talk(port: Port) -> None:
        got = await port.ask(b"GET /x HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 431")

    serve(talk)


def test_a_head_of_60_kb_is_served() -> None:
    async def talk(port: Port) -> None:
        reader, _ = await port.connect(b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 60_000 + b"\r\n\r\n")
        assert (await head_of(reader)).startswith(b"HTTP/1.1 200")

    serve(talk)


def test_an_unfinished_head_gets_408_and_a_silent_connection_ends_after_the_idle_time() -> None:
    async def talk(port: Port) -> None:
        reader, _ = await port.connect(HALF)
        now = asyncio.get_running_loop().time()
        port.connections.sweep(now + 9)
        assert port.connections.open
        port.connections.sweep(now + 12)
        assert (await head_of(reader)).startswith(b"HTTP/1.1 408")
        await port.wait_for(lambda: not port.connections.open)
        reader, _ = await port.connect()
        port.connections.sweep(asyncio.get_running_loop().time() + 80)
        assert await reader.read(-1) == b""

    serve(talk)


def test_empty_lines_do_not_keep_an_idle_connection_open() -> None:
    async def talk(port: Port) -> None:
        reader, writer = await port.connect(REQUEST)
        await head_of(reader)
        since, before = port.one()._since, port.one().read_bytes
        writer.write(b"\r\n\r\n")
        await port.wait_for(lambda: port.one().read_bytes == before + 4)
        assert port.one()._since == since
        port.connections.sweep(since + 76)
        assert await reader.read(-1) == b""

    serve(talk)


def test_a_body_may_take_any_time_while_it_arrives_but_must_not_stall() -> None:
    async def talk(port: Port) -> None:
        reader, writer = await port.connect(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        now = asyncio.get_running_loop().time()
        for number in range(1, 101):
            writer.write(b"x" * 8_000)
            await port.wait_for(lambda number=number: port.received == number * 8_000)  # type: ignore[misc]
            port.connections.sweep(now + number * 12)
        assert port.connections.open
        port.connections.sweep(now + 1_213)
        assert (await head_of(reader)).startswith(b"HTTP/1.1 408")
        await port.wait_for(lambda: port.disconnects)

    serve(talk)


def test_a_body_that_we_do_not_read_is_not_ended_for_stalling() -> None:
    async def talk(port: Port) -> None:
        port.reads.clear()
        reader, writer = await port.connect(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n")
        writer.write(b"x" * 600_000)
        await port.wait_for(lambda: port.one().flow.read_paused)
        now = asyncio.get_running_loop().time()
        for number in range(1, 10):
            port.connections.sweep(now + number * 100)
        port.reads.set()
        assert (await head_of(reader)).startswith(b"HTTP/1.1 200")

    serve(talk)


def test_after_its_answer_the_rest_of_a_body_is_partly_read_and_the_connection_not_reset_at_once() -> None:
    async def talk(port: Port) -> None:
        reader, writer = await port.connect(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        assert (await head_of(reader)).startswith(b"HTTP/1.1 200")
        while not port.one().flow.read_paused:
            writer.write(b"a" * 100_000)
            await asyncio.sleep(0)
            assert port.one()._body_bytes < 40_000_000, "no end of it"
        answered_at = port.one()._since
        port.connections.sweep(answered_at + 9)
        assert port.connections.open
        port.connections.sweep(answered_at + 11)
        await port.wait_for(lambda: not port.connections.open)

    serve(talk)


def test_a_client_that_keeps_sending_after_an_error_is_not_reset_but_ended_later() -> None:
    async def talk(port: Port) -> None:
        begin = b"POST /body HTTP/1.1\r\nHost: a\r\nReferer: \x01\r\nContent-Length: 50000000\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(begin)
        got = await reader.read(-1)  # to the end of the answers
        assert got.startswith(b"HTTP/1.1 400")
        for _ in range(100):
            writer.write(b"x" * 65_536)
            await writer.drain()
        assert port.one().phase()[0] is Phase.UNFINISHED
        refused_at = port.one()._since
        port.connections.sweep(refused_at + LINGER_SECONDS - 1)
        assert port.connections.open
        port.connections.sweep(refused_at + LINGER_SECONDS + 1)
        await port.wait_for(lambda: not port.connections.open)
        writer.close()

    serve(talk)


def test_garbage_behind_a_request_that_is_being_answered_breaks_nothing_else() -> None:
    async def talk(port: Port) -> None:
        reader, writer = await port.connect(b"GET /parts HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\nok")
        writer.write(b"no request\r\n\r\n")
        await port.wait_for(lambda: port.one()._lingers)
        port.release.set()
        await asyncio.wait_for(port.ends.wait(), 10)
        assert await reader.read(-1) == b""

    serve(talk)


def test_a_client_that_does_not_read_its_answer_is_ended_after_the_idle_time() -> None:
    async def talk(port: Port) -> None:
        await port.connect(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
        await port.wait_for(lambda: port.one()._stalled_at)
        assert port.one().phase()[0] is Phase.STALLED
        port.connections.sweep(asyncio.get_running_loop().time() + 76)
        await port.wait_for(lambda: not port.connections.open)

    serve(talk)


def test_at_the_limit_the_oldest_unfinished_head_is_dropped_and_others_are_answered() -> None:
    async def talk(port: Port) -> None:
        halves = [await port.connect(HALF, f"127.0.1.{number}") for number in range(1, 9)]
        for _ in range(3):
            reader, writer = await port.connect(REQUEST, "127.0.0.2")
            assert (await head_of(reader)).startswith(b"HTTP/1.1 200")
            writer.close()
            await writer.wait_closed()
        assert await halves[0][0].read(-1) == b""
        halves[3][1].write(b"st: a\r\n\r\n")
        assert (await head_of(halves[3][0])).startswith(b"HTTP/1.1 200")
        assert len(port.connections.open) <= 8

    serve(talk, total=8)


def test_slow_bodies_are_dropped_before_fast_ones_and_requests_being_answered_never() -> None:
    async def talk(port: Port) -> None:
        body = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
        busy, _ = await port.connect(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        fast, fast_writer = await port.connect(body, "127.0.1.1")
        fast_writer.write(b"x" * 900_000)
        await port.wait_for(lambda: port.received == 900_000)
        slow, _ = await port.connect(body, "127.0.1.2")
        reader, _ = await port.connect(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", "127.0.1.3")
        assert await slow.read(-1) == b""
        fast_writer.write(b"x" * 100_000)
        assert (await head_of(fast)).startswith(b"HTTP/1.1 200")
        port.release.set()
        for answered in (busy, reader):
            assert (await head_of(answered)).startswith(b"HTTP/1.1 200")

    serve(talk, total=3)


def test_an_ip_address_over_its_limit_is_refused() -> None:
    async def talk(port: Port) -> None:
        await port.connect()
        await port.connect()
        assert (await port.ask(b"")).startswith(b"HTTP/1.1 503")

    serve(talk, per_address=2)


def test_an_upgrade_is_ignored_and_anything_but_http_refused(capfd: pytest.CaptureFixture[str]) -> None:
    async def talk(port: Port) -> None:
        reader, _ = await port.connect(
            b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        got = await reader.read(-1)
        assert got.startswith(b"HTTP/1.1 200")
        assert got.count(b"HTTP/1.1") == 1
        reader, writer = await port.connect()
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert (await head_of(reader)).startswith(b"HTTP/1.1 400")

    serve(talk)
    assert "upgrade" not in capfd.readouterr().err.lower()


def test_shutdown_answers_earlier_requests_and_says_that_the_connection_ends() -> None:
    async def talk(port: Port) -> None:
        idle, idle_writer = await port.connect(REQUEST)
        assert b"connection: close" not in await head_of(idle)
        fresh, fresh_writer = await port.connect()
        busy, _ = await port.connect(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        silent, _ = await port.connect()
        port.connections.drain()
        port.server.should_exit = True
        await port.wait_for(lambda: not port.server.servers[0].is_serving())
        ending = asyncio.create_task(port.connections.drained(10))
        for reader, writer in ((idle, idle_writer), (fresh, fresh_writer)):
            writer.write(REQUEST)
            assert b"connection: close" in await head_of(reader)
        port.release.set()
        assert b"connection: close" in await head_of(busy)
        assert await silent.read(-1) == b""
        await ending

    serve(talk)


def test_of_large_unfinished_heads_the_oldest_are_dropped_and_small_ones_never() -> None:
    async def talk(port: Port) -> None:
        port.connections.limits = ConnectionLimits(10, 75, per_address=1000, unfinished_bytes=150_000)
        small = await port.connect(HALF)
        large = [await port.connect(b"GET /x HTTP/1.1\r\nX: ")]
        seen: set[object] = set()
        for number in range(1, 6):
            large[-1][1].write(b"x" * 60_000)
            while len(seen) < number or any(size < 40_000 for size in port.connections._bytes.values()):
                await asyncio.sleep(0)
                seen |= port.connections._bytes.keys()
            large.append(await port.connect(b"GET /x HTTP/1.1\r\nX: "))
        assert await large[0][0].read(-1) == b""
        for reader, writer in (small, large[-2]):
            writer.write(b"st: a\r\n\r\n" if writer is small[1] else b"\r\nHost: a\r\n\r\n")
            assert (await head_of(reader)).startswith(b"HTTP/1.1 200")
        assert all(connection.cycle is None for connection in port.connections._bytes)

    serve(talk)


def test_of_thousands_of_pipelined_requests_the_first_are_answered_and_the_connection_is_ended() -> None:
    async def talk(port: Port) -> None:
        reader, writer = await port.connect()
        writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n" + REQUEST * 9_000)
        await port.wait_for(lambda: port.one()._refused)
        assert len(port.one().pipeline) == MAX_PIPELINED
        port.release.set()
        got = await reader.read(-1)
        assert got.count(b"HTTP/1.1 200 ") == MAX_PIPELINED + 1
        assert got.lower().count(b"connection: close") == 1

    serve(talk)


def test_a_few_pipelined_requests_are_all_answered_and_the_connection_stays() -> None:
    async def talk(port: Port) -> None:
        reader, writer = await port.connect()
        for _ in range(3):
            writer.write(REQUEST * MAX_PIPELINED)
            for _ in range(MAX_PIPELINED):
                assert (await head_of(reader)).startswith(b"HTTP/1.1 200")
        assert len(port.connections.open) == 1

    serve(talk)


def test_a_body_before_and_after_other_requests_arrives_whole() -> None:
    async def talk(port: Port) -> None:
        reader, writer = await port.connect()
        post = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        writer.write((post + REQUEST) * 5)
        for _ in range(10):
            assert (await head_of(reader)).startswith(b"HTTP/1.1 200")
        assert port.received == 500_000

    serve(talk)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        pytest.param(b"/x?a=" + b"b" * (MAX_TARGET_BYTES - 5), b"200", id="a long query"),
        pytest.param(b"/x?a=" + b"b" * (MAX_TARGET_BYTES - 4), b"414", id="a longer one"),
        pytest.param(b"/" + b"x" * (MAX_PATH_BYTES - 1), b"200", id="a long path"),
        pytest.param(b"/" + b"x" * MAX_PATH_BYTES, b"414", id="a longer one"),
        pytest.param(b"/x?" + b"a=b&" * (MAX_PARAMETERS - 1), b"200", id="many parameters"),
        pytest.param(b"/x?" + b"a=b&" * MAX_PARAMETERS, b"414", id="more"),
        pytest.param(b"/x?" + b"&" * 10_000, b"414", id="empty parameters"),
        pytest.param(b"http://a/x?" + b"&" * 10_000, b"414", id="in an absolute address"),
    ],
)
def test_a_url_that_would_fill_the_memory_is_refused_with_414(target: bytes, status: bytes) -> None:
    async def talk(port: Port) -> None:
        assert (await port.ask(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")).startswith(b"HTTP/1.1 " + status)

    serve(talk)


def test_a_refused_url_ends_the_connection_after_the_request_before_it_is_answered() -> None:
    async def talk(port: Port) -> None:
        reader, _ = await port.connect(REQUEST)
        assert (await head_of(reader)).startswith(b"HTTP/1.1 200")
        long = b"GET /x?" + b"&" * MAX_PARAMETERS + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        port._opened[-1].write(long + REQUEST)
        assert (await head_of(reader)).startswith(b"HTTP/1.1 414")
        assert await reader.read() == b""

    serve(talk)
