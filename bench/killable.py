"""A ``clickloop serve`` that can be killed, whole or in part, and restarted on the same folder and ports."""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.machine import wait_until
from clickloop.machine.core_client import CoreResponse, NotRunningError, call_core

START_SECONDS = 40.0
END_SECONDS = 60.0
_MODULES = {"clickloop.app": "core", "clickloop.edge.process": "edge"}


class KillableTracker:
    """A running tracker that logs to a file next to its folder."""

    def __init__(self, folder: Path, edges: int = 2, **environment: str) -> None:
        self.folder = folder
        self.port = quiet_port()
        self._log = folder.with_suffix(".log")
        panel = f"127.0.0.1:{quiet_port()}"
        self._command = [sys.executable, "-m", "clickloop", "serve", "--data", str(folder)]
        self._command += ["--listen", f"127.0.0.1:{self.port}", "--panel-listen", panel, "--edges", str(edges)]
        settings = {"allowed_addresses": "127.0.0.0/8"} | environment  # the simulated receivers are on loopback
        self._environment = os.environ | {f"CLICKLOOP_{name.upper()}": value for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the supervisor without waiting."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log, stdout=log, env=self._environment)

    def wait_until_ready(self) -> None:
        """Wait until an edge and the API answer."""
        wait_until(
            lambda: self._edge_answers() and self._api_answers(), START_SECONDS, self._timeout("the tracker starts")
        )

    def pids(self) -> dict[str, list[int]]:
        """Return the running processes by kind: ``supervisor``, ``core``, ``edge``."""
        if self._process is None or self._process.poll() is not None:
            return {}
        found = {"supervisor": [self._process.pid]}
        for child in _children(self._process.pid):
            if (kind := _kind_of(child)) is not None:
                found.setdefault(kind, []).append(child)
        return found

    def kill(self, kind: str, chance: random.Random) -> None:
        """``kill -9`` a process of a kind, as soon as one runs. Restart a killed supervisor, which restarts the others itself."""
        wait_until(lambda: kind in self.pids(), START_SECONDS, self._timeout(f"a process of the kind {kind} runs"))
        pid = chance.choice(self.pids()[kind])
        os.kill(pid, signal.SIGKILL)
        if self._process is not None and pid == self._process.pid:
            self._process.wait(10)
            self.start()
        else:
            wait_until(lambda: pid not in self.pids().get(kind, ()), 10, self._timeout(f"process {pid} is gone"))

    def stop(self) -> None:
        """Stop it gracefully. Raise RuntimeError if it exits with an error."""
        assert self._process is not None
        self._process.terminate()
        if (code := self._process.wait(END_SECONDS)) != 0:
            raise RuntimeError(f"the tracker ended with {code}\n{self._tail()}")
        self._process = None

    def abandon(self) -> None:
        """Kill all remaining processes after a failed run. No effect after ``stop``."""
        if self._process is not None:
            pids = [pid for kind in self.pids().values() for pid in kind]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            self._process.wait(10)

    def create(self, noun: str, body: dict[str, object]) -> dict[str, object]:
        """Create a record through the API and return it."""
        answer = self.api("POST", noun, body)
        if answer.status not in {201, 202}:
            raise RuntimeError(f"POST {noun} was answered {answer.status}: {answer.body.decode()}")
        return msgspec.json.decode(answer.body, type=dict[str, object])

    def api(self, method: str, path: str, body: dict[str, object] | None = None) -> CoreResponse:
        """Send a request to the API, with the token from the data folder."""
        return call_core(self.folder, method, f"/api/v1/{path}", None if body is None else msgspec.json.encode(body))

    def log_lines(self, event: str) -> int:
        """Return the number of log lines with this event."""
        return self._log.read_text(errors="replace").count(f'"event":"{event}"')

    def _timeout(self, what: str) -> Callable[[], str]:
        return lambda: f"Timed out waiting until {what}.\n{self._tail()}"

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])

    def _edge_answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _api_answers(self) -> bool:
        try:
            return self.api("GET", "campaigns?limit=1").status == 200
        except NotRunningError:
            return False


def quiet_port() -> int:
    """Return a free port outside the system's ephemeral range, so that it is still free after a restart."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _kind_of(pid: int) -> str | None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next((kind for module, kind in _MODULES.items() if module in command), None)
