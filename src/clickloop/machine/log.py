"""The log: a JSON line per event on standard error. JSON quoting prevents visitors from forging lines."""

import contextlib
import logging
import os
import select
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from clickloop.clock import iso_text, wall_clock


def log(event: str, **facts: Any) -> None:
    """Write a line. ``event`` is a fixed phrase in lower case; ``facts`` must not contain secrets."""
    line = msgspec.json.encode(
        {"at": iso_text(wall_clock()), "event": event, "pid": os.getpid(), **facts}, enc_hook=str
    )
    if sys.stderr is not None:  # None if standard error was closed when the interpreter started
        with contextlib.suppress(OSError, ValueError):  # an unreadable log is no reason to stop
            write_nonblocking(sys.stderr.fileno(), line + b"\n")


def write_nonblocking(file: int, text: bytes) -> None:
    """Write as much of a text as is possible without blocking. Raise OSError.

    The log's reader may have stopped (a program that hangs, a paused terminal); waiting for it would stall visitors and the
    supervisor. A pipe that is ready takes ``PIPE_BUF`` bytes without blocking.
    """
    ready = select.poll()
    ready.register(file, select.POLLOUT)
    for start in range(0, len(text), select.PIPE_BUF):
        if not ready.poll(0):
            return
        os.write(file, text[start : start + select.PIPE_BUF])


MAX_PATH = 300
"""Maximum length of a request's path in the log."""
MAX_TRACE = 4_096
"""Maximum length of a traceback in the log: its first lines and its end."""
_MAX_FRAMES = 20  # the innermost ones; a recursion has a thousand
_MAX_KINDS = 200  # bounds memory
_KIND_SECONDS = 60  # between two lines of the same kind: an error per request must not fill the disk


def cut_trace(error: BaseException) -> str:
    """Return the innermost frames of an error's traceback, shortened in the middle to ``MAX_TRACE`` characters."""
    text = "".join(traceback.format_exception(error, limit=-_MAX_FRAMES))
    if len(text) <= MAX_TRACE:
        return text
    head = MAX_TRACE // 4
    return f"{text[:head]}\n… ({len(text) - MAX_TRACE} characters left out) …\n{text[head - MAX_TRACE :]}"


class UnexpectedErrorLog:
    """Logs unexpected errors, at most one traceback a minute per kind, which is the error's type and where it was raised.

    So a stranger who finds a request that causes one cannot fill the disk. The next line has the number of those omitted.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, write: Callable[..., None] = log) -> None:
        self._clock = clock
        self._write = write
        self._kinds: dict[tuple[str, str, str, int], tuple[float, int]] = {}

    def __call__(self, event: str, error: BaseException, **facts: Any) -> None:
        now = self._clock()
        kind = _kind_of(event, error)
        logged_at, left_out = self._kinds.get(kind, (None, 0))
        if logged_at is not None and now - logged_at < _KIND_SECONDS:
            self._kinds[kind] = (logged_at, left_out + 1)
            return
        if len(self._kinds) >= _MAX_KINDS:
            # So many kinds are rare: forgetting all of them costs a few more lines.
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        more = {"left_out": left_out} if left_out else {}
        self._write(event, **facts, error=cut_trace(error), **more)


log_unexpected_error = UnexpectedErrorLog()


def _kind_of(event: str, error: BaseException) -> tuple[str, str, str, int]:
    """Return what identifies an error's kind: type and line, not the message, which may quote a stranger's input."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return event, type(error).__name__, "", 0
    return event, type(error).__name__, trace.tb_frame.f_code.co_filename, trace.tb_lineno


class RateLimitedLog:
    """Logs an event at most once in ``seconds``, with the number of times it has happened."""

    def __init__(self, event: str, seconds: int = 10) -> None:
        self._event = event
        self._pause_ms = seconds * 1000
        self._next_ms = 0
        self._count = 0

    def __call__(self, **facts: Any) -> None:
        self._count += 1
        now_ms = wall_clock()
        if now_ms >= self._next_ms or self._next_ms - now_ms > self._pause_ms:
            log(self._event, times=self._count, **facts)
            self._count = 0
            self._next_ms = now_ms + self._pause_ms


class LibraryLog(logging.Handler):
    """A handler that writes records of libraries to our log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, with the message of an exception but not its traceback."""
        fault = (
            f"{record.exc_info[0].__name__}: {record.exc_info[1]}"[:MAX_TRACE]
            if record.exc_info and record.exc_info[0]
            else None
        )
        log(
            record.getMessage()[:MAX_TRACE],
            source=record.name,
            level=record.levelname.lower(),
            **({"fault": fault} if fault else {}),
        )


def capture_library_logs() -> None:
    """Send warnings and errors that libraries log to our log."""
    logging.basicConfig(level=logging.WARNING, handlers=[LibraryLog()], force=True)
