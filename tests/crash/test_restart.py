"""Restarts under load: of single processes, and of everything with sockets that somebody else holds. No request fails."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.journey.running import Receiver, Tracker, eventually

pytestmark = pytest.mark.crash

CLICKS_PER_SECOND = 100
CLICKS_BETWEEN_RESTARTS = 70
HOLDER = (
    "import os, sys\n"
    "for number in (0, 1): os.dup2(int(sys.argv[1 + number]), 3 + number)\n"
    "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '2', 'LISTEN_FDNAMES': 'visitors:panel'}\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)
"""What systemd does between fork and exec for a service with two sockets."""


class HandedOver(Tracker):
    """A tracker whose listening sockets are held here and handed to it at each start."""

    def __init__(self, folder: Path, edges: int = 1, **environment: str) -> None:
        super().__init__(folder, edges, **environment)
        self._held = [socket.create_server(("127.0.0.1", port), backlog=1000) for port in (self.port, self.api_port)]

    def command(self) -> list[str]:
        """The command line, behind what hands the sockets over."""
        numbers = [str(held.fileno()) for held in self._held]
        return [sys.executable, "-c", HOLDER, *numbers, *super().command()]

    def start(self, wait: bool = True) -> None:
        """Starts it with the sockets."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stderr=log,
                stdout=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
                pass_fds=[held.fileno() for held in self._held],
            )
        if wait:
            self.wait_until_ready()

    def close(self) -> None:
        """Ends it and lets the sockets go."""
        super().close()
        for held in self._held:
            held.close()


class Load:
    """Clicks at a steady rate, and one request to the API for every tenth, whether or not earlier ones have been answered.

    Every other one comes on a connection of its own, the others on a few that are kept for as long as the server keeps them. The
    oracle: each request gets one whole answer of the expected status.
    """

    def __init__(self, port: int, api_port: int, link: str) -> None:
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        self._port = port
        self._api_port = api_port
        self._link = link
        self._kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
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

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while True:
            number += 1
            asked = asyncio.create_task(self._ask(number))
            self._asking.add(asked)
            asked.add_done_callback(self._asking.discard)
            await asyncio.sleep(max(0.0, began + number / CLICKS_PER_SECOND - loop.time()))

    async def _ask(self, number: int) -> None:
        is_api = number % 10 == 0
        keeps = number % 2 == 1
        try:
            if is_api:
                await self._exchange(self._api_port, "/api/openapi.json", "api 200", keeps=False)
            else:
                await self._exchange(self._port, f"{self._link}?external_id=x{number}", "click 302", keeps)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as fault:
            self.faults.append(f"{number} {'api' if is_api else 'kept' if keeps else 'fresh'}: {fault!r}")

    async def _exchange(self, port: int, target: str, expected: str, keeps: bool) -> None:
        # As every client does that keeps connections: one that the server has closed meanwhile is not used again.
        while self._kept and self._kept[-1][0].at_eof():
            self._kept.pop()[1].close()
        if keeps and self._kept:
            reader, writer = self._kept.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        async with asyncio.timeout(60):
            writer.write(f"GET {target} HTTP/1.1\r\nHost: tracker.example\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        got = f"{expected.split()[0]} {head[9:12].decode()}"
        self.answers[got] += 1
        if got != expected:
            self.faults.append(f"{target}: {got}")
        if keeps and b"connection: close" not in head.lower():
            self._kept.append((reader, writer))
        else:
            writer.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@contextmanager
def started(tracker: Tracker) -> Iterator[Tracker]:
    """The tracker, ended by force if need be on leaving."""
    try:
        tracker.start()
        yield tracker
    finally:
        tracker.close()


async def until(is_so: object, seconds: float = 60.0) -> None:
    """Wait, beside the load, for something that other processes do."""
    await asyncio.to_thread(eventually, is_so, seconds)  # type: ignore[arg-type]


def answers_new_clicks(tracker: Tracker, load: Load, before: int) -> bool:
    """Whether clicks were answered since there were ``before`` of them."""
    return load.answers["click 302"] > before + CLICKS_BETWEEN_RESTARTS and tracker.process is not None


def test_a_full_restart_with_sockets_that_are_handed_over_fails_no_request(tmp_path: Path, receiver: Receiver) -> None:
    with started(HandedOver(tmp_path / "data", edges=2)) as tracker:
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}")
        load = Load(tracker.port, tracker.api_port, f"/c/{campaign.key}")

        async def restart_again_and_again() -> None:
            async with load.running():
                for _ in range(3):
                    before = load.answers["click 302"]
                    await until(lambda before=before: answers_new_clicks(tracker, load, before))
                    assert await asyncio.to_thread(tracker.stop) == 0
                    await asyncio.to_thread(tracker.start)

        asyncio.run(restart_again_and_again())
        assert not load.faults, load.faults[:10]
        assert load.answers["click 302"] > 200
        assert load.answers["api 200"] > 20
        assert tracker.log_text().count('"event":"started"') == 4


@pytest.mark.parametrize("name", ["edge1", "edge2", "core"])
def test_restarting_one_process_fails_no_request(tmp_path: Path, receiver: Receiver, name: str) -> None:
    with started(Tracker(tmp_path / "data", edges=2)) as tracker:
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}")
        load = Load(tracker.port, tracker.api_port, f"/c/{campaign.key}")

        async def restart_again_and_again() -> None:
            async with load.running():
                for _ in range(3):
                    before, pid = load.answers["click 302"], tracker.pids()[name]
                    await until(lambda before=before: answers_new_clicks(tracker, load, before))
                    os.kill(pid, signal.SIGTERM)
                    await until(lambda pid=pid: tracker.pids().get(name, pid) != pid)
                    if name == "core":
                        await until(tracker.api_answers)

        asyncio.run(restart_again_and_again())
        assert not load.faults, load.faults[:10]
        assert load.answers["click 302"] > 200


def test_the_only_edge_is_restarted_without_a_failed_request(tmp_path: Path, receiver: Receiver) -> None:
    with started(Tracker(tmp_path / "data", edges=1)) as tracker:
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}")
        load = Load(tracker.port, tracker.api_port, f"/c/{campaign.key}")

        async def restart_again_and_again() -> None:
            async with load.running():
                for _ in range(3):
                    before, pid = load.answers["click 302"], tracker.pids()["edge1"]
                    await until(lambda before=before: answers_new_clicks(tracker, load, before))
                    os.kill(pid, signal.SIGTERM)
                    await until(lambda pid=pid: tracker.pids().get("edge1", pid) != pid)

        asyncio.run(restart_again_and_again())
        assert not load.faults, load.faults[:10]
