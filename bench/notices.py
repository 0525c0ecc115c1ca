"""Measures notices, which one edge process answers once they are on disk: 16 keep-alive connections, wrk on the other core."""

import tempfile
from pathlib import Path

import msgspec

from bench.machine import Load, SyncProbe, cpu_seconds, percentile, run_wrk, two_cores
from bench.redirect import EdgeProcess
from clickloop.click_id import KEY_FILE, ClickIds
from clickloop.clock import wall_clock

SECONDS = 5
ROUNDS = 3
CONNECTIONS = 16
CLICK_IDS = 200_000
PACES = ((0, "as fast as it can"), (20, "20 ms between requests"))
"""Mean pause of a connection before each request: none, and one that gives the rate of a busy network."""


class Round(msgspec.Struct, frozen=True):
    """wrk's report of a round, the edge's CPU microseconds per notice, and fdatasync times of another file during it."""

    load: Load
    cpu_us: float
    sync_p50_ms: float
    sync_p99_ms: float


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    core, _ = two_cores()
    lines = [
        "| 16 connections | notices/s | p50 ms | p99 ms | CPU µs per notice | fdatasync meanwhile: p50 ms | p99 ms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    summaries = []
    answered = 0
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as temporary:
        folder = Path(temporary)
        edge = EdgeProcess(folder / "edge", core)
        try:
            _write_click_ids(folder / "ids", (folder / "edge" / KEY_FILE).read_bytes())
            _run(edge, folder, 1, 0)
            for pause_ms, name in PACES:
                rounds = [_measure(edge, folder, pause_ms) for _ in range(ROUNDS)]
                answered += sum(found.load.requests for found in rounds)
                lines += [_line(name, found) for found in rounds]
                summaries.append(_summary(name, [found.load.p99_ms for found in rounds]))
        finally:
            edge.stop()
        stored = _stored_count(folder / "edge")
    if stored < answered:
        raise ArithmeticError(f"{answered} notices were answered with 200, {stored} are in the journal")
    return [
        *lines,
        "",
        f"A notice is answered when it is on disk: {', '.join(summaries)}. All {answered:,} answered ones are in the journal.",
    ]


def _measure(edge: EdgeProcess, folder: Path, pause_ms: int) -> Round:
    before = cpu_seconds(edge.pid)
    with SyncProbe(folder) as syncs:
        load = _run(edge, folder, SECONDS, pause_ms)
    spent = (cpu_seconds(edge.pid) - before) / load.requests * 1e6
    if load.errors:
        raise RuntimeError(f"the edge answered {load.errors} of {load.requests} notices with errors")
    return Round(load, spent, percentile(syncs.spent_ms, 50), percentile(syncs.spent_ms, 99))


def _line(name: str, found: Round) -> str:
    load = found.load
    figures = f"{load.per_second:,.0f} | {load.p50_ms:.2f} | {load.p99_ms:.2f} | {found.cpu_us:.0f}"
    return f"| {name} | {figures} | {found.sync_p50_ms:.2f} | {found.sync_p99_ms:.2f} |"


def _summary(name: str, p99_ms: list[float]) -> str:
    return (
        f"{name} p99 {percentile(p99_ms, 50):.1f} ms, median of {ROUNDS} rounds ({min(p99_ms):.1f}–{max(p99_ms):.1f})"
    )


def _run(edge: EdgeProcess, folder: Path, seconds: int, pause_ms: int) -> Load:
    _, load_core = two_cores()
    return run_wrk(edge.port, str(folder / "ids"), seconds, CONNECTIONS, load_core, pause_ms, "notices.lua")


def _write_click_ids(path: Path, key: bytes) -> None:
    """Write genuine click ids, one per line."""
    ids = ClickIds(key)
    now_ms = wall_clock()
    with path.open("w") as file:
        file.writelines(f"{ids.new(now_ms - CLICK_IDS + number)}\n" for number in range(CLICK_IDS))


def _stored_count(folder: Path) -> int:
    """Return the number of notices in the journal's closed segments."""
    segments = (folder / "journal" / "notices").rglob("*.ndjson")
    return sum(path.read_bytes().count(b'{"notice_id":') for path in segments)


if __name__ == "__main__":
    print("\n".join(main()))
