"""Parses and formats exchange rates and days: exact decimals as integers, never a float."""

import re
from datetime import date
from typing import NamedTuple

MAX_WHOLE_DIGITS = 6  # times an amount in micros, with the 12 decimals, this fits into 128 bits
E12 = 10**12

_RATE = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,12}))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SEPARATORS = re.compile(r"[\s;,]+")
_EPOCH = date(1970, 1, 1).toordinal()


def read_rate(text: str) -> int | None:
    """Return a decimal rate in trillionths (10⁻¹²), or None if it is invalid or zero."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        return None
    whole, fraction = match[1], match[2] or ""
    return int(whole) * E12 + int(fraction.ljust(12, "0")) or None


def rate_text(rate_e12: int) -> str:
    """Return a rate in trillionths as the shortest decimal."""
    whole, rest = divmod(rate_e12, E12)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")


class RateLine(NamedTuple):
    """A line of a list of rates, as text: currency, day and rate."""

    currency: str
    day: str
    rate: str


def read_rate_lines(text: str) -> list[RateLine] | int:
    """Return the rates of a list, or the number of the first invalid line.

    Values are separated by spaces, commas, semicolons or tabs. A header (``currency,day,rate``) and blank lines are skipped.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = [part for part in _SEPARATORS.split(line.strip()) if part]
        if not parts or [part.lower() for part in parts] == ["currency", "day", "rate"]:
            continue
        if len(parts) != 3:
            return number
        found.append(RateLine(parts[0].upper(), parts[1], parts[2]))
    return found


def read_day(text: str) -> int | None:
    """Return an ISO 8601 date in days since 1970-01-01, or None if it is invalid or earlier."""
    if not _DAY.fullmatch(text.strip()):
        return None
    try:
        day = date.fromisoformat(text.strip()).toordinal() - _EPOCH
    except ValueError:
        return None
    return day if day >= 0 else None


def day_text(day: int) -> str:
    """Return a day, counted from 1970-01-01, as an ISO 8601 date."""
    return date.fromordinal(_EPOCH + day).isoformat()
