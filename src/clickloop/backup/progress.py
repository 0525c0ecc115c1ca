"""Progress of something long, for whoever waits for it: what is done now, and how far it is."""

import sys
import time

_EVERY_SECONDS = 2.0  # a line that changes faster cannot be read, and fills a log


class Progress:
    """Writes lines to standard error, so that standard output stays free for an archive."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._total = 0
        self._moved = 0
        self._next = 0.0

    def stage(self, text: str, total: int = 0) -> None:
        """Begin a stage, in which ``total`` bytes will be moved."""
        self._total, self._moved = total, 0
        self._next = time.monotonic() + _EVERY_SECONDS
        self._say(text)

    def moved(self, size: int) -> None:
        """Count bytes, and say how far it is every few seconds."""
        self._moved += size
        if self._total and time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_SECONDS
            self._say(f"  {self._moved / 2**20:,.0f} of {self._total / 2**20:,.0f} MiB")

    def _say(self, text: str) -> None:
        if not self._silent:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
