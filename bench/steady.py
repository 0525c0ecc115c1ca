"""Visitors at a steady rate, however long answers take: what they saw."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.machine import percentile

ANSWER_SECONDS = 60.0
_ADDRESSES = tuple(f"127.0.2.{number}" for number in range(1, 100))
"""Of visitors: what waits during a restart is more than one address may have."""
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Steady:
    """Clicks at a rate, every other one on a connection of its own, the others on kept ones. ``notices``: a share reports a conversion.

    ``milliseconds`` runs from the moment at which a click was due, so that a server that stands still is not measured less often.
    """

    def __init__(self, port: int, link: str, per_second: int, notice_every: int = 0) -> None:
        self.milliseconds: list[float] = []
        self.failed: list[str] = []
        self.told_at: dict[str, float] = {}
        """By external id, when the notice of a click was answered."""
        self._name = secrets.token_hex(4)
        self._port = port
        self._link = link
        self._per_second = per_second
        self._notice_every = notice_every
        self._kept: list[_Streams] = []
        self._asking: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send until the block is left, then wait for every answer."""
        sending = asyncio.create_task(self._send())
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await asyncio.gather(*self._asking)
            for _, writer in self._kept:
                writer.close()

    def p(self, percent: float) -> float:
        """The percentile of the answers' times in ms."""
        return percentile(self.milliseconds, percent)

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while True:
            due = began + number / self._per_second
            await asyncio.sleep(max(0.0, due - loop.time()))
            number += 1
            asking = asyncio.create_task(self._visit(number, due))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    async def _visit(self, number: int, due: float) -> None:
        loop = asyncio.get_running_loop()
        name = f"{self._name}-{number}"
        try:
            status, head = await self._exchange(f"{self._link}?external_id={name}", keeps=number % 2 == 1)
            if status != 302:
                raise ConnectionError(f"answered {status}")
            self.milliseconds.append((loop.time() - due) * 1000)
            if self._notice_every and number % self._notice_every == 0:
                click_id = head.partition(b"sub=")[2].split()[0].decode()
                await self._exchange(f"/postback?cid={click_id}&payout=1", keeps=False)
                self.told_at[name] = loop.time()
        except (OSError, asyncio.IncompleteReadError) as fault:
            self.failed.append(f"{name}: {fault!r}")

    async def _exchange(self, target: str, keeps: bool) -> tuple[int, bytes]:
        while self._kept and self._kept[-1][0].at_eof():
            self._kept.pop()[1].close()
        reader, writer = (
            self._kept.pop()
            if keeps and self._kept
            else await asyncio.open_connection("127.0.0.1", self._port, local_addr=(secrets.choice(_ADDRESSES), 0))
        )
        async with asyncio.timeout(ANSWER_SECONDS):
            writer.write(f"GET {target} HTTP/1.1\r\nHost: track.example.com\r\nUser-Agent: bench/1.0\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        if keeps and b"connection: close" not in head.lower():
            self._kept.append((reader, writer))
        else:
            writer.close()
        return int(head[9:12]), head


class Source:
    """A stand-in traffic source on loopback: when a postback with an external id (``id=``) came first."""

    def __init__(self) -> None:
        self.came_at: dict[str, float] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Its port, until the block is left."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                name = head.partition(b"id=")[2].split()[0].partition(b"&")[0].decode()
                self.came_at.setdefault(name, asyncio.get_running_loop().time())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        writer.close()
