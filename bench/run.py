"""Runs the benches one after another, each in its own process: ``python -m bench.run [NAME…]``.

Running all of them writes ``bench/results.md``. Running some only prints their results; with ``--keep`` it also updates their
sections. A failed bench is reported as such and the others go on; the exit status is then 1.
"""

import contextlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.machine import SyncProbe, percentile

RESULTS = Path(__file__).parent / "results.md"
SYNC_SECONDS = 3.0
MAX_SECONDS = 300
"""Default timeout of a bench."""


class Bench(msgspec.Struct, frozen=True):
    """A module of this folder, and the targets of its figures."""

    name: str
    title: str
    what: str
    reach: str
    aim: str = ""
    max_seconds: int = MAX_SECONDS


BENCHES = (
    Bench("redirect", "The redirect", "edge CPU per recorded click ÷ nginx's logged 302", "≤ 4.0", "≤ 2.5"),
    Bench("landing_clicks", "Landing clicks", "edge CPU per /click with a cookie ÷ campaign click", "≤ 1.2"),
    Bench("track_script", "The script of pages", "time that track.js blocks a page of 500 links", "p50 ≤ 5 ms"),
    Bench("notices", "Notices", "notice answered, fsynced, 16 connections", "p99 ≤ 20 ms", "p99 ≤ 8 ms"),
    Bench("settling", "Settling", "CPU to settle a click into the facts", "≤ 12 µs", "≤ 6 µs"),
    Bench(
        "latency",
        "From the conversion to the source",
        "200 to the network → first attempt leaves",
        "p50 ≤ 300 ms, p99 ≤ 1 s",
        "p50 ≤ 100 ms",
    ),
    Bench("delivery", "Delivery", "postbacks delivered by one core, log written", "≥ 2,500/s", "≥ 5,000/s"),
    Bench(
        "receiver_queues",
        "Receiver queues",
        "healthy throughput beside a dead receiver; a million waiting",
        "≥ 95 %; drained ≥ 1,500/s",
        "",
    ),
    Bench(
        "questions",
        "Twenty questions of buyers",
        "a report over the API, 10 M clicks",
        "p95 ≤ 200 ms",
        "≤ 50 ms where roll-ups answer",
        1_800,
    ),
    Bench(
        "year",
        "A generated year",
        "every figure of 200,000 clicks in API, CSV and panel against a plain model",
        "all equal",
        "",
        max_seconds=3_600,
    ),
    Bench(
        "formulas",
        "Random formulas",
        "100,000 texts parsed, compiled and in part calculated",
        "no crash, no injection, steps by length",
    ),
    Bench("costs", "Entered cost", "an entry over a million clicks; its undo", "≤ 5 s each; reports equal"),
    Bench(
        "cost_segments",
        "Cost of random segments",
        "entries over 10,000 random segments, put into effect and undone in any order, against a plain model",
        "equal, to the micro",
        "",
        max_seconds=900,
    ),
    Bench(
        "cost_uploads",
        "Tables of costs",
        "20,000 lines over a million clicks: spread, repeated, corrected and undone",
        "≤ 30 s each; reports equal",
        "",
        max_seconds=900,
    ),
    Bench(
        "waiting",
        "Clicks during a backlog",
        "p99 of the redirect while a million queued postbacks are delivered ÷ with none",
        "≤ 1.5",
        "",
    ),
    Bench(
        "half_open",
        "Half-open connections",
        "p99 of visitors and of postbacks with 5,000 half-open connections to each port ÷ without, soft limit 1,024",
        "≤ 2",
        max_seconds=600,
    ),
    Bench("guessing", "Guessing passwords", "API p99 while 64 sign-ins are guessed at once", "≤ 250 ms"),
    Bench(
        "restart",
        "Restarting",
        "clicks that failed under 200/s while everything, or an edge, is restarted",
        "0",
        max_seconds=600,
    ),
    Bench("routing", "Routing", "CPU of a click along flows of different size", "20 rules × 3 conditions ≤ +6 µs", ""),
    Bench(
        "backtest", "Backtests", "a flow of 20 rules × 3 conditions tried on a million recorded clicks", "≤ 20 s", ""
    ),
    Bench(
        "caps",
        "Caps",
        "conversions above a cap of 100 a day under 200 conversions/s",
        "≤ rate × 1 s + those under way; the rest to the alternative, 0 lost",
        "",
    ),
    Bench(
        "learning",
        "Paths that learn",
        "five offers of known rates, 100,000 visits, conversions hours later: revenue of the second half ÷ the best offer's",
        "≥ 90 %",
        "",
    ),
    Bench(
        "uniqueness",
        "Uniqueness",
        "a million visits of 300,000 simulated people: unique in every report against a plain model",
        "equal; edge ≤ +10 µs a click",
        "",
        max_seconds=900,
    ),
    Bench(
        "mark_reruns",
        "Reruns of marks",
        "all marks of a million clicks judged anew, applied and undone",
        "≤ 30 s; undo gives equal reports",
        "",
        max_seconds=900,
    ),
    Bench("deciding", "Deciding", "a conversion's change against 20 rules", "≤ 100 µs", ""),
    Bench(
        "panel",
        "The panel",
        "server time of each page with 10 million clicks, 100,000 conversions, 300,000 postbacks",
        "p95 ≤ 50 ms",
        max_seconds=900,
    ),
    Bench("memory", "Memory", "resident memory of `clickloop serve`, idle", "≤ 300 MB in all", "≤ 200 MB"),
    Bench(
        "storm",
        "A storm",
        "100,000 conversions, 50 × kill -9, 20 % flaky answers",
        "nothing lost; duplicates ≤ requests on their way at the kills",
        max_seconds=2_400,
    ),
    Bench(
        "backup",
        "Backups",
        "backups under load with kills, each restored, started and audited",
        "50 of 50; 0 acknowledged before lost",
        max_seconds=7_200,
    ),
    Bench(
        "channels",
        "Three channels at once",
        "10,000 txids × 50 notices at once over three channels",
        "one conversion and one postback per rule each",
        max_seconds=2_400,
    ),
)


class Result(msgspec.Struct, frozen=True):
    """The output of a bench: lines of Markdown, or why it failed; and when it ended."""

    bench: Bench
    lines: tuple[str, ...]
    failed: bool
    at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


def main(names: list[str]) -> int:
    """Run the named benches, or all. Return the exit status."""
    known = {bench.name: bench for bench in BENCHES}
    updates_sections, names = "--keep" in names, [name for name in names if name != "--keep"]
    if unknown := [name for name in names if name not in known]:
        sys.stderr.write(f"Unknown bench: {', '.join(unknown)}. Choose from {', '.join(known)}.\n")
        return 2
    machine = machine_lines()
    print("\n".join(machine), flush=True)
    results = []
    for bench in [known[name] for name in names] or BENCHES:
        result = measure(bench)
        print("\n".join(section(result)), flush=True)
        results.append(result)
    if not names:
        sections = [line for result in results for line in section(result)]
        RESULTS.write_text("\n".join([*machine, *targets(), *sections]) + "\n", encoding="utf-8")
        print(f"\nWritten to {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    elif updates_sections:
        text = RESULTS.read_text(encoding="utf-8")
        for result in results:
            text = with_section(text, result)
        RESULTS.write_text(text, encoding="utf-8")
    return 1 if any(result.failed for result in results) else 0


def with_section(text: str, result: Result) -> str:
    """Return the results with a bench's section replaced, or appended if there is none."""
    title = f"\n## {result.bench.title}\n"
    if title not in text:
        return text + "\n".join(section(result)) + "\n"
    begin = text.index(title)
    end = text.find("\n## ", begin + 1)
    rest = text[end:] if end >= 0 else ""
    return text[:begin] + "\n".join(section(result)) + "\n" + rest


def measure(bench: Bench) -> Result:
    """Run a bench in its own process, unaffected by caches, memory and core affinity of others."""
    command = [sys.executable, "-m", f"bench.{bench.name}"]
    folder = RESULTS.parent.parent
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as run:
        try:
            output, errors = run.communicate(timeout=bench.max_seconds)
        except BaseException as fault:
            _end(run)
            if isinstance(fault, subprocess.TimeoutExpired):
                return _failed(bench, f"it had not ended after {bench.max_seconds} s")
            raise
    if run.returncode == 0:
        return Result(bench, tuple(output.rstrip("\n").split("\n")), failed=False)
    return _failed(bench, errors.strip().split("\n")[-1] or f"it ended with exit status {run.returncode}")


def _failed(bench: Bench, reason: str) -> Result:
    return Result(bench, (f"**Failed:** {reason}",), failed=True)


def _end(run: "subprocess.Popen[str]") -> None:
    """End a bench and its servers, which are in its process group or end with a supervisor that is."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(20)


def section(result: Result) -> list[str]:
    """Return a bench's section of the results."""
    bench = result.bench
    aim = f"; aim: {bench.aim}" if bench.aim else ""
    what = f"*{bench.what}: to reach {bench.reach}{aim}. Measured {result.at:%Y-%m-%d %H:%M} UTC.*"
    return ["", f"## {bench.title}", "", what, "", *result.lines]


def targets() -> list[str]:
    rows = [
        f"| [{bench.title}](#{_anchor(bench.title)}) | {bench.what} | {bench.reach} | {bench.aim} |"
        for bench in BENCHES
    ]
    return ["", "| Bench | What | Reach | Aim |", "| --- | --- | --- | --- |", *rows]


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def machine_lines() -> list[str]:
    """Return the head of the results: when and on what machine they were measured."""
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder, SyncProbe(Path(folder)) as syncs:
        time.sleep(SYNC_SECONDS)
    facts = {
        "Date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "Processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "Disk": f"fdatasync of 500 bytes: p50 {percentile(syncs.spent_ms, 50):.2f} ms, p99 {percentile(syncs.spent_ms, 99):.2f} ms",
        "Load before": f"{os.getloadavg()[0]:.2f} (one minute)",
    }
    return [
        "# Results",
        "",
        "Written by `make bench`. References are measured in the same run, since machines are noisy.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in facts.items()),
    ]


def _processor() -> str:
    """Return the processor's name (proc(5), cpuinfo)."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
