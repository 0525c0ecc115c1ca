"""Measures restarts under 200 clicks/s: of everything, with sockets held outside, and of edges: ``python -m bench.restart``."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench.machine import wait_until
from bench.product import ServeProcess
from bench.steady import SteadyVisitors

PER_SECOND = 200
FULL_RESTARTS = 5
EDGE_RESTARTS = 10
_HOLDER = (
    "import os, sys\n"
    "for number in (0, 1): os.dup2(int(sys.argv[1 + number]), 3 + number)\n"
    "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '2', 'LISTEN_FDNAMES': 'visitors:panel'}\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)
"""Python code that does what systemd does between fork and exec for a service with two sockets."""


class SocketActivatedServe:
    """A ``clickloop serve`` whose listening sockets belong to this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in range(2)]
        self.port = self.sockets[0].getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Pass the sockets to a new process, without waiting until it is ready."""
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in self.sockets]
        numbers = [str(one.fileno()) for one in self.sockets]
        command = [sys.executable, "-m", "clickloop", "serve", "--data", str(self.folder)]
        command += ["--listen", addresses[0], "--panel-listen", addresses[1]]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, *numbers, *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[one.fileno() for one in self.sockets],
        )

    def stop(self) -> None:
        """Stop it gracefully. The sockets stay open."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(40)

    def edges(self) -> list[int]:
        """Return the process ids of the edges."""
        assert self._process is not None
        pid = self._process.pid
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in children if b"clickloop.edge.process" in Path(f"/proc/{child}/cmdline").read_bytes()]


def main() -> list[str]:
    """Return the results as lines of Markdown. Raise ArithmeticError if a request failed."""
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as temporary:
        folder = Path(temporary) / "data"
        serving = ServeProcess(folder)
        try:
            link = serving.create_campaign("https://source.example/postback?id={externalid}")
        finally:
            serving.stop()
        tracker = SocketActivatedServe(folder)
        tracker.start()
        try:
            full = asyncio.run(_full(tracker, link))
            alone = asyncio.run(_edges(tracker, link))
        finally:
            tracker.stop()
            for one in tracker.sockets:
                one.close()
    lines = [
        f"{PER_SECOND} clicks/s, every other one on a new connection, the others on keep-alive ones.",
        "",
        "| restarted | times | clicks | failed | p50 | p99 | longest |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, times, steady in (("everything", FULL_RESTARTS, full), ("an edge", EDGE_RESTARTS, alone)):
        lines.append(
            f"| {name} | {times} | {len(steady.milliseconds):,} | {len(steady.failed)} | {steady.p(50):.1f} ms "
            f"| {steady.p(99):.0f} ms | {max(steady.milliseconds):.0f} ms |"
        )
        if steady.failed:
            raise ArithmeticError(f"{len(steady.failed)} clicks failed: {steady.failed[:3]}")
    return [
        *lines,
        "",
        "Clicks that arrive during a restart wait in the socket's queue; the longest shows how long a restart takes.",
    ]


async def _wait_for_answers(steady: SteadyVisitors, more: int) -> None:
    """Wait until ``more`` further clicks have been answered."""
    enough = len(steady.milliseconds) + more
    await asyncio.to_thread(wait_until, lambda: len(steady.milliseconds) >= enough, 60, "no clicks are answered")


async def _full(tracker: SocketActivatedServe, link: str) -> SteadyVisitors:
    steady = SteadyVisitors(tracker.port, link, PER_SECOND)
    async with steady.running():
        for _ in range(FULL_RESTARTS):
            await _wait_for_answers(steady, 2 * PER_SECOND)
            await asyncio.to_thread(tracker.stop)
            tracker.start()
        await _wait_for_answers(steady, 2 * PER_SECOND)
    return steady


def _is_replaced(tracker: SocketActivatedServe, pid: int) -> bool:
    running = tracker.edges()
    return bool(running) and pid not in running


async def _edges(tracker: SocketActivatedServe, link: str) -> SteadyVisitors:
    steady = SteadyVisitors(tracker.port, link, PER_SECOND)
    async with steady.running():
        for _ in range(EDGE_RESTARTS):
            await _wait_for_answers(steady, PER_SECOND)
            (pid, *_) = tracker.edges()
            os.kill(pid, signal.SIGTERM)
            await asyncio.to_thread(wait_until, partial(_is_replaced, tracker, pid), 30, "no new edge")
        await _wait_for_answers(steady, PER_SECOND)
    return steady


if __name__ == "__main__":
    print("\n".join(main()))
