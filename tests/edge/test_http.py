"""The edge's HTTP, over raw sockets."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clickloop.edge.http import Connections, HttpConnection
from clickloop.edge.message import HttpRequest, HttpResponse, plain_response
from clickloop.edge.open_connections import ConnectionLimits, Phase
from clickloop.edge.request_limits import LINGER_BYTES, LINGER_SECONDS

Talk = Callable[[Connections, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITS = ConnectionLimits(request_seconds=10, keep_alive_seconds=75, per_address=100)


def echo(request: HttpRequest) -> HttpResponse:
    """Return what was parsed; for ``/later`` after a delay, to test the order of responses."""
    text = f"{request.method.decode()} {request.path.decode()} {request.query.decode()} {len(request.body)}\n"
    if request.path == b"/later":
        return _later(text, request.keep_alive)
    return plain_response(200, text, request.keep_alive)


async def _later(text: str, keep_alive: bool) -> bytes:
    for _ in range(5):
        await asyncio.sleep(0)
    return plain_response(200, text, keep_alive)


class CountingConnection(HttpConnection):
    """A connection that counts the bytes read and parsed."""

    read_bytes = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.read_bytes += len(data)


class CountingConnections(Connections):
    """Connections that count their bytes."""

    def __call__(self) -> CountingConnection:
        return CountingConnection(self)


def talk_to(endpoints: Callable[[HttpRequest], HttpResponse], talk: Talk, limits: ConnectionLimits = LIMITS) -> None:
    """Serve ``endpoints`` on loopback and run ``talk`` with one connection."""

    async def run() -> None:
        connections = CountingConnections(limits, endpoints, lambda _peer: False)
        server = await asyncio.get_running_loop().create_server(connections, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.wait_for(talk(connections, reader, writer), 10)
        finally:
            writer.close()
            server.close()

    asyncio.run(run())


def answers(sent: bytes) -> bytes:
    """Send these bytes, close our half of the connection, and return everything received until the server closes."""
    got = b""

    async def talk(_connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        writer.write(sent)
        await writer.drain()
        writer.write_eof()
        got = await reader.read(-1)

    talk_to(echo, talk)
    return got


def test_pipelined_requests_are_answered_in_order() -> None:
    got = answers(
        b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"/later", b"/1", b"/later", b"/2"))
    )
    bodies = [line for line in got.split(b"\n") if line.startswith(b"GET ")]
    assert [body.split()[1] for body in bodies] == [b"/later", b"/1", b"/later", b"/2"]


def test_a_request_split_at_every_byte_is_parsed() -> None:
    sent = b"POST /x?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"

    async def talk(_connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for octet in sent:
            writer.write(bytes((octet,)))
            await writer.drain()
            await asyncio.sleep(0)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert await reader.readline() == b"POST /x a=1 3\n"

    talk_to(echo, talk)


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\n\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GARBAGE\r\n\r\n",
    ],
)
def test_invalid_http_is_refused_with_400_and_closed(sent: bytes) -> None:
    got = answers(sent)
    assert got.startswith(b"HTTP/1.1 400")
    assert got.count(b"content-length: ") == 1


def test_a_url_of_over_128_kb_is_refused_with_414() -> None:
    assert answers(b"GET /" + b"a" * 132_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 414")


def test_64_kb_of_query_are_served() -> None:
    assert answers(b"GET /c?" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_headers_of_over_64_kb_are_refused_with_431() -> None:
    assert answers(b"GET / HTTP/1.1\r\n" + b"X-A: " + b"b" * 70_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431")


def test_a_body_announced_as_over_256_kb_is_refused_with_413_before_it_is_sent() -> None:
    assert answers(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n").startswith(b"HTTP/1.1 413")


def test_a_chunked_body_of_over_256_kb_is_refused_with_413() -> None:
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    sent = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 9 + b"0\r\n\r\n"
    assert answers(sent).startswith(b"HTTP/1.1 413")


REFUSED_WHILE_SENDING = {
    413: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n",
    414: b"POST /" + b"a" * 132_000,
    431: b"POST / HTTP/1.1\r\nX-A: " + b"b" * 70_000 + b"\r\nX-B: ",
    400: b"POST / HTTP/1.1\r\nHost: a\r\nReferer: \x01\r\nContent-Length: 50000000\r\n\r\n",
}


@pytest.mark.parametrize(("status", "sent"), REFUSED_WHILE_SENDING.items())
def test_a_client_that_keeps_sending_after_a_refusal_is_not_reset(status: int, sent: bytes) -> None:
    """nginx treats a reset as a failure and, with a second upstream, sends nothing here for ten seconds."""

    async def talk(connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        got = await reader.read(-1)  # to the end of the answers
        assert got.startswith(b"HTTP/1.1 %d" % status)
        assert got.count(b"content-length: ") == 1
        for _ in range(32):
            writer.write(b"x" * 65_536)
            await writer.drain()
        assert len(connections.open) == 1
        writer.close()
        await writer.wait_closed()  # raises what a reset would be
        while connections.open:  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)

    talk_to(echo, talk)


def test_when_nothing_can_be_recorded_a_refusal_after_another_request_blocks_no_other_connection() -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        connections = Connections(LIMITS, echo, lambda _peer: False, fail)
        server = await asyncio.get_running_loop().create_server(connections, "127.0.0.1", 0)
        opened: dict[HttpConnection, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        for _ in range(2):
            streams = await asyncio.open_connection(*server.sockets[0].getsockname())
            while len(connections.open) == len(opened):  # noqa: ASYNC110 – the server does it
                await asyncio.sleep(0)
            (connection,) = connections.open - set(opened)
            opened[connection] = streams
        refused, other = opened
        refused.data_received(PLAIN + b"no request\r\n\r\n")  # both in one iteration of the event loop
        other.data_received(PLAIN)
        for connection, (reader, writer) in opened.items():
            got = await asyncio.wait_for(reader.read(-1), 10)
            assert got.startswith(b"HTTP/1.1 503")
            assert got.count(b"HTTP/1.1") == 1
            assert connection.phase()[0] is Phase.UNFINISHED
            writer.close()
        server.close()

    asyncio.run(run())


def test_after_a_refusal_a_bounded_amount_is_read_for_a_bounded_time() -> None:
    async def talk(connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSED_WHILE_SENDING[413])
        await reader.read(-1)
        (connection,) = connections.open
        assert connection.phase()[0] is Phase.UNFINISHED
        while connection._linger_bytes > 0:
            writer.write(b"x" * 65_536)
            await asyncio.sleep(0)
        assert connection._linger_bytes > -LINGER_BYTES
        now = asyncio.get_running_loop().time()
        connections.sweep(now + LINGER_SECONDS - 1)
        assert connections.open
        connections.sweep(now + LINGER_SECONDS + 1)
        while connections.open:  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)

    talk_to(echo, talk)


def test_raw_bytes_over_127_in_a_url_are_percent_encoded() -> None:
    got = answers(b"GET /c?external_id=\xe2\x82\xac\xff HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"GET /c external_id=%E2%82%AC%FF 0\n" in got


def test_only_the_path_of_an_absolute_url_is_used() -> None:
    assert b"GET /x a=1 0\n" in answers(b"GET http://evil.example/x?a=1 HTTP/1.1\r\nHost: a\r\n\r\n")


def test_http_1_0_is_answered_and_closed() -> None:
    assert b"connection: close" in answers(b"GET /x HTTP/1.0\r\n\r\n")


def test_a_slow_request_is_ended_with_408() -> None:
    async def talk(connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HT")
        await writer.drain()
        while not any(not connection._done for connection in connections.open):  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)
        connections.sweep(asyncio.get_running_loop().time() + 11)
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 408")

    talk_to(echo, talk)


def test_a_request_sent_byte_by_byte_has_one_deadline_for_the_whole() -> None:
    async def talk(connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\n")
        await writer.drain()
        while not any(not connection._done for connection in connections.open):  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)
        (connection,) = connections.open
        began, size = connection._since, connection._message_bytes
        writer.write(b"X: y\r\n")
        await writer.drain()
        while connection._message_bytes == size:  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)
        assert connection._since == began

    talk_to(echo, talk)


def test_an_idle_connection_is_closed_after_its_time() -> None:
    async def talk(connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"0\n")
        connections.sweep(asyncio.get_running_loop().time() + 60)
        assert connections.open
        connections.sweep(asyncio.get_running_loop().time() + 80)
        assert await reader.read(-1) == b""

    talk_to(echo, talk)


def test_connections_beyond_the_limit_of_an_address_are_rejected() -> None:
    async def talk(connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("peername")[1]
        second, second_writer = await asyncio.open_connection("127.0.0.1", port)
        third, third_writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await third.read(-1)).startswith(b"HTTP/1.1 503")
        second_writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await second.readline()).startswith(b"HTTP/1.1 200")
        second_writer.close()
        third_writer.close()

    talk_to(echo, talk, ConnectionLimits(request_seconds=10, keep_alive_seconds=75, per_address=2))


def test_draining_finishes_responses_in_progress_and_closes() -> None:
    release = asyncio.Event()

    def endpoints(request: HttpRequest) -> HttpResponse:
        async def wait() -> bytes:
            await release.wait()
            return plain_response(200, "done\n", request.keep_alive)

        return wait()

    async def talk(connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while not any(connection._task for connection in connections.open):  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)
        connections.drain()
        release.set()
        _, got = await asyncio.gather(connections.drained(5), reader.read(-1))
        assert got.startswith(b"HTTP/1.1 200")
        assert got.endswith(b"done\n")

    talk_to(endpoints, talk)


@pytest.mark.parametrize("path", [b"/now", b"/later"])
def test_a_failing_endpoint_gets_500_and_is_logged(path: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    def endpoints(request: HttpRequest) -> HttpResponse:
        async def break_off() -> bytes:
            raise ValueError("what happened")

        if request.path == b"/later":
            return break_off()
        raise ValueError("what happened")

    async def talk(_connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 500")

    talk_to(endpoints, talk)
    assert "ValueError: what happened" in capfd.readouterr().err


def test_requests_after_the_last_response_of_a_connection_reach_no_endpoint() -> None:
    paths = []

    def endpoints(request: HttpRequest) -> HttpResponse:
        paths.append(request.path)
        return _later("x\n", request.keep_alive)

    async def talk(connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        while not paths:  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)
        connections.drain()
        writer.write(b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
        got = await reader.read(-1)
        assert got.count(b"HTTP/1.1 200") == len(paths)

    talk_to(endpoints, talk)


def test_a_pending_response_is_sent_before_the_refusal_of_a_later_request() -> None:
    got = answers(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n")
    assert 0 <= got.find(b"HTTP/1.1 200 OK") < got.find(b"HTTP/1.1 400 Bad Request")
