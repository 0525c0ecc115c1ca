"""A steady load of clicks and requests to the panel on a tracker that is restarted meanwhile, and what became of each request."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple, SupportsIndex

CLICKS_PER_SECOND = 100


class Load:
    """Clicks at a steady rate, and one request to the panel for every tenth, whether or not earlier ones have been answered.

    Every other one comes on a connection of its own, the others on a few that are kept for as long as the server keeps them. The
    oracle: each request gets one whole answer of the expected status. As with every HTTP client, a request on a kept connection that
    the server closed before a byte of the answer came is sent once more, on a fresh connection (RFC 9110, 9.2.2; RFC 9112, 9.3.1): a
    server may close an idle connection at any time, so also while a request is on its way. ``retries`` counts these.
    """

    def __init__(self, port: int, panel_port: int, link: str) -> None:
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        self.retries = 0
        self._port = port
        self._panel_port = panel_port
        self._link = link
        self._kept: list[Connection] = []
        self._pending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send until the block is left, then wait for every answer."""
        sending = asyncio.create_task(self._send())
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await asyncio.gather(*self._pending)
            for connection in self._kept:
                connection.close()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while True:
            number += 1
            request = asyncio.create_task(self.request(number))
            self._pending.add(request)
            request.add_done_callback(self._pending.discard)
            await asyncio.sleep(max(0.0, began + number / CLICKS_PER_SECOND - loop.time()))

    async def request(self, number: int) -> None:
        """Send the request of a number, and count its answer or its fault."""
        is_panel = number % 10 == 0
        keeps = number % 2 == 1
        try:
            if is_panel:
                await self._exchange(self._panel_port, "/panel/sign-in", "panel 200", keeps=False)
            else:
                await self._exchange(self._port, f"{self._link}?external_id=x{number}", "click 302", keeps)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as fault:
            self.faults.append(f"{number} {'panel' if is_panel else 'kept' if keeps else 'fresh'}: {fault!r}")

    async def _exchange(self, port: int, target: str, expected: str, keeps: bool) -> None:
        connection, answer = await self._answer(port, target, self._kept_connection() if keeps else None)
        got = f"{expected.split()[0]} {answer.status}"
        self.answers[got] += 1
        if got != expected:
            self.faults.append(f"{target}: {got}")
        if keeps and answer.keeps_connection:
            self._kept.append(connection)
        else:
            connection.close()

    async def _answer(self, port: int, target: str, kept: "Connection | None") -> "tuple[Connection, Answer]":
        if kept is not None:
            try:
                return kept, await kept.get(target)
            except (ConnectionError, asyncio.IncompleteReadError):
                kept.close()
                if kept.has_begun_answer:
                    raise
                self.retries += 1
        connection = await Connection.to(port)
        return connection, await connection.get(target)

    def _kept_connection(self) -> "Connection | None":
        """A kept connection that the server has not closed, as far as is known yet."""
        while self._kept:
            connection = self._kept.pop()
            if not connection.at_eof() and connection.exception() is None:
                return connection
            connection.close()
        return None


class Answer(NamedTuple):
    """The head of a whole answer, as far as a load wants it."""

    status: str
    keeps_connection: bool


class Connection(asyncio.StreamReader):
    """A connection to a port on loopback that knows whether the answer to its request has begun to come."""

    def __init__(self) -> None:
        super().__init__(limit=1 << 22)
        self.has_begun_answer = False
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    async def to(cls, port: int) -> "Connection":
        """Connect to a port."""
        connection = cls()
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(
            lambda: asyncio.StreamReaderProtocol(connection), "127.0.0.1", port
        )
        connection._writer = asyncio.StreamWriter(transport, protocol, connection, loop)
        return connection

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Take bytes from the server."""
        self.has_begun_answer = True
        super().feed_data(data)

    async def get(self, target: str) -> Answer:
        """Send a GET and read the whole answer. Raises ConnectionError and IncompleteReadError as streams do."""
        assert self._writer is not None
        self.has_begun_answer = False
        async with asyncio.timeout(60):
            self._writer.write(f"GET {target} HTTP/1.1\r\nHost: tracker.example\r\n\r\n".encode())
            head = await self.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await self.readexactly(length)
        return Answer(head[9:12].decode(), b"connection: close" not in head.lower())

    def close(self) -> None:
        """Close it."""
        if self._writer is not None:
            self._writer.close()
