"""Progress of a long operation, as lines for the user."""

import sys
import time

_EVERY_SECONDS = 2.0  # more frequent lines cannot be read, and fill a log


class ConsoleProgress:
    """Progress on standard error, because standard output may be the archive."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._total = 0
        self._moved = 0
        self._next = 0.0

    def stage(self, text: str, total: int = 0) -> None:
        """Begin a stage of ``total`` bytes."""
        self._total, self._moved = total, 0
        self._next = time.monotonic() + _EVERY_SECONDS
        self._say(text)

    def moved(self, size: int) -> None:
        """Count bytes, and write the progress every few seconds."""
        self._moved += size
        if self._total and time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_SECONDS
            self._say(f"  {self._moved / 2**20:,.0f} of {self._total / 2**20:,.0f} MiB")

    def _say(self, text: str) -> None:
        if not self._silent:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
