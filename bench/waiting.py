"""Measures clicks while a million waiting postbacks are delivered, compared with none: ``python -m bench.waiting``.

The edge has one core; visitors and receivers share the other with the core process. Both trackers run all the time and alternate
every few seconds, so that other load affects both alike.
"""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec
from sqlalchemy import text

from bench.machine import Load, cores_awake, cpu_seconds, run_wrk, two_cores
from bench.product import ServeProcess
from bench.receiver_queues import WAITING, create_waiting, receivers
from clickloop.machine.secret_box import secret_box_of
from clickloop.store.identity import LEDGER_FILE
from clickloop.store.ledger.ledger import Ledger

ROUNDS = 10
SECONDS = 3
WARM_SECONDS = 1
CONNECTIONS = 32
PER_SECOND = 500
MAX_RATIO = 1.5


class Round(msgspec.Struct, frozen=True):
    """The visitors' response times, and the core process's work during them."""

    load: Load
    drained_per_second: float
    core_busy: float
    """Number of cores that the core process used."""


def main() -> list[str]:
    """Return the results as lines of Markdown. Raise ArithmeticError if a visitor was not redirected or nothing was delivered."""
    server_core, load_core = two_cores()
    with (
        tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder,
        receivers(load_core) as port,
        cores_awake() as awake,
    ):
        folders = {kind: Path(folder) / kind for kind in ("alone", "waiting")}
        for data in folders.values():
            _set_up(data)
        ledger = Ledger.open(folders["waiting"] / LEDGER_FILE)
        create_waiting(ledger, port)
        ledger.close()
        rounds: dict[str, list[Round]] = {kind: [] for kind in folders}
        with contextlib.ExitStack() as running:
            products = {kind: running.enter_context(_frozen(data, server_core)) for kind, data in folders.items()}
            for _ in range(ROUNDS):
                for kind, serving in products.items():
                    rounds[kind].append(_round(serving, load_core))
    return _lines(rounds, awake=awake)


def _set_up(folder: Path) -> None:
    serving = ServeProcess(folder)
    try:
        serving.create_campaign("https://source.example/postback?id={externalid}")
    finally:
        serving.stop()


@contextlib.contextmanager
def _frozen(folder: Path, server_core: int) -> Iterator[ServeProcess]:
    """Run a tracker that is suspended with SIGSTOP until a round resumes it, so that two of them can alternate within seconds."""
    serving = ServeProcess(folder, edges=1)
    try:
        os.sched_setaffinity(serving.pids[2], {server_core})
        _signal(serving, signal.SIGSTOP)
        yield serving
    finally:
        _signal(serving, signal.SIGCONT)
        serving.stop()


def _signal(serving: ServeProcess, number: int) -> None:
    for pid in serving.pids[1:]:
        os.kill(pid, number)


def _round(serving: ServeProcess, load_core: int) -> Round:
    """Resume the tracker, warm it up, and measure with visitors at the rate."""
    core = serving.pids[1]
    _signal(serving, signal.SIGCONT)
    run_wrk(serving.port, "/c/Ab12Cd", WARM_SECONDS, CONNECTIONS, load_core, _PAUSE_MS, spread=True)
    before, spent, began = _delivered(serving.folder), cpu_seconds(core), time.monotonic()
    load = run_wrk(serving.port, "/c/Ab12Cd", SECONDS, CONNECTIONS, load_core, _PAUSE_MS, spread=True)
    seconds = time.monotonic() - began
    busy = (cpu_seconds(core) - spent) / seconds
    drained = (_delivered(serving.folder) - before) / seconds
    _signal(serving, signal.SIGSTOP)
    return Round(load, drained, busy)


_PAUSE_MS = CONNECTIONS * 1000 // PER_SECOND


def _delivered(folder: Path) -> int:
    ledger = Ledger.open(folder / LEDGER_FILE, secret_box_of(folder))
    try:
        with ledger.read() as tx:
            return int(tx.scalar(text("SELECT count(*) FROM attempts WHERE result = 'delivered'")) or 0)
    finally:
        ledger.close()


def _lines(rounds: dict[str, list[Round]], *, awake: bool) -> list[str]:
    if errors := sum(one.load.errors for found in rounds.values() for one in found):
        raise ArithmeticError(f"{errors} visitors were not redirected")
    if not all(one.drained_per_second for one in rounds["waiting"]):
        raise ArithmeticError("no waiting postback was delivered during a round")
    p99 = {kind: median(one.load.p99_ms for one in found) for kind, found in rounds.items()}
    named = {"alone": "none", "waiting": f"{WAITING:,}, being drained"}
    return [
        (
            f"{PER_SECOND} visitors/s over {CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS} s each in turns; "
            f"idle cores {'kept awake' if awake else 'may sleep'}."
        ),
        "",
        "| postbacks waiting | redirect p50 | p99 (middle) | p99 of the rounds | drained | core process |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {named[kind]} | {median(one.load.p50_ms for one in found):.2f} ms | {p99[kind]:.2f} ms "
            f"| {', '.join(f'{one.load.p99_ms:.2f}' for one in found)} "
            f"| {median(one.drained_per_second for one in found):,.0f}/s | {median(one.core_busy for one in found):.2f} cores |"
            for kind, found in rounds.items()
        ),
        "",
        f"**p99 with them ÷ without: {p99['waiting'] / p99['alone']:.2f}** (to reach: ≤ {MAX_RATIO})",
    ]


if __name__ == "__main__":
    print("\n".join(main()))
