"""Kills real processes at chosen system calls, or lets the calls fail, by strace's fault injection."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

CALLS = (
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "ftruncate",
    "fallocate",
    "unlink",
    "unlinkat",
    "mkdir",
    "link",
    "linkat",
    "sendfile",
)
"""Every call by which a writer of files changes what is stored."""
KILLED = -9


class Run(msgspec.Struct, frozen=True):
    """How a child ended: its exit code (negative: the signal) and what it had acknowledged before."""

    code: int
    acknowledged: tuple[str, ...]
    errors: str


def run_child(script: Path, arguments: Sequence[str], faults: Sequence[str] = (), trace: Path | None = None) -> Run:
    """Runs a Python script under strace with faults such as ``fsync:signal=KILL:when=3``, or all its calls listed into ``trace``."""
    strace = shutil.which("strace")
    if strace is None:
        raise RuntimeError(
            "strace is missing and the crash tests need it: install it (Debian, Ubuntu: apt-get install strace)"
        )
    quick = (
        [] if any("signal=" in fault for fault in faults) else ["--seccomp-bpf"]
    )  # with it, signals are not injected
    command = [strace, "-f", *quick, "-qq", "-o", str(trace or os.devnull), "-e", "trace=" + ",".join(CALLS)]
    for fault in faults:
        command += ["-e", "inject=" + fault]
    command += [sys.executable, "-u", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return Run(done.returncode, tuple(done.stdout.splitlines()), done.stderr)


def call_counts(script: Path, arguments: Sequence[str], trace: Path) -> Counter[str]:
    """How often an undisturbed run makes each call. Counts are per thread, as ``when=`` counts."""
    run = run_child(script, arguments, trace=trace)
    if run.code != 0:
        raise RuntimeError(f"{script.name} failed undisturbed with {run.code}: {run.errors}")
    per_thread: Counter[tuple[str, str]] = Counter()
    for line in trace.read_text(errors="replace").splitlines():
        thread, _, call = line.partition(" ")
        name = call.strip().partition("(")[0]
        if name in CALLS:
            per_thread[thread, name] += 1
    counts: Counter[str] = Counter()
    for (_, name), count in per_thread.items():
        counts[name] = max(counts[name], count)
    return counts


def places(counts: Counter[str]) -> Iterator[tuple[str, int]]:
    """Every call of a run as its name and number."""
    for name in sorted(counts):
        for number in range(1, counts[name] + 1):
            yield name, number
