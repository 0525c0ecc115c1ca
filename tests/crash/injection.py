"""Kills real processes at chosen system calls, or lets the calls fail, by strace's fault injection."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

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
FORKING = Path(__file__).with_name("forking.py")


class Run(msgspec.Struct, frozen=True):
    """The end of a child: its exit code (negative: the signal) and what it had acknowledged before."""

    code: int
    acknowledged: tuple[str, ...]
    errors: str


class Forking:
    """A process that has imported a script and forks a child for each run: to import it under strace would take far longer than
    the run. For one thread at a time."""

    def __init__(self, script: Path, folder: Path) -> None:
        """``folder`` is where the children's output is put meanwhile."""
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(FORKING), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def run(self, arguments: Sequence[str], faults: Sequence[str] = (), trace: Path | None = None) -> Run:
        """Run the script's ``main`` with faults such as ``fsync:signal=KILL:when=3``, or all its calls listed into ``trace``."""
        written, errors = self._folder / "written", self._folder / "errors"
        for path in (written, errors):
            path.unlink(missing_ok=True)
        pid = int(self._answer(json.dumps([str(written), str(errors), *arguments])))
        command = ["strace", "-f", "-p", str(pid), "-o", str(trace or os.devnull)]
        command += ["-e", "trace=" + ",".join(CALLS)]
        for fault in faults:
            command += ["-e", "inject=" + fault]
        try:
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
                assert strace.stderr is not None
                attached = strace.stderr.readline()
                assert "attached" in attached, attached
                os.kill(pid, signal.SIGCONT)
                strace.communicate(timeout=60)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        code = int(self._answer())
        return Run(code, tuple(written.read_text().splitlines()), errors.read_text())

    def call_counts(self, arguments: Sequence[str], trace: Path) -> Counter[str]:
        """Return how often an undisturbed run makes each call. Counts are per thread, as ``when=`` counts."""
        run = self.run(arguments, trace=trace)
        if run.code != 0:
            raise RuntimeError(f"it failed undisturbed with {run.code}: {run.errors}")
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

    def _answer(self, line: str = "") -> str:
        """Send a line, if there is one, and return the next line of the answer. Raise RuntimeError if the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if line:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the forking process has ended: see its errors above")
        return answer


@contextmanager
def forking(script: Path, folder: Path) -> Iterator[Forking]:
    """A process that forks children which run a script. Raise RuntimeError where strace is missing."""
    if shutil.which("strace") is None:
        raise RuntimeError(
            "strace is missing and the crash tests need it: install it (Debian, Ubuntu: apt-get install strace)"
        )
    folder.mkdir()
    with Forking(script, folder) as opened:
        yield opened


def places(counts: Counter[str]) -> Iterator[tuple[str, int]]:
    """Every call of a run as its name and number."""
    for name in sorted(counts):
        for number in range(1, counts[name] + 1):
            yield name, number
