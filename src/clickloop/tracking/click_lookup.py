"""Look up a click in the core, for landing clicks without the visitor's cookie.

The core serves a Unix socket in the data folder. A request is a line, ``<click id> <milliseconds to wait for it>``; the response is the
click as a line of JSON, or ``null``. A click is settled within a second of its redirect, so the core waits for a young one.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from clickloop.click.click import Click
from clickloop.click_id import ClickId
from clickloop.clock import Clock
from clickloop.machine.log import RateLimitedLog
from clickloop.store.facts.facts import FactsError

SOCKET_FOLDER = "run"
SOCKET_NAME = "clicks.sock"
LOOKUP_SECONDS = 1.5
"""Maximum duration of a look-up, for which the visitor waits."""
SETTLING_MS = 1_000
"""Time that the core waits for a click that may not be settled yet."""
YOUNG_MS = 60_000
"""Age beyond which the core does not wait for an unknown click."""
MAX_LOOKUPS = 64
"""Maximum number of concurrent look-ups of an edge. Further visitors wait up to ``LOOKUP_SECONDS``."""
MAX_WAITING = 1_000
"""Maximum number of clicks that the core waits for. Beyond it, only settled clicks are returned."""
MAX_LINE_BYTES = 64
_PAUSE_SECONDS = 0.03  # between two queries of the facts, each some milliseconds for any number of clicks
_REQUEST_SECONDS = 5.0
MAX_CLICK_BYTES = 256 * 1024

Find = Callable[[Collection[str]], Mapping[str, Click]]
"""Returns clicks by id, as ``FactsReader.find_clicks`` does."""

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Click | None] = msgspec.json.Decoder(Click | None)


class CoreLookup:
    """The edge's side: looks up clicks in the core."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder / SOCKET_FOLDER
        self._clock = clock
        self._slots: asyncio.Semaphore | None = None
        self.failed = 0
        """Number of look-ups that got no response in time."""

    async def find(self, click_id: ClickId) -> Click | None:
        """Return the click; None if the core does not know it, or does not answer in time. At once if there is no core."""
        if self._slots is None:  # bound to the running loop
            self._slots = asyncio.Semaphore(MAX_LOOKUPS)
        try:
            async with asyncio.timeout(LOOKUP_SECONDS), self._slots:
                return await self._request(click_id)
        except (OSError, ValueError, msgspec.MsgspecError):  # no core, one that has just ended, or one that is too busy
            self.failed += 1
            return None

    async def _request(self, click_id: ClickId) -> Click | None:
        wait_ms = SETTLING_MS if self._clock() - click_id.at < YOUNG_MS else 0
        with _short_path(self._folder) as path:
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_CLICK_BYTES)
        try:
            writer.write(b"%b %d\n" % (click_id.text.encode("ascii"), wait_ms))
            line = await reader.readline()
            if not line.endswith(b"\n"):
                raise ConnectionResetError("the core ended during a look-up")
            return _decoder.decode(line)
        finally:
            writer.close()


class _Waiter:
    """A click that connections wait for. ``until``: by the loop's clock."""

    __slots__ = ("found", "until")

    def __init__(self, found: "asyncio.Future[Click | None]", until: float) -> None:
        self.found = found
        self.until = until


class CoreLookupServer:
    """The core's side: one query at a time for all requested clicks."""

    def __init__(self, folder: Path, find: Find) -> None:
        self._folder = folder / SOCKET_FOLDER
        self._find = find
        self._waiting: dict[str, _Waiter] = {}
        self._arrived = asyncio.Event()
        self._failed = RateLimitedLog("clicks of landings' visitors could not be looked up")

    async def serve_for_ever(self) -> None:
        """Serve until cancelled, restarting after failures: without it, landing clicks without a cookie lead to the fallback."""
        while True:
            try:
                await self.serve()
            except (OSError, RuntimeError) as fault:  # no descriptor or no thread left, for instance
                self._failed(fault=f"{type(fault).__name__}: {fault}")
            await asyncio.sleep(1.0)

    async def serve(self) -> None:
        """Serve until cancelled. Raise OSError if the socket cannot be created."""
        with _listening(self._folder) as listening, ThreadPoolExecutor(1, "click-lookup") as thread:
            server = await asyncio.start_unix_server(self._connected, sock=listening, limit=MAX_LINE_BYTES)
            try:
                await self._look_up_for_ever(thread)
            finally:
                server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                click_id, _, wait_ms = (await reader.readline()).decode("ascii").partition(" ")
                click = await self._click(click_id, int(wait_ms))
                writer.write(_encode(click) + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # an edge that has ended, or given up
        finally:
            writer.close()

    async def _click(self, click_id: str, wait_ms: int) -> Click | None:
        loop = asyncio.get_running_loop()
        seconds = min(wait_ms, SETTLING_MS) / 1000 if len(self._waiting) < MAX_WAITING else 0.0
        waiter = self._waiting.get(click_id)
        if waiter is None:
            waiter = self._waiting[click_id] = _Waiter(loop.create_future(), loop.time() + seconds)
            self._arrived.set()
        # Shielded, because other connections may wait for the same click.
        return await asyncio.shield(waiter.found)

    async def _look_up_for_ever(self, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                wanted = tuple(self._waiting)
                begun_at = loop.time()
                found = await loop.run_in_executor(thread, self._found, wanted)
                for click_id in wanted:
                    waiter = self._waiting[click_id]
                    click = found.get(click_id)
                    if click is not None or waiter.until <= begun_at:
                        del self._waiting[click_id]
                        waiter.found.set_result(click)
                if self._waiting:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._arrived.wait(), _PAUSE_SECONDS)
                    self._arrived.clear()

    def _found(self, click_ids: Collection[str]) -> Mapping[str, Click]:
        try:
            return self._find(click_ids)
        except FactsError as fault:
            self._failed(fault=str(fault))
            return {}


@contextlib.contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """Yield a path of the socket that is short enough for its address, which has room for 107 bytes (unix(7))."""
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_NAME}"
    finally:
        os.close(directory)


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    """Yield a listening socket at the path that edges connect to. Only the server's user may connect."""
    folder.mkdir(mode=0o700, exist_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_path(folder) as path:
            # A killed core leaves its socket. No other core can be running, since this one has opened the stores.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            listening.bind(path)
            os.chmod(path, 0o600)
        listening.listen(128)
        yield listening
    finally:
        listening.close()
        with contextlib.suppress(OSError):
            (folder / SOCKET_NAME).unlink()
