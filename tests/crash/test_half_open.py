"""Half-open connections to both ports, under the descriptor limits that a service gets: visitors, panel and postbacks go on."""

import contextlib
import resource
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.journey.running import Connection, Receiver, Tracker, eventually, running

pytestmark = pytest.mark.crash

HELD = 1_100
"""Connections to each port: more than the usual number of descriptors."""
HALF = b"GET /health HTTP/1.1\r\nHo"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    """Enough of them for the clients, which are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Limited(Tracker):
    """A tracker that is started with other descriptor limits."""

    limits = (1024, 1024)

    def command(self) -> list[str]:
        """The command line behind prlimit(1)."""
        soft, hard = self.limits
        return ["prlimit", f"--nofile={soft}:{hard}", *super().command()]


class FewSoft(Limited):
    """With what systemd, ssh and cron give."""

    limits = (1024, 20_000)


class HalfOpen:
    """Connections that send half a request, held from many addresses; those that the server closes are opened again."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._open: dict[str, socket.socket] = {}
        self._addresses = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(count)]
        self.opened = 0

    def refill(self) -> None:
        """Open what is not open."""
        for address in self._addresses:
            one = self._open.get(address)
            if one is not None and not _is_closed(one):
                continue
            if one is not None:
                one.close()
            self._open[address] = fresh = socket.create_connection(("127.0.0.1", self._port), 20, (address, 0))
            fresh.sendall(HALF)
            fresh.setblocking(False)
            self.opened += 1

    def close(self) -> None:
        """Let go."""
        for one in self._open.values():
            one.close()


def _is_closed(one: socket.socket) -> bool:
    try:
        return one.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("kind", [Limited, FewSoft])
def test_visitors_panel_and_postbacks_go_on_beside_half_open_connections(
    tmp_path: Path, receiver: Receiver, kind: type[Limited]
) -> None:
    tracker = kind(tmp_path / "data")
    with contextlib.ExitStack() as stack:
        stack.callback(tracker.close)
        tracker.start()
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}")
        held = [HalfOpen(port, HELD) for port in (tracker.port, tracker.api_port)]
        for one in held:
            stack.callback(one.close)
        for turn in range(3):
            for one in held:
                one.refill()
            click_id = tracker.click(campaign.key, f"external_id=x{turn}")
            assert tracker.notify(f"cid={click_id}&payout=1").headers["x-clickloop-outcome"] == "accepted"
            assert tracker.api("GET", "campaigns").status == 200
            with Connection(tracker.api_port) as connection:
                assert connection.ask("GET", "/panel/sign-in").status == 200
            eventually(partial(receiver.those, "id", f"x{turn}".encode()), told=tracker.log_text)
        assert "Too many open files" not in tracker.log_text()
        assert sum(one.opened for one in held) >= 2 * HELD
        if kind is Limited:
            assert "as many connections are open as may be" in tracker.log_text()
        assert tracker.stop() == 0


def test_the_soft_limit_is_raised_to_the_hard_one_for_every_process(tmp_path: Path) -> None:
    tracker = FewSoft(tmp_path / "data")
    try:
        tracker.start()
        assert {resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in tracker.pids().values()} == {(20_000, 20_000)}
    finally:
        tracker.close()


def test_an_edge_without_a_descriptor_left_goes_on_with_what_is_open_and_takes_new_ones_afterwards(
    tmp_path: Path, receiver: Receiver
) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}")
        pid = tracker.pids()["edge1"]
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        with Connection(tracker.port) as visitor:
            assert visitor.ask("GET", f"/c/{campaign.key}").status == 302
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
            spent = _cpu_seconds(pid)
            refused = [Connection(tracker.port, 1.0) for _ in range(20)]
            for connection in refused:
                with contextlib.suppress(OSError):
                    connection.send(HALF)
            for _ in range(20):
                assert visitor.ask("GET", f"/c/{campaign.key}").status == 302
            assert _cpu_seconds(pid) - spent < 1.0
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            eventually(lambda: tracker.takes_clicks())
            assert tracker.click(campaign.key)
            assert tracker.pids()["edge1"] == pid


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
