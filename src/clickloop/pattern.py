"""Regular expressions that a response must, or must not, match: RE2, so that matching always takes linear time."""

from functools import lru_cache
from typing import Protocol

MAX_PATTERN = 500  # re2 takes time and memory in proportion to it
_MEMORY_BYTES = 1 << 16
"""Limits the compiled pattern to about 1,000 steps, so the worst pattern takes a tenth of a second for 16 KB of response."""


class PatternError(ValueError):
    """The text is not a valid RE2 expression, or too large; the message says what is wrong."""


class Pattern(Protocol):
    def search(self, text: str) -> object | None:
        """Return a match anywhere in the text, or None."""
        ...


@lru_cache(maxsize=1024)
def pattern_of(text: str) -> Pattern:
    """Return the compiled pattern, in RE2 syntax (no look-around, no backreferences). Raise PatternError."""
    if len(text) > MAX_PATTERN:
        raise PatternError(f"it has {len(text)} characters, the maximum is {MAX_PATTERN}")
    import re2  # imported on use: most trackers have no such rule and need not keep the library in memory

    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    options.never_capture = True
    try:
        compiled: Pattern = re2.compile(text, options)
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else ""
        raise PatternError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    return compiled


def matches(text: str, answer: bytes) -> bool:
    """Return whether the pattern matches anywhere in a response body, decoded as UTF-8. Raise PatternError."""
    return pattern_of(text).search(answer.decode("utf-8", "replace")) is not None
