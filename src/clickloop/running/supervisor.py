"""The supervisor: holds the data folder, opens the sockets, keeps one core and several edge processes running.

It imports nothing heavy, so that it costs little memory and has little to fail in.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import msgspec

from clickloop.alarm.alarms import forget_alarms
from clickloop.alarm.monitor import AlarmMonitor
from clickloop.backup.place import LOCK_FILE, Origin, PlaceError, settle_place
from clickloop.clock import iso_text, wall_clock
from clickloop.config import Settings
from clickloop.machine.descriptors import raise_descriptor_limit
from clickloop.machine.file_lock import LockedError, note_holder, take_lock
from clickloop.machine.listening import SocketError, address_of, open_sockets
from clickloop.machine.log import log
from clickloop.machine.process import STORES_REFUSED, SUPERVISOR, open_standard_streams
from clickloop.store.identity import prepare
from clickloop.store.private_folder import PRIVATE_UMASK, PermissionFixes, make_private

EDGE_DRAIN_SECONDS = 12.0  # longer than an edge waits for its connections (DRAIN_SECONDS)
CORE_DRAIN_SECONDS = 15.0  # an attempt under way, and time to write it; with the edges' time less than 30 s
CANNOT_START = 2
"""Exit status when the tracker could not be started at all."""
_BACKOFF_SECONDS = (
    0.1,
    0.5,
    1.0,
    2.0,
    5.0,
)  # the first at once, for visitors wait; then less often, for it will fail again
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
        self.deaths_at: deque[float] = deque(maxlen=20)
        """Moments of the last deaths, in monotonic seconds."""

    @property
    def pid(self) -> int | None:
        """Return the process id; None while it does not run."""
        process = self._process
        return process.pid if process is not None else None

    def tend(self, now: float) -> None:
        """Starts the process if it is not running and its pause is over. ``now`` is monotonic seconds."""
        process = self._process
        if process is not None:
            code = process.poll()
            if code is None:
                return
            # An end by itself with 0 was asked for (SIGTERM): visitors wait for the next one, so it comes at once.
            self._deaths = 0 if code == 0 or now - self._started > 30 else self._deaths + 1
            pause = _BACKOFF_SECONDS[min(self._deaths, len(_BACKOFF_SECONDS) - 1)]
            if code == STORES_REFUSED:
                pause = _REFUSED_BACKOFF_SECONDS
            log("process died", name=self.name, died_pid=process.pid, code=code, again_in_seconds=pause)
            self._process = None
            self.deaths_at.append(now)
            self._start_at = now + pause
        if now >= self._start_at:
            self._start(now)

    def _start(self, now: float) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 – our own interpreter and module
                self._command,
                pass_fds=self._fds,
                stdin=subprocess.DEVNULL,
                # Ctrl-C in a terminal reaches a whole group: the children must be ended by us, in order.
                start_new_session=True,
                env={**os.environ, SUPERVISOR: str(os.getpid())},
            )
        except OSError as fault:
            # No room for a process, no descriptor, or the interpreter is being replaced: ending would take the others along.
            self._deaths += 1
            pause = _BACKOFF_SECONDS[min(self._deaths, len(_BACKOFF_SECONDS) - 1)]
            log("process could not be started", name=self.name, fault=str(fault), again_in_seconds=pause)
            self.deaths_at.append(now)
            self._start_at = now + pause
        else:
            self._started = now

    def signal(self, number: int) -> None:
        """Sends a signal if the process is running."""
        if self._process is not None and self._process.poll() is None:
            # It may end between the look and the signal.
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


def supervise(settings: Settings, origin: Origin = Origin.UNSAID) -> None:
    """Run the tracker until SIGTERM or SIGINT, then drain it within 30 s. Raise CannotStartError.

    ``origin``: whether a folder that was last started at another place was moved or copied.
    """
    os.umask(PRIVATE_UMASK)  # children inherit it: journal and stores are made by them
    folder = settings.folder()
    lock = take_folder(folder, origin)
    _tell_rights(folder, make_private(folder))
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    # Before the children are started: they inherit it.
    descriptors = raise_descriptor_limit()
    try:
        public, panel, handed_over = open_sockets(settings.listen, settings.panel_listen)
    except SocketError as fault:
        raise CannotStartError(str(fault)) from fault
    settings = msgspec.structs.replace(settings, listen=address_of(public), panel_listen=address_of(panel))
    # Alarms of the run before are gone anyway once a process writes its own: no reason not to start.
    with contextlib.suppress(OSError):
        forget_alarms(folder)
    told = msgspec.json.encode(settings).decode()
    core = Child("core", "clickloop.app", (told, str(panel.fileno())), (panel.fileno(),))
    edges = [
        Child(f"edge{number}", "clickloop.edge.process", (told, str(number), str(public.fileno())), (public.fileno(),))
        for number in range(1, settings.edge_count() + 1)
    ]
    log(
        "started",
        data=str(folder),
        visitors=f"http://{settings.listen}",
        api=f"http://{settings.panel_listen}",
        edges=len(edges),
        descriptors=descriptors,
        sockets_handed_over=handed_over,
    )
    monitor = AlarmMonitor(settings, (core, *edges))
    monitor.start()
    while not stopping:
        for child in (core, *edges):
            child.tend(time.monotonic())
        # Polled: a signal or a death is noticed within 50 ms, and one loop serves both without handlers that race.
        time.sleep(0.05)
    monitor.stop()
    log("stopping", signal=signal.Signals(stopping[0]).name)
    # Edges first: what they write down last is settled by the core, now or at the next start.
    _stop(edges, EDGE_DRAIN_SECONDS)
    _stop([core], CORE_DRAIN_SECONDS)
    log("stopped")
    # Given back: nothing was started, and whoever corrects the place starts again.
    os.close(lock)


def _tell_rights(folder: Path, found: PermissionFixes) -> None:
    if found.corrected:
        log("files in the data folder were open to other users: they are private now", files=found.corrected)
    if found.failed:
        log(
            "files in the data folder are open to other users and cannot be made private: make this user their owner",
            data=str(folder),
            files=found.failed,
        )


def take_folder(folder: Path, origin: Origin = Origin.UNSAID) -> int:
    """Make the data folder this process's alone, and return the lock's descriptor.

    Raise CannotStartError when another server has it, and for the copy of a folder, unless ``origin`` says what it is.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "run").mkdir(exist_ok=True, mode=0o700)
        lock = take_lock(folder / LOCK_FILE)
    except LockedError as locked:
        raise CannotStartError(
            f"The data folder {folder} is in use by another server (process {locked.holder}). "
            "Stop that one, or name another folder with --data."
        ) from locked
    except OSError as fault:
        raise CannotStartError(
            f"The data folder {folder} cannot be used: {fault}. Name another with --data or correct its rights."
        ) from fault
    # Before anything that may take long: who asks meanwhile is told which process has the folder.
    note_holder(lock)
    try:
        place = settle_place(folder, origin, wall_clock())
    except (PlaceError, OSError) as fault:
        # Last: another server may take the folder only when no process of ours writes to it.
        os.close(lock)
        raise CannotStartError(str(fault)) from fault
    if place.restored is not None:
        made_at, restored_at = place.restored.backup_made_at, place.restored.restored_at
        log("the data folder was restored", backup_of=iso_text(made_at), restored_at=iso_text(restored_at))
    try:
        prepare(folder)
    except OSError as fault:
        raise CannotStartError(f"The data folder {folder} cannot be written: {fault}.") from fault
    return lock


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
    """``supervisor SETTINGS [ORIGIN]``, as ``clickloop serve`` becomes."""
    open_standard_streams()  # before anything else is opened
    origin = Origin(arguments[1]) if len(arguments) > 1 else Origin.UNSAID
    try:
        supervise(msgspec.json.decode(arguments[0], type=Settings), origin)
    except CannotStartError as fault:
        if sys.stderr is not None:
            sys.stderr.write(f"{fault}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
