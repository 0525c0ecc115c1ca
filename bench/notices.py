"""Notices: one edge process answering ``/postback`` once each notice is on disk, 16 keep-alive connections, wrk on the other core."""

import tempfile
from pathlib import Path

import msgspec

from bench.machine import Load, cpu_seconds, fdatasync_ms, run_wrk, two_cores
from bench.redirect import EdgeProcess
from clickloop.click_id import KEY_FILE, ClickIds
from clickloop.clock import wall_clock

SECONDS = 5
ROUNDS = 3
CONNECTIONS = 16
CLICK_IDS = 200_000
PACED_MS = 20
"""Pause of each connection before a request in the paced rounds: a rate that a busy network reaches, far from the limit."""
RECORD_OCTETS = 500
"""About the size of a notice in the journal."""


class Round(msgspec.Struct, frozen=True):
    """One round: wrk's report and CPU microseconds of the edge per notice."""

    name: str
    load: Load
    cpu_us: float


def main() -> list[str]:
    """Result lines in Markdown."""
    core, _ = two_cores()
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as temporary:
        folder = Path(temporary)
        edge = EdgeProcess(folder / "edge", core)
        try:
            _write_click_ids(folder / "ids", (folder / "edge" / KEY_FILE).read_bytes())
            _run(edge, folder, 1, 0)
            for _ in range(ROUNDS):
                rounds.append(_measure("as fast as it can", edge, folder, 0))
                rounds.append(_measure(f"a pause of {PACED_MS} ms each", edge, folder, PACED_MS))
        finally:
            edge.stop()
        records = _answered_and_kept(folder / "edge")
        sync_p50, sync_p99 = fdatasync_ms(folder, RECORD_OCTETS)
    answered = sum(found.load.requests for found in rounds)
    if records < answered:
        raise ArithmeticError(f"{answered} notices were answered 200, {records} stand in the journal")
    lines = ["| 16 connections | notices/s | p50 ms | p99 ms | CPU µs per notice |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {found.name} | {found.load.per_second:,.0f} | {found.load.p50_ms:.2f} | {found.load.p99_ms:.2f} | {found.cpu_us:.1f} |"
        for found in sorted(rounds, key=lambda found: found.name)
    ]
    worst = max(found.load.p99_ms for found in rounds)
    return [
        *lines,
        "",
        f"Notice answered, on disk: p99 {worst:.2f} ms in the worst of {len(rounds)} rounds. fdatasync of this disk, alone: "
        f"p50 {sync_p50:.2f} ms, p99 {sync_p99:.2f} ms. All {answered:,} answered notices stand in the journal.",
    ]


def _measure(name: str, edge: EdgeProcess, folder: Path, pause_ms: int) -> Round:
    before = cpu_seconds(edge.pid)
    load = _run(edge, folder, SECONDS, pause_ms)
    spent = (cpu_seconds(edge.pid) - before) / load.requests * 1e6
    if load.errors:
        raise RuntimeError(f"the edge answered {load.errors} of {load.requests} notices with errors")
    return Round(name, load, spent)


def _run(edge: EdgeProcess, folder: Path, seconds: int, pause_ms: int) -> Load:
    _, load_core = two_cores()
    return run_wrk(edge.port, str(folder / "ids"), seconds, CONNECTIONS, load_core, pause_ms, "notices.lua")


def _write_click_ids(path: Path, key: bytes) -> None:
    """Genuine click ids, one a line."""
    ids = ClickIds(key)
    now_ms = wall_clock()
    with path.open("w") as file:
        file.writelines(f"{ids.new(now_ms - CLICK_IDS + number)}\n" for number in range(CLICK_IDS))


def _answered_and_kept(folder: Path) -> int:
    """How many accepted notices stand in the journal's closed segments."""
    segments = (folder / "journal" / "notices").rglob("*.ndjson")
    return sum(path.read_bytes().count(b'"crc":') for path in segments)


if __name__ == "__main__":
    print("\n".join(main()))
