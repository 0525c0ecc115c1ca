"""Unusual requests: upgrades, expectations, repeated and missing headers, blank lines."""

import asyncio

import pytest

from clickloop.edge.http import Connections
from clickloop.edge.message import HttpRequest, HttpResponse, plain_response
from tests.edge.test_http import CountingConnection, answers, talk_to


def tell_headers(request: HttpRequest) -> HttpResponse:
    """Return the headers that may be repeated, as parsed."""
    texts = [f"{name.decode()}={request.headers[name].decode()}" for name in sorted(request.headers)]
    return plain_response(200, "|".join(texts) + "\n", request.keep_alive)


def parsed_headers(lines: bytes) -> list[str]:
    """Return the headers that an endpoint gets for these header lines."""
    got = b""

    async def talk(_connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        writer.write(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")
        await writer.drain()
        writer.write_eof()
        got = await reader.read(-1)

    talk_to(tell_headers, talk)
    return got.partition(b"\r\n\r\n")[2].decode().strip().split("|")


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0, HTTP/2.0", b"h2c, websocket"])
@pytest.mark.parametrize("connection", [b"Upgrade", b"upgrade, HTTP2-Settings", b"keep-alive, Upgrade"])
def test_an_upgrade_is_ignored_and_each_request_gets_one_response(protocol: bytes, connection: bytes) -> None:
    upgrading = b"GET /1?a HTTP/1.1\r\nHost: a\r\nUpgrade: %b\r\nConnection: %b\r\n\r\n" % (protocol, connection)
    got = answers(upgrading + upgrading + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (got.count(b"HTTP/1.1 "), got.count(b"GET /1 a 0\n"), got.count(b"GET /2  0\n")) == (3, 2, 1)


def test_a_hundred_upgrades_at_once_end_the_connection() -> None:
    upgrading = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n"
    got = answers(upgrading * 100)
    assert got.count(b"HTTP/1.1 400 ") == 1
    assert got.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("announced", "body"),
    [(b"Content-Length: 5", b"cid=C"), (b"Transfer-Encoding: chunked", b"5\r\ncid=C\r\n0\r\n\r\n")],
)
@pytest.mark.parametrize("split", [False, True])
def test_the_body_of_a_request_with_an_upgrade_is_read(announced: bytes, body: bytes, split: bool) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + announced + b"\r\n\r\n"
    got = b""

    async def talk(_connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        for piece in (head, body) if split else (head + body,):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = await reader.read(-1)

    def endpoints(request: HttpRequest) -> HttpResponse:
        return plain_response(200, f"{request.path.decode()} {request.body.decode()}\n", request.keep_alive)

    talk_to(endpoints, talk)
    assert (got.count(b"HTTP/1.1 "), b"/x cid=C\n" in got, b"/2 \n" in got) == (2, True, True)


def test_connect_is_answered_once_and_the_connection_ends() -> None:
    got = answers(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n\x16\x03\x01")
    assert got.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in got


@pytest.mark.parametrize("expectation", [b"100-continue", b"100-Continue"])
def test_a_client_waiting_for_100_continue_gets_it_and_then_the_response(expectation: bytes) -> None:
    async def talk(_connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: %b\r\n\r\n" % expectation)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await reader.readline() == b"POST /x  3\n"
        writer.write(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")

    talk_to(
        lambda request: plain_response(
            200, f"{request.method.decode()} {request.path.decode()}  {len(request.body)}\n"
        ),
        talk,
    )


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        b"POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n",
    ],
)
def test_no_100_is_sent_without_a_body_to_wait_for(sent: bytes) -> None:
    got = answers(sent)
    assert (got.count(b"HTTP/1.1 "), b"100 Continue" in got) == (1, False)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nhOsT: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"GET http://a/ HTTP/1.1\r\n\r\n",
    ],
)
def test_a_request_without_a_host_or_with_two_gets_400_and_is_closed(head: bytes) -> None:
    got = answers(head + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (got.count(b"HTTP/1.1 400 "), got.count(b"HTTP/1.1 ")) == (1, 1)


def test_http_1_0_needs_no_host() -> None:
    assert answers(b"GET /x HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 8.8.8.8\r\n", "x-forwarded-for=1.1.1.1, 8.8.8.8"),
        (b"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", "x-forwarded-proto=https, http"),
        (b"Cookie: a=1\r\nCookie: clickloop=2\r\n", "cookie=a=1; clickloop=2"),
        (b"Sec-Purpose: prefetch\r\nPurpose: other\r\n", "purpose=prefetch, other"),
        (b"Content-Encoding: gzip\r\nContent-Encoding: br\r\n", "content-encoding=gzip, br"),
        (b"User-Agent: a\r\nUser-Agent: b\r\n", "user-agent=b"),
    ],
)
def test_a_repeated_header_is_joined_or_the_last_line_wins(lines: bytes, expected: str) -> None:
    assert expected in parsed_headers(b"Host: a\r\n" + lines)


def test_blank_lines_do_not_keep_an_idle_connection_open() -> None:
    async def talk(connections: Connections, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"0\n")
        (connection,) = connections.open
        assert isinstance(connection, CountingConnection)
        began, before = connection._since, connection.read_bytes
        writer.write(b"\r\n\r\n")
        while connection.read_bytes < before + 4:  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)
        assert (connection._done, connection._since) == (True, began)
        writer.write(b"GET /2 HTTP/1.1\r\n")
        while connection._done:  # noqa: ASYNC110 – the server does it
            await asyncio.sleep(0)
        assert connection._since > began
        connections.sweep(connection._since + 11)
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 408")

    talk_to(lambda request: plain_response(200, "0\n"), talk)


def test_a_request_after_blank_lines_is_answered() -> None:
    assert answers(b"\r\n\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n").count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    ("target", "query"),
    [
        (b"/c?a=1#x", b"a=1"),
        (b"/c?a=1&#38;b=2", b"a=1&#38;b=2"),
        (b"/c?a=1&#038;b=2#x", b"a=1&#038;b=2"),
        (b"/c?a=1&#X26;b=2", b"a=1&#X26;b=2"),
        (b"/c?a=1#38;b=2", b"a=1"),
        (b"/c?#38;b=2", b""),
    ],
)
def test_a_fragment_is_removed_unless_it_is_an_html_escaped_ampersand(target: bytes, query: bytes) -> None:
    got = answers(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"GET /c " + query + b" 0\n" in got
