"""The demo's tracker: a real ``clickloop serve`` in a temporary folder, with its API and command line."""

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
"""Timeout of a delivery attempt. The slow receiver takes longer."""
DATA = "data"
"""Name of the data folder within the temporary one."""
T = TypeVar("T")


class TrackerError(Exception):
    """The tracker failed in a way that ends the demo. The message has its response or log."""


def serve_environment() -> dict[str, str]:
    """Return the environment of the demo's tracker: the only place where it differs from a production one.

    All partners are on loopback, which is therefore a trusted proxy for visitors and an allowed address for postbacks.
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
    """A running tracker. ``visitors`` and ``api`` are the base URLs of its two ports."""

    def __init__(self, folder: Path, visitors: str, api: str, session: aiohttp.ClientSession) -> None:
        self.data = folder / DATA
        self.visitors = visitors
        self.api = api
        self.token = ""
        self._session = session

    async def command(self, *arguments: str) -> str:
        """Run a clickloop command and return its output. Raise TrackerError if it fails."""
        command = [sys.executable, "-m", "clickloop", *arguments, "--data", str(self.data)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=serve_environment()
        )
        output, errors = await process.communicate()
        if process.returncode:
            text = (errors or output).decode(errors="replace").strip()
            raise TrackerError(f"clickloop {' '.join(arguments)} exited with {process.returncode}: {text}")
        return output.decode().strip()

    async def is_healthy(self) -> bool:
        """Return whether /health answers 200."""
        with suppress(aiohttp.ClientError):
            async with self._session.get(f"{self.visitors}/health") as answer:
                return answer.status == 200
        return False

    async def request(self, method: str, path: str, body: Mapping[str, object] | None, kind: type[T]) -> T:
        """Send an API request and return the decoded response. Raise TrackerError with its problem details on an error."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        async with self._session.request(method, f"{self.api}/api/v1{path}", data=data, headers=headers) as answer:
            text = await answer.read()
            if answer.status >= 300:
                raise TrackerError(f"{method} {path} was answered {answer.status}: {text.decode(errors='replace')}")
        return msgspec.json.decode(text, type=kind)

    async def fetch_all(self, path: str, kind: type[T], **filters: str) -> tuple[T, ...]:
        """Return all records of a log, reading it page by page."""
        items: list[T] = []
        cursor: str | None = ""
        while cursor is not None:
            query = urlencode({"limit": "500", "cursor": cursor} | filters)
            page = await self.request("GET", f"/{path}?{query}", None, _Page)
            items += [msgspec.json.decode(item, type=kind) for item in page.items]
            cursor = page.next_cursor
        return tuple(items)


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next_cursor: str | None


@asynccontextmanager
async def running_tracker(folder: Path, session: aiohttp.ClientSession) -> AsyncIterator[Tracker]:
    """Run a tracker on free ports and yield it, with a token. Stop it on exit. Raise TrackerError if it does not start."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "clickloop", "serve", "--data", str(folder / DATA)]
    command += ["--listen", "127.0.0.1:0", "--panel-listen", "127.0.0.1:0"]
    with log.open("wb") as output:
        # In a separate session, so that Ctrl-C reaches only the demo, which then stops the tracker cleanly.
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
    """Return the addresses from the supervisor's log, once the core is ready too."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and process.returncode is None:
        events = _events(log)
        if "started" in events and "core ready" in events:
            return events["started"]
        await asyncio.sleep(0.05)
    raise TrackerError(f"clickloop serve did not start within {START_SECONDS:g} s. Log:\n{_text_of(log)}")


async def _until_healthy(tracker: Tracker, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while not await tracker.is_healthy():
        if time.monotonic() > give_up:
            raise TrackerError(f"{tracker.visitors}/health reports a failure. Log:\n{_text_of(log)}")
        await asyncio.sleep(0.05)


def _events(log: Path) -> dict[str, _Started]:
    """Return the complete lines of the log by event."""
    lines = log.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.startswith(b"{") and line.endswith(b"\n")]
    return {event.event: event for event in (msgspec.json.decode(line, type=_Started) for line in whole)}


def _text_of(log: Path) -> str:
    return log.read_text(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop the server cleanly; kill it if that takes too long or Ctrl-C comes again. Its children end with it."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), DRAIN_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
