"""``clickloop serve`` that may be killed, whole or in part, and started again on the same folder and ports."""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from clickloop.machine.core_client import Answer, NotRunningError, ask_core

START_SECONDS = 40.0
END_SECONDS = 60.0
_MODULES = {"clickloop.app": "core", "clickloop.edge.process": "edge"}


class Killable:
    """A running tracker; what it logs goes into a file beside its folder."""

    def __init__(self, folder: Path, edges: int = 2, **environment: str) -> None:
        self.folder = folder
        self.port = quiet_port()
        self._log = folder.with_suffix(".log")
        panel = f"127.0.0.1:{quiet_port()}"
        self._command = [sys.executable, "-m", "clickloop", "serve", "--data", str(folder)]
        self._command += ["--listen", f"127.0.0.1:{self.port}", "--panel-listen", panel, "--edges", str(edges)]
        given = {"allowed_addresses": "127.0.0.0/8"} | environment  # where the stand-in receivers are
        self._environment = os.environ | {f"CLICKLOOP_{name.upper()}": value for name, value in given.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the supervisor, and does not wait for anything."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log, stdout=log, env=self._environment)

    def wait_until_ready(self) -> None:
        """Waits until an edge and the API answer."""
        until(lambda: self._edge_answers() and self._api_answers(), START_SECONDS, self._told("the tracker starts"))

    def pids(self) -> dict[str, list[int]]:
        """Running processes by kind: ``supervisor``, ``core``, ``edge``."""
        if self._process is None or self._process.poll() is not None:
            return {}
        found = {"supervisor": [self._process.pid]}
        for child in _children(self._process.pid):
            if (kind := _kind_of(child)) is not None:
                found.setdefault(kind, []).append(child)
        return found

    def kill(self, kind: str, chance: random.Random) -> None:
        """``kill -9`` of a process of a kind, as soon as one runs. A supervisor is started again, by us; others by the supervisor."""
        until(lambda: kind in self.pids(), START_SECONDS, self._told(f"a process of the kind {kind} runs"))
        pid = chance.choice(self.pids()[kind])
        os.kill(pid, signal.SIGKILL)
        if self._process is not None and pid == self._process.pid:
            self._process.wait(10)
            self.start()
        else:
            until(lambda: pid not in self.pids().get(kind, ()), 10, self._told(f"process {pid} is gone"))

    def stop(self) -> None:
        """Drains and ends it. Raises RuntimeError when it did not end well."""
        assert self._process is not None
        self._process.terminate()
        if (code := self._process.wait(END_SECONDS)) != 0:
            raise RuntimeError(f"the tracker ended with {code}\n{self._tail()}")
        self._process = None

    def abandon(self) -> None:
        """Ends whatever is left of it, for the end of a failed run; without effect after ``stop``."""
        if self._process is not None:
            pids = [pid for kind in self.pids().values() for pid in kind]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            self._process.wait(10)

    def create(self, noun: str, body: dict[str, object]) -> dict[str, object]:
        """Creates a record through the API; it as the API answered."""
        answer = self.api("POST", noun, body)
        if answer.status not in {201, 202}:
            raise RuntimeError(f"creating one of {noun} was answered {answer.status}: {answer.body.decode()}")
        return msgspec.json.decode(answer.body, type=dict[str, object])

    def api(self, method: str, path: str, body: dict[str, object] | None = None) -> Answer:
        """One request to the API, with the token in the data folder."""
        return ask_core(self.folder, method, f"/api/v1/{path}", None if body is None else msgspec.json.encode(body))

    def log_lines(self, event: str) -> int:
        """How often a line of the log tells this event."""
        return self._log.read_text(errors="replace").count(f'"event":"{event}"')

    def _told(self, what: str) -> Callable[[], str]:
        return lambda: f"Waited in vain until {what}.\n{self._tail()}"

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


def until(question: Callable[[], bool], seconds: float, told: Callable[[], str]) -> None:
    """Asks until the answer is yes. Raises TimeoutError with what is told then, after so many seconds."""
    give_up = time.monotonic() + seconds
    while not question():
        if time.monotonic() > give_up:
            raise TimeoutError(told())
        time.sleep(0.02)


def quiet_port() -> int:
    """A free port outside the range from which the system takes those of clients, so that a restart finds it free again."""
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
