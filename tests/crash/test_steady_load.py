"""The failures that the load generator of the restart tests reports and ignores, with servers that break connections."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from tests.crash.steady_load import Load

ANSWER = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def two_kept_requests(serve: Serve) -> Load:
    """The load after two requests, one after the other, of those that use kept connections."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        load = Load(port, port, "/c/abc")
        await load.request(1)
        await load.request(3)
        for connection in load._kept:
            connection.close()
    return load


def first_connection_ends(ending: bytes, resets: bool) -> Serve:
    """A server whose first connection answers one request and breaks off at the second after some bytes; others answer always."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        is_first = connections == 1
        requests = 0
        while (await reader.read(4096)) != b"":
            requests += 1
            if is_first and requests == 2:
                writer.write(ending)
                if resets:
                    linger = struct.pack("ii", 1, 0)  # closing then resets the connection
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                break
            writer.write(ANSWER)
        writer.close()

    return serve


@pytest.mark.parametrize("resets", [False, True])
def test_a_request_on_a_kept_connection_that_closes_without_a_byte_is_sent_once_more(resets: bool) -> None:
    load = asyncio.run(two_kept_requests(first_connection_ends(b"", resets)))
    assert (load.answers["click 302"], load.retries, load.faults) == (2, 1, [])


def test_an_answer_that_breaks_off_is_a_fault() -> None:
    load = asyncio.run(two_kept_requests(first_connection_ends(ANSWER[:20], resets=False)))
    assert (load.answers["click 302"], load.retries) == (1, 0)
    assert load.faults[0].startswith("3 kept: IncompleteReadError")


def test_a_fresh_connection_that_closes_without_a_byte_is_a_fault() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    load = asyncio.run(two_kept_requests(serve))
    assert (load.answers.total(), load.retries, len(load.faults)) == (0, 0, 2)
