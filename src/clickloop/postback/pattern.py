"""Regular expressions that an answer must, or must not, match: RE2, so that no pattern and no answer takes more than linear time."""

from functools import lru_cache
from typing import Protocol

MAX_PATTERN = 500  # re2 takes time and memory in proportion to it
_MEMORY_BYTES = 1 << 16
"""Bounds the compiled pattern to about 1,000 steps, so the worst pattern over 16 KB of answer takes a tenth of a second."""


class PatternError(ValueError):
    """The text is no regular expression of RE2, or one too large; the message says what is wrong with it."""


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> object | None:
        """A match anywhere in the text, or None."""
        ...


@lru_cache(maxsize=1024)
def pattern_of(text: str) -> Pattern:
    """The pattern in ``text``, in RE2's syntax (no look-around, no references back). Raises PatternError."""
    if len(text) > MAX_PATTERN:
        raise PatternError(f"it has {len(text)} characters, at most {MAX_PATTERN} are possible")
    import re2  # here: most trackers have no such rule, and need not hold the library in memory

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
    """Whether an answer's body, read as UTF-8, holds a match of the pattern in ``text``. Raises PatternError."""
    return pattern_of(text).search(answer.decode("utf-8", "replace")) is not None
