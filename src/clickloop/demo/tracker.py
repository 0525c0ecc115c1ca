"""The tracker under show: a real ``clickloop serve`` in a temporary folder, its API, its command line."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec

START_SECONDS = 40.0
DRAIN_SECONDS = 32.0
ATTEMPT_SECONDS = 3
"""The deadline of one delivery attempt; the slow receiver takes longer."""
DATA = "data"
"""The data folder within the temporary one."""
T = TypeVar("T")


class TrackerError(Exception):
    """The tracker did not do what the demo needs to go on; the text says what it answered or logged."""


def serve_environment() -> dict[str, str]:
    """The environment of the demo's tracker: the one place that says how it differs from one that serves the world.

    Its partners are all on loopback: visitors come through a proxy there, which names their addresses, and postbacks go there.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLICKLOOP_")}
    return inherited | {
        "CLICKLOOP_TRUSTED_PROXIES": "127.0.0.1/32",
        "CLICKLOOP_ALLOWED_ADDRESSES": "127.0.0.0/8",
        "CLICKLOOP_ATTEMPT_SECONDS": str(ATTEMPT_SECONDS),
        "PYTHONUNBUFFERED": "1",
    }


class _Started(msgspec.Struct):
    event: str
    visitors: str = ""
    api: str = ""


class Tracker:
    """A running tracker: ``visitors`` and ``api`` are the addresses of its doors."""

    def __init__(self, folder: Path, visitors: str, api: str, session: aiohttp.ClientSession) -> None:
        self.data = folder / DATA
        self.visitors = visitors
        self.api = api
        self.token = ""
        self._session = session

    async def command(self, *arguments: str) -> str:
        """What a command of ours printed. Raises TrackerError when it failed."""
        command = [sys.executable, "-m", "clickloop", *arguments, "--data", str(self.data)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=serve_environment()
        )
        output, errors = await process.communicate()
        if process.returncode:
            text = (errors or output).decode(errors="replace").strip()
            raise TrackerError(f"clickloop {' '.join(arguments)} ended with {process.returncode}: {text}")
        return output.decode().strip()

    async def is_healthy(self) -> bool:
        """Whether clicks are taken."""
        with suppress(aiohttp.ClientError):
            async with self._session.get(f"{self.visitors}/health") as answer:
                return answer.status == 200
        return False

    async def ask(self, method: str, path: str, body: Mapping[str, object] | None, kind: type[T]) -> T:
        """A good answer of the API. Raises TrackerError with its problem details otherwise."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        async with self._session.request(method, f"{self.api}/api/v1{path}", data=data, headers=headers) as answer:
            text = await answer.read()
            if answer.status >= 300:
                raise TrackerError(f"{method} {path} was answered {answer.status}: {text.decode(errors='replace')}")
        return msgspec.json.decode(text, type=kind)

    async def all_of(self, noun: str, kind: type[T], **wanted: str) -> tuple[T, ...]:
        """All records of a log, page by page."""
        items: list[T] = []
        cursor: str | None = ""
        while cursor is not None:
            query = urlencode({"limit": "500", "cursor": cursor} | wanted)
            page = await self.ask("GET", f"/{noun}?{query}", None, _Page)
            items += [msgspec.json.decode(item, type=kind) for item in page.items]
            cursor = page.next_cursor
        return tuple(items)


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next_cursor: str | None


@asynccontextmanager
async def running(folder: Path, session: aiohttp.ClientSession) -> AsyncIterator[Tracker]:
    """A tracker on free ports with a token, ended however the block ends. Raises TrackerError when it does not start."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "clickloop", "serve", "--data", str(folder / DATA)]
    command += ["--listen", "127.0.0.1:0", "--panel-listen", "127.0.0.1:0"]
    with log.open("wb") as output:
        # In a session of its own, so that Ctrl-C reaches the demo alone, which then ends it in order.
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=output, env=serve_environment(), start_new_session=True
        )
    try:
        started = await _addresses(log, process)
        tracker = Tracker(folder, started.visitors, started.api, session)
        await _until_healthy(tracker, log)
        tracker.token = await tracker.command("token", "create", "demo")
        yield tracker
    finally:
        await _end(process)


async def _addresses(log: Path, process: asyncio.subprocess.Process) -> _Started:
    """The addresses that the supervisor got, once the core is ready too."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and process.returncode is None:
        events = _events(log)
        if "started" in events and "core ready" in events:
            return events["started"]
        await asyncio.sleep(0.05)
    raise TrackerError(f"clickloop serve did not start within {START_SECONDS:g} s. Its log:\n{_text_of(log)}")


async def _until_healthy(tracker: Tracker, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while not await tracker.is_healthy():
        if time.monotonic() > give_up:
            raise TrackerError(f"{tracker.visitors}/health is not well. The log:\n{_text_of(log)}")
        await asyncio.sleep(0.05)


def _events(log: Path) -> dict[str, _Started]:
    """The whole lines of the log, by their events."""
    lines = log.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.startswith(b"{") and line.endswith(b"\n")]
    return {event.event: event for event in (msgspec.json.decode(line, type=_Started) for line in whole)}


def _text_of(log: Path) -> str:
    return log.read_text(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the server in order; by force when it takes too long, or when Ctrl-C comes again. Its children end with it."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), DRAIN_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
