"""The supervisor: locks the data folder, opens the sockets, and keeps one core and several edge processes running.

It imports nothing heavy, so that it needs little memory and little can fail.
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

from clickloop.alarm.alarms import delete_alarms
from clickloop.alarm.monitor import AlarmMonitor
from clickloop.backup.place import LOCK_FILE, FolderOrigin, PlaceError, update_place
from clickloop.clock import iso_text, wall_clock
from clickloop.config import Settings
from clickloop.machine.descriptors import raise_descriptor_limit
from clickloop.machine.file_lock import LockedError, take_lock, write_holder
from clickloop.machine.listening import SocketError, address_of, open_sockets
from clickloop.machine.log import log
from clickloop.machine.process import STORES_REFUSED, SUPERVISOR, open_standard_streams
from clickloop.store.identity import prepare_folder
from clickloop.store.private_folder import PRIVATE_UMASK, PermissionFixes, make_private

EDGE_DRAIN_SECONDS = 12.0  # longer than an edge waits for its connections (DRAIN_SECONDS)
CORE_DRAIN_SECONDS = 15.0  # for an attempt in progress, and storing its outcome; with the edges' time less than 30 s
CANNOT_START = 2
"""Exit status if the tracker could not be started at all."""
_BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Waits before restarts: the first one short, because visitors wait, then longer, because it will probably die again."""
_REFUSED_BACKOFF_SECONDS = 5.0
"""Wait after a core has refused the stores: it will do so until a user acts, and each try takes a second of processor time."""


class CannotStartError(Exception):
    """The tracker cannot start; the message says what was found and what to do."""


class Child:
    """A process that is restarted when it dies, with a longer wait each time it dies early."""

    def __init__(self, name: str, module: str, arguments: tuple[str, ...], fds: tuple[int, ...]) -> None:
        self.name = name
        # -P: don't import modules from the current folder.
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._fds = fds
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._deaths = 0
        self._start_at = 0.0
        self.deaths_at: deque[float] = deque(maxlen=20)
        """Times of the last deaths, in monotonic seconds."""

    @property
    def pid(self) -> int | None:
        """Return the process id; None while it does not run."""
        process = self._process
        return process.pid if process is not None else None

    def tend(self, now: float) -> None:
        """Start the process if it is not running and its wait is over. ``now``: monotonic seconds."""
        process = self._process
        if process is not None:
            code = process.poll()
            if code is None:
                return
            # Exit status 0 means that the process got SIGTERM, not that it is broken: restart it without backing off.
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
                # Ctrl-C in a terminal signals a whole process group, but we must end the children in order.
                start_new_session=True,
                env={**os.environ, SUPERVISOR: str(os.getpid())},
            )
        except OSError as fault:
            # No memory, no descriptor, or the interpreter is being replaced. Don't exit: the other children still work.
            self._deaths += 1
            pause = _BACKOFF_SECONDS[min(self._deaths, len(_BACKOFF_SECONDS) - 1)]
            log("process could not be started", name=self.name, fault=str(fault), again_in_seconds=pause)
            self.deaths_at.append(now)
            self._start_at = now + pause
        else:
            self._started = now

    def signal(self, number: int) -> None:
        """Send a signal if the process is running."""
        if self._process is not None and self._process.poll() is None:
            # It may end between the poll and the signal.
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the process to end, and return whether it has."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True


def supervise(settings: Settings, origin: FolderOrigin = FolderOrigin.UNSAID) -> None:
    """Run the tracker until SIGTERM or SIGINT, then drain it within 30 s. Raise CannotStartError.

    ``origin``: whether a folder that was last started at another place was moved or copied.
    """
    os.umask(PRIVATE_UMASK)  # children inherit it, and create journal and stores with it
    folder = settings.folder()
    lock = take_folder(folder, origin)
    _log_permissions(folder, make_private(folder))
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    # Before the children are started, which inherit it.
    descriptors = raise_descriptor_limit()
    try:
        public, panel, handed_over = open_sockets(settings.listen, settings.panel_listen)
    except SocketError as fault:
        raise CannotStartError(str(fault)) from fault
    settings = msgspec.structs.replace(settings, listen=address_of(public), panel_listen=address_of(panel))
    # A failure is no reason not to start: processes soon overwrite their old alarms.
    with contextlib.suppress(OSError):
        delete_alarms(folder)
    encoded = msgspec.json.encode(settings).decode()
    core = Child("core", "clickloop.app", (encoded, str(panel.fileno())), (panel.fileno(),))
    public_fd = public.fileno()
    edges = [
        Child(f"edge{number}", "clickloop.edge.process", (encoded, str(number), str(public_fd)), (public_fd,))
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
        # Polling notices a signal or a death within 50 ms, in one loop without racing handlers.
        time.sleep(0.05)
    monitor.stop()
    log("stopping", signal=signal.Signals(stopping[0]).name)
    # Edges first, so that the core can settle their last records.
    _stop(edges, EDGE_DRAIN_SECONDS)
    _stop([core], CORE_DRAIN_SECONDS)
    log("stopped")
    # Last: another server may use the folder only when none of our processes writes to it.
    os.close(lock)


def _log_permissions(folder: Path, found: PermissionFixes) -> None:
    if found.corrected:
        log("files in the data folder were open to other users: they are private now", files=found.corrected)
    if found.failed:
        log(
            "files in the data folder are open to other users and cannot be made private: make this user their owner",
            data=str(folder),
            files=found.failed,
        )


def take_folder(folder: Path, origin: FolderOrigin = FolderOrigin.UNSAID) -> int:
    """Lock and prepare the data folder, and return the lock's descriptor.

    Raise CannotStartError if another server uses it, and for a copy of a folder, unless ``origin`` says what it is.
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
            f"The data folder {folder} cannot be used: {fault}. Name another one with --data, or correct its permissions."
        ) from fault
    # Before anything that may take long, so that messages of other processes can name this one.
    write_holder(lock)
    try:
        place = update_place(folder, origin, wall_clock())
    except (PlaceError, OSError) as fault:
        # Released, so that the folder can be started again once the user has acted.
        os.close(lock)
        raise CannotStartError(str(fault)) from fault
    if place.restored is not None:
        made_at, restored_at = place.restored.backup_made_at, place.restored.restored_at
        log("the data folder was restored", backup_of=iso_text(made_at), restored_at=iso_text(restored_at))
    try:
        prepare_folder(folder)
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
    """Run ``supervisor SETTINGS [ORIGIN]``, which ``clickloop serve`` executes, and return the exit status."""
    open_standard_streams()  # before any other file is opened
    origin = FolderOrigin(arguments[1]) if len(arguments) > 1 else FolderOrigin.UNSAID
    try:
        supervise(msgspec.json.decode(arguments[0], type=Settings), origin)
    except CannotStartError as fault:
        if sys.stderr is not None:
            sys.stderr.write(f"{fault}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
