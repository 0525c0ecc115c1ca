"""Shared tools of the benches: pinning to cores, CPU time, wrk's report, nginx as the reference."""

import contextlib
import math
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import msgspec


class Load(msgspec.Struct, frozen=True):
    """wrk's report. Latencies in milliseconds."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process with its threads, exact rather than sampled at clock ticks (proc(5), schedstat)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident_mb(pid: int, field: str = "Pss") -> float:
    """Return the resident memory of a process in MiB (proc(5), smaps_rollup).

    ``field``: Pss divides shared pages by their users, Rss counts them in full.
    """
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"no {field} in /proc/{pid}/smaps_rollup")


class SyncProbe:
    """Measures the disk in the background: appends to a file every 10 ms and calls fdatasync(2)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.spent_ms: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with tempfile.NamedTemporaryFile(dir=self._folder, buffering=0) as file:
            while not self._ended.wait(0.01):
                file.write(b"x" * 500)
                began = time.perf_counter()
                os.fdatasync(file.fileno())
                self.spent_ms.append((time.perf_counter() - began) * 1000)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@contextlib.contextmanager
def cores_awake() -> Iterator[bool]:
    """Keep idle cores from sleeping. Yield whether that is permitted, which takes root.

    Waking a sleeping core is charged to the process that wakes it, and on a virtual machine costs several times as much as
    answering a request. A server that keeps its load generator busy never pays for it, a slower one pays with every
    response. Without this the ratio of two servers says more about the machine than about them. See the kernel's
    Documentation/power/pm_qos_interface.rst.
    """
    try:
        descriptor = os.open("/dev/cpu_dma_latency", os.O_WRONLY)
    except OSError:
        yield False
        return
    try:
        os.write(descriptor, struct.pack("i", 0))
        yield True
    finally:
        os.close(descriptor)


def two_cores() -> tuple[int, int]:
    """Return the core for the server and the core for the load: the same if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[-1], cores[0]


def wait_until(condition: Callable[[], bool], seconds: float, message: str | Callable[[], str]) -> None:
    """Poll until the condition is true. After ``seconds``, raise TimeoutError with the message."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(message if isinstance(message, str) else message())
        time.sleep(0.02)


def wait_for(port: int, seconds: float = 15.0) -> None:
    """Wait until something listens on the loopback port."""

    def is_listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(is_listening, seconds, f"nothing listens on 127.0.0.1:{port} after {seconds:g} s")


_REALTIME = ("chrt", "--fifo", "1") if os.getuid() == 0 else ()
"""Command prefix for real-time priority on a core, which takes root."""


def run_wrk(
    port: int,
    path: str,
    seconds: int,
    connections: int,
    core: int,
    pause_ms: int = 0,
    script: str = "load.lua",
    *,
    spread: bool = False,
) -> Load:
    """Run wrk on one core against ``http://127.0.0.1:port`` with a script of this folder, and return its report.

    ``path`` is the script's first argument; ``pause_ms`` its second, the pause before each request. ``spread``: requests come at
    random moments, and wrk has real-time priority, so that only the server's delays are measured.
    """
    command = [
        "taskset",
        "-c",
        str(core),
        *(_REALTIME if spread else ()),
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "-s",
    ]
    command += [str(Path(__file__).parent / script), f"http://127.0.0.1:{port}", "--", path, str(pause_ms)]
    command += ["spread"] if spread else []
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    errors = sum(int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", report))
    errors += int(found[1]) if (found := re.search(r"Non-2xx or 3xx responses: (\d+)", report)) else 0
    return Load(
        requests=int(_found(r"(\d+) requests in", report)),
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", report)),
        p50_ms=_milliseconds(_found(r"(?m)^\s+50%\s+(\S+)", report)),
        p99_ms=_milliseconds(_found(r"(?m)^\s+99%\s+(\S+)", report)),
        errors=errors,
    )


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise LookupError(f"wrk's report has no {pattern!r}:\n{text}")
    return found[1]


def _milliseconds(text: str) -> float:
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    raise ValueError(f"{text!r} is not a duration in wrk's format")


class Nginx:
    """A reference nginx with one process on one core that answers as ``location`` says and logs each request."""

    def __init__(self, folder: Path, core: int, location: str) -> None:
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nginx.conf").write_text(
            f"""
            daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                log_format full '$remote_addr $time_iso8601 "$request" $status "$http_referer" "$http_user_agent"';
                access_log {folder}/access.log full;
                client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
                uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; keepalive_requests 100000000;
                server {{ listen 127.0.0.1:{self.port}; {location} }}
            }}
            """
        )
        command = ["taskset", "-c", str(core), program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for(self.port)
        self.pid = self._process.pid

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
