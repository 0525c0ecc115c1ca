"""Durations as people write them: ``90s``, ``2m``, ``1h 30m``, ``1d``; and a line of them for a schedule."""

import re
from itertools import accumulate

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_ONE = re.compile(r"(?:[0-9]{1,9}[dhms])+")
_PIECE = re.compile(r"([0-9]{1,9})([dhms])")


class UnreadableDurationError(ValueError):
    """A word that is no duration; ``str`` is a sentence for people."""

    def __init__(self, word: str) -> None:
        super().__init__(f"{word[:40]!r} is no duration: write a number and s, m, h or d, such as 30s, 10m or 2h.")


def duration_text(seconds: int, most_units: int = len(_UNITS)) -> str:
    """The shortest way to write it: ``0s``, ``90s`` is ``1m30s``, ``86400`` is ``1d``; ``most_units``: the largest ones alone."""
    pieces = []
    left = seconds
    for unit, size in _UNITS.items():
        number, left = divmod(left, size)
        if number:
            pieces.append(f"{number}{unit}")
    return "".join(pieces[:most_units]) or "0s"


def read_duration(word: str) -> int:
    """Seconds. A number alone is in seconds; spaces do not count. Raises UnreadableDurationError."""
    text = "".join(word.lower().split())
    if text.isascii() and text.isdecimal() and len(text) <= 9:
        return int(text)
    if not _ONE.fullmatch(text):
        raise UnreadableDurationError(word)
    return sum(int(number) * _UNITS[unit] for number, unit in _PIECE.findall(text))


def read_durations(line: str) -> list[int]:
    """Seconds of each, between spaces or commas. Raises UnreadableDurationError."""
    return [read_duration(word) for word in line.replace(",", " ").split()]


def times_of(waits_seconds: list[int]) -> list[str]:
    """When each attempt is made after the first, counted from it, without the chance in it and what is too small beside it to matter."""
    return [duration_text(seconds, 2) for seconds in accumulate(waits_seconds)]
