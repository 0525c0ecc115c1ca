"""The log: one JSON line per thing that matters, on standard error. JSON quoting keeps what visitors send from forging lines."""

import logging
import os
import sys
from typing import Any

import msgspec

from clickloop.clock import iso_text, wall_clock


def log(event: str, **facts: Any) -> None:
    """Writes one line. ``event`` is a fixed phrase in lower case; ``facts`` never hold a secret."""
    line = msgspec.json.encode(
        {"at": iso_text(wall_clock()), "event": event, "pid": os.getpid(), **facts}, enc_hook=str
    )
    try:
        os.write(sys.stderr.fileno(), line + b"\n")
    except (OSError, ValueError):  # nobody reads the log: no reason to stop
        return


class Sparingly:
    """Lets an event into the log at most once in ``seconds``, with the number of times it happened."""

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
    """What libraries log, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line, with the exception's text where there is one, never its trace."""
        fault = (
            f"{record.exc_info[0].__name__}: {record.exc_info[1]}" if record.exc_info and record.exc_info[0] else None
        )
        log(
            record.getMessage(),
            source=record.name,
            level=record.levelname.lower(),
            **({"fault": fault} if fault else {}),
        )


def take_library_logs() -> None:
    """Sends what libraries log from the level of warnings to our log."""
    logging.basicConfig(level=logging.WARNING, handlers=[LibraryLog()], force=True)
