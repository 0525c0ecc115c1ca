"""Durations as users write them: ``90s``, ``2m``, ``1h 30m``, ``1d``; and lists of them for retry schedules."""

import re
from itertools import accumulate

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:[0-9]{1,9}[dhms])+")
_PIECE = re.compile(r"([0-9]{1,9})([dhms])")


class UnreadableDurationError(ValueError):
    """A word is not a duration. ``str`` is a sentence for the user."""

    def __init__(self, word: str) -> None:
        super().__init__(f"{word[:40]!r} is not a duration: use a number and s, m, h or d, such as 30s, 10m or 2h.")


def duration_text(seconds: int, max_units: int = len(_UNITS)) -> str:
    """Return the shortest notation, such as ``0s``, ``1m30s`` or ``1d``, with at most ``max_units`` units, the largest ones."""
    pieces = []
    left = seconds
    for unit, size in _UNITS.items():
        number, left = divmod(left, size)
        if number:
            pieces.append(f"{number}{unit}")
    return "".join(pieces[:max_units]) or "0s"


def read_duration(word: str) -> int:
    """Return a duration in seconds; a plain number is seconds, spaces are ignored. Raise UnreadableDurationError."""
    text = "".join(word.lower().split())
    if text.isascii() and text.isdecimal() and len(text) <= 9:
        return int(text)
    if not _DURATION.fullmatch(text):
        raise UnreadableDurationError(word)
    return sum(int(number) * _UNITS[unit] for number, unit in _PIECE.findall(text))


def read_durations(line: str) -> list[int]:
    """Return each duration of a line in seconds, separated by spaces or commas. Raise UnreadableDurationError."""
    return [read_duration(word) for word in line.replace(",", " ").split()]


def times_of(waits_seconds: list[int]) -> list[str]:
    """Return the time of each retry after the first attempt, without jitter, in its two largest units."""
    return [duration_text(seconds, 2) for seconds in accumulate(waits_seconds)]
