"""The supervisor: holds the data folder, opens the sockets, keeps one core and several edge processes running.

It imports nothing heavy, so that it costs little memory and has little to fail in.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from clickloop.config import Settings, listen_address
from clickloop.log import log
from clickloop.process import STORES_REFUSED, SUPERVISOR
from clickloop.store.identity import prepare

EDGE_DRAIN_SECONDS = 12.0
CORE_DRAIN_SECONDS = 15.0
CANNOT_START = 2
"""Exit status when the tracker could not be started at all."""
_BIND_SECONDS = 15.0
_BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
_REFUSED_BACKOFF_SECONDS = 5.0
"""A core that found the wrong stores finds them again until somebody acts: each look costs a second of the processor."""


class CannotStartError(Exception):
    """The tracker cannot start; the text says what was found and what to do."""


class Child:
    """One process that is started again when it dies, later each time it dies young."""

    def __init__(self, name: str, module: str, arguments: tuple[str, ...], fds: tuple[int, ...]) -> None:
        self.name = name
        # -P: what lies in the current folder is no code of ours.
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._fds = fds
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._deaths = 0
        self._start_at = 0.0

    def tend(self, now: float) -> None:
        """Starts the process if it is not running and its pause is over. ``now`` is monotonic seconds."""
        process = self._process
        if process is not None:
            code = process.poll()
            if code is None:
                return
            self._deaths = 0 if now - self._started > 30 else self._deaths + 1
            pause = _BACKOFF_SECONDS[min(self._deaths, len(_BACKOFF_SECONDS) - 1)]
            if code == STORES_REFUSED:
                pause = _REFUSED_BACKOFF_SECONDS
            log("process died", name=self.name, died_pid=process.pid, code=code, again_in_seconds=pause)
            self._process = None
            self._start_at = now + pause
        if now >= self._start_at:
            self._process = subprocess.Popen(  # noqa: S603 – our own interpreter and module
                self._command,
                pass_fds=self._fds,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, SUPERVISOR: str(os.getpid())},
            )
            self._started = now

    def signal(self, number: int) -> None:
        """Sends a signal if the process is running."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether the process ended within ``seconds``."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True


def supervise(settings: Settings) -> None:
    """Runs the tracker until SIGTERM or SIGINT, then drains it within 30 s. Raises CannotStartError."""
    folder = settings.folder()
    lock = take_folder(folder)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    public = _listen(settings.listen, "listen")
    panel = _listen(settings.panel_listen, "panel_listen")
    settings = msgspec.structs.replace(settings, listen=_address_of(public), panel_listen=_address_of(panel))
    told = msgspec.json.encode(settings).decode()
    core = Child("core", "clickloop.app", (told, str(panel.fileno())), (panel.fileno(),))
    edges = [
        Child(
            f"edge{number}", "clickloop.web.edge_process", (told, str(number), str(public.fileno())), (public.fileno(),)
        )
        for number in range(1, settings.edge_count() + 1)
    ]
    log(
        "started",
        data=str(folder),
        visitors=f"http://{settings.listen}",
        api=f"http://{settings.panel_listen}",
        edges=len(edges),
    )
    while not stopping:
        for child in (core, *edges):
            child.tend(time.monotonic())
        time.sleep(0.05)
    log("stopping", signal=signal.Signals(stopping[0]).name)
    _stop(edges, EDGE_DRAIN_SECONDS)
    _stop([core], CORE_DRAIN_SECONDS)
    log("stopped")
    os.close(lock)


def take_folder(folder: Path) -> int:
    """Makes the data folder this process's alone: the lock's descriptor. Raises CannotStartError when another server has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "run").mkdir(exist_ok=True, mode=0o700)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise CannotStartError(
            f"The data folder {folder} cannot be used: {fault}. Name another with --data or correct its rights."
        ) from fault
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
        raise CannotStartError(
            f"The data folder {folder} is in use by another server (process {holder or 'unknown'}). "
            "Stop that one, or name another folder with --data."
        ) from fault
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    try:
        prepare(folder)
    except OSError as fault:
        raise CannotStartError(f"The data folder {folder} cannot be written: {fault}.") from fault
    return lock


def _listen(text: str, name: str) -> socket.socket:
    """A listening socket that children inherit. A server that was killed may still be letting go of the port: waits a little."""
    host, port = listen_address(text, name)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    give_up = time.monotonic() + _BIND_SECONDS
    while True:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(4096)
            listening.setblocking(False)
            listening.set_inheritable(True)
        except OSError as fault:
            listening.close()
            if time.monotonic() > give_up:
                raise CannotStartError(
                    f"{name} {text} cannot be used: {fault}. Stop what uses it, or set another address."
                ) from fault
            time.sleep(0.2)
        else:
            return listening


def _address_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _stop(children: list[Child], seconds: float) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
    give_up = time.monotonic() + seconds
    for child in children:
        if not child.wait(give_up - time.monotonic()):
            log("process did not end in time and is killed", name=child.name)
            child.signal(signal.SIGKILL)
            child.wait(2.0)


def main(arguments: list[str]) -> int:
    """``supervisor SETTINGS``, as ``clickloop serve`` becomes."""
    try:
        supervise(msgspec.json.decode(arguments[0], type=Settings))
    except CannotStartError as fault:
        sys.stderr.write(f"{fault}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
