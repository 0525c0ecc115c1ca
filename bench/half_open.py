"""5,000 half-open connections to each port under a soft limit of 1,024 descriptors: ``python -m bench.half_open``.

Rounds with and without them alternate, so that other load affects both alike. Closed connections are reopened, up to a rate.
"""

import asyncio
import contextlib
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import msgspec

from bench.machine import percentile
from bench.product import ServeProcess
from bench.steady import Source, SteadyVisitors
from clickloop.machine.core_client import read_core_address

CONNECTIONS = 5_000
OPENED_PER_SECOND = 600
PER_SECOND = 100
NOTICE_EVERY = 5
SECONDS = 6.0
ROUNDS = 3
HARD_LIMITS = (20_000, 1_024)
SOFT_LIMIT = 1_024
MAX_RATIO = 2.0
_HALF = b"GET /x HTTP/1.1\r\nHost: track.exa"


class Round(msgspec.Struct, frozen=True):
    """Visitors' response times, and the time from a notice to its postback, in ms."""

    p50: float
    p99: float
    failed: int
    lag_p50: float
    lag_p99: float


def main() -> list[str]:
    """Return the results as lines of Markdown. Raise ArithmeticError if a visitor was not redirected or a postback is missing."""
    lines = [
        (
            f"{PER_SECOND} clicks/s, of which every {NOTICE_EVERY}th reports a conversion; {ROUNDS} rounds of {SECONDS:g} s each in turns; "
            f"{CONNECTIONS:,} half-open connections to each port, reopened when closed, at most {OPENED_PER_SECOND}/s. "
            "Medians of the rounds."
        ),
        "",
        "| limits (soft : hard) | half-open, each port | redirect p50 | p99 | postback after its notice p50 | p99 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    worst = 0.0
    for hard in HARD_LIMITS:
        found = asyncio.run(_measure(hard))
        figures = {
            kind: [median(values) for values in zip(*map(msgspec.structs.astuple, rounds), strict=True)]
            for kind, rounds in found.items()
        }
        for kind, (p50, p99, _, lag_p50, lag_p99) in figures.items():
            lines.append(
                f"| {SOFT_LIMIT:,} : {hard:,} | {kind:,} | {p50:.1f} ms | {p99:.1f} ms | {lag_p50:.0f} ms | {lag_p99:.0f} ms |"
            )
        ratios = [figures[CONNECTIONS][place] / figures[0][place] for place in (1, 4)]
        worst = max(worst, *ratios)
        lines.append(f"| | with ÷ without | | **{ratios[0]:.2f}** | | **{ratios[1]:.2f}** |")
    lines += [
        "",
        f"Worst ratio: {worst:.2f} (to reach: ≤ {MAX_RATIO:g}). No visitor was turned away, every postback arrived.",
    ]
    return lines


async def _measure(hard: int) -> dict[int, list[Round]]:
    source = Source()
    rounds: dict[int, list[Round]] = {0: [], CONNECTIONS: []}
    async with source.listening() as port:
        with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder:
            limited = ("prlimit", f"--nofile={SOFT_LIMIT}:{hard}")
            serving = await asyncio.to_thread(ServeProcess, Path(folder) / "data", 0, limited)
            try:
                link = await asyncio.to_thread(serving.create_campaign, f"http://127.0.0.1:{port}/pb?id={{externalid}}")
                await _round(serving, link, source, 2.0)
                for _ in range(ROUNDS):
                    rounds[0].append(await _round(serving, link, source, SECONDS))
                    async with _half_open_connections(serving):
                        rounds[CONNECTIONS].append(await _round(serving, link, source, SECONDS))
            finally:
                await asyncio.to_thread(serving.stop)
    return rounds


async def _round(serving: ServeProcess, link: str, source: Source, seconds: float) -> Round:
    steady = SteadyVisitors(serving.port, link, PER_SECOND, NOTICE_EVERY)
    async with steady.running():
        await asyncio.sleep(seconds)
    give_up = time.monotonic() + 60
    while not steady.answered_at.keys() <= source.received_at.keys():
        if time.monotonic() > give_up:
            raise ArithmeticError(
                f"{len(steady.answered_at.keys() - source.received_at.keys())} postbacks did not arrive"
            )
        await asyncio.sleep(0.05)
    if steady.failed:
        raise ArithmeticError(f"{len(steady.failed)} visitors were not redirected: {steady.failed[:3]}")
    lags = [(source.received_at[name] - at) * 1000 for name, at in steady.answered_at.items()]
    return Round(steady.p(50), steady.p(99), len(steady.failed), percentile(lags, 50), percentile(lags, 99))


@asynccontextmanager
async def _half_open_connections(serving: ServeProcess) -> AsyncIterator[None]:
    """Keep half-open connections to both ports in a separate process while the block runs."""
    panel = read_core_address(serving.folder).url.rpartition(":")[2]
    command = [sys.executable, "-m", "bench.half_open", "hold", str(serving.port), panel]
    holder = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    await holder.stdout.readline()
    try:
        yield
    finally:
        holder.send_signal(signal.SIGTERM)
        await holder.wait()


def _hold_open(ports: list[int]) -> None:
    """Open connections to these ports and reopen closed ones, until killed. Print a line when all have been opened once.

    Uses plain sockets, since on two cores the clients' CPU time is taken from the server.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pending = deque((port, number) for number in range(CONNECTIONS) for port in ports)
    open_sockets: dict[int, tuple[socket.socket, tuple[int, int]]] = {}
    poll, opened = select.epoll(), 0
    while True:
        for _ in range(min(len(pending), OPENED_PER_SECOND * len(ports) // 20)):
            port, number = pending.popleft()
            with contextlib.suppress(OSError):
                address = (f"127.1.0.{number % 250 + 1}", 0)
                one = socket.create_connection(("127.0.0.1", port), 1.0, address)
                one.send(_HALF)
                poll.register(one.fileno(), select.EPOLLIN)
                open_sockets[one.fileno()] = one, (port, number)
                opened += 1
                if opened == CONNECTIONS * len(ports):
                    print("held", flush=True)
                continue
            pending.append((port, number))
        time.sleep(0.05)
        for fd, _ in poll.poll(0, 10_000):
            one, again = open_sockets.pop(fd)
            one.close()
            pending.append(again)


if __name__ == "__main__":
    if sys.argv[1:2] == ["hold"]:
        _hold_open([int(port) for port in sys.argv[2:]])
    print("\n".join(main()))
