"""Restarts under load: of single processes, and of everything with sockets that another process keeps open. No request fails."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.steady_load import Load
from tests.journey.running import Receiver, Tracker, eventually

pytestmark = pytest.mark.crash

CLICKS_BETWEEN_RESTARTS = 70
RESTARTS = {"edge1": 3, "edge2": 3, "core": 2}
FULL_RESTARTS = 2
HOLDER = (
    "import os, sys\n"
    "for number in (0, 1): os.dup2(int(sys.argv[1 + number]), 3 + number)\n"
    "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '2', 'LISTEN_FDNAMES': 'visitors:panel'}\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)
"""A stand-in for systemd between fork and exec, for a service with two sockets."""


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
    """Return whether clicks have been answered since the count was ``before``."""
    return load.answers["click 302"] > before + CLICKS_BETWEEN_RESTARTS and tracker.process is not None


def assert_no_request_failed(load: Load, restarts: int) -> None:
    """Fail if a request failed, or if more requests had to be sent twice than one for each restart."""
    assert not load.faults, load.faults[:10]
    assert load.retries <= restarts, f"{load.retries} requests found that their kept connection had just been closed"


def test_a_full_restart_with_sockets_that_are_handed_over_fails_no_request(tmp_path: Path, receiver: Receiver) -> None:
    with started(HandedOver(tmp_path / "data", edges=2)) as tracker:
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}")
        load = Load(tracker.port, tracker.api_port, f"/c/{campaign.key}")

        async def restart_again_and_again() -> None:
            async with load.running():
                for _ in range(FULL_RESTARTS):
                    before = load.answers["click 302"]
                    await until(lambda before=before: answers_new_clicks(tracker, load, before))
                    assert await asyncio.to_thread(tracker.stop) == 0
                    await asyncio.to_thread(tracker.start)

        asyncio.run(restart_again_and_again())
        assert_no_request_failed(load, FULL_RESTARTS)
        assert load.answers["click 302"] > 150
        assert load.answers["panel 200"] > 10
        assert tracker.log_text().count('"event":"started"') == 1 + FULL_RESTARTS


@pytest.mark.parametrize("name", RESTARTS)
def test_restarting_one_process_fails_no_request(tmp_path: Path, receiver: Receiver, name: str) -> None:
    with started(Tracker(tmp_path / "data", edges=2)) as tracker:
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}")
        load = Load(tracker.port, tracker.api_port, f"/c/{campaign.key}")

        async def restart_again_and_again() -> None:
            async with load.running():
                for _ in range(RESTARTS[name]):
                    before, pid = load.answers["click 302"], tracker.pids()[name]
                    await until(lambda before=before: answers_new_clicks(tracker, load, before))
                    os.kill(pid, signal.SIGTERM)
                    await until(lambda pid=pid: tracker.pids().get(name, pid) != pid)
                    if name == "core":
                        await until(tracker.api_answers)

        asyncio.run(restart_again_and_again())
        assert_no_request_failed(load, RESTARTS[name])
        assert load.answers["click 302"] > RESTARTS[name] * CLICKS_BETWEEN_RESTARTS


def test_the_only_edge_is_restarted_without_a_failed_request(tmp_path: Path, receiver: Receiver) -> None:
    with started(Tracker(tmp_path / "data", edges=1)) as tracker:
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}")
        load = Load(tracker.port, tracker.api_port, f"/c/{campaign.key}")

        async def restart_again_and_again() -> None:
            async with load.running():
                for _ in range(RESTARTS["edge1"]):
                    before, pid = load.answers["click 302"], tracker.pids()["edge1"]
                    await until(lambda before=before: answers_new_clicks(tracker, load, before))
                    os.kill(pid, signal.SIGTERM)
                    await until(lambda pid=pid: tracker.pids().get("edge1", pid) != pid)

        asyncio.run(restart_again_and_again())
        assert_no_request_failed(load, RESTARTS["edge1"])
