"""Visitors at a steady rate, however long responses take, and their response times."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.machine import percentile

ANSWER_SECONDS = 60.0
_ADDRESSES = tuple(f"127.0.2.{number}" for number in range(1, 100))
"""The visitors' addresses: more connections wait during a restart than one address may have."""
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class SteadyVisitors:
    """Clicks at a fixed rate, every other one on a new connection, the others on keep-alive ones.

    ``notice_every``: 5 means that every fifth click reports a conversion, 0 that none does. ``milliseconds`` count from the moment
    a click was due, so that a stalled server is not measured less often.
    """

    def __init__(self, port: int, link: str, per_second: int, notice_every: int = 0) -> None:
        self.milliseconds: list[float] = []
        self.failed: list[str] = []
        self.answered_at: dict[str, float] = {}
        """When a click's notice was answered, by external id."""
        self._name = secrets.token_hex(4)
        self._port = port
        self._link = link
        self._per_second = per_second
        self._notice_every = notice_every
        self._keep_alive: list[_Streams] = []
        self._pending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send until the block ends, then wait for all responses."""
        sending = asyncio.create_task(self._send())
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await asyncio.gather(*self._pending)
            for _, writer in self._keep_alive:
                writer.close()

    def p(self, percent: float) -> float:
        """Return a percentile of the response times in ms."""
        return percentile(self.milliseconds, percent)

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while True:
            due = began + number / self._per_second
            await asyncio.sleep(max(0.0, due - loop.time()))
            number += 1
            visiting = asyncio.create_task(self._visit(number, due))
            self._pending.add(visiting)
            visiting.add_done_callback(self._pending.discard)

    async def _visit(self, number: int, due: float) -> None:
        loop = asyncio.get_running_loop()
        name = f"{self._name}-{number}"
        try:
            status, head = await self._exchange(f"{self._link}?external_id={name}", keep_alive=number % 2 == 1)
            if status != 302:
                raise ConnectionError(f"answered {status}")
            self.milliseconds.append((loop.time() - due) * 1000)
            if self._notice_every and number % self._notice_every == 0:
                click_id = head.partition(b"sub=")[2].split()[0].decode()
                await self._exchange(f"/postback?cid={click_id}&payout=1", keep_alive=False)
                self.answered_at[name] = loop.time()
        except (OSError, asyncio.IncompleteReadError) as fault:
            self.failed.append(f"{name}: {fault!r}")

    async def _exchange(self, target: str, keep_alive: bool) -> tuple[int, bytes]:
        while self._keep_alive and self._keep_alive[-1][0].at_eof():
            self._keep_alive.pop()[1].close()
        reader, writer = (
            self._keep_alive.pop()
            if keep_alive and self._keep_alive
            else await asyncio.open_connection("127.0.0.1", self._port, local_addr=(secrets.choice(_ADDRESSES), 0))
        )
        async with asyncio.timeout(ANSWER_SECONDS):
            writer.write(f"GET {target} HTTP/1.1\r\nHost: track.example.com\r\nUser-Agent: bench/1.0\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        if keep_alive and b"connection: close" not in head.lower():
            self._keep_alive.append((reader, writer))
        else:
            writer.close()
        return int(head[9:12]), head


class Source:
    """A simulated traffic source on loopback. ``received_at``: first arrival of a postback, by external id (``id=``)."""

    def __init__(self) -> None:
        self.received_at: dict[str, float] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Serve while the block runs, and yield the port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                name = head.partition(b"id=")[2].split()[0].partition(b"&")[0].decode()
                self.received_at.setdefault(name, asyncio.get_running_loop().time())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        writer.close()
