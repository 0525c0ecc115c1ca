"""Exchange rates and days as texts: exact decimals into integers, never a float."""

import re
from datetime import date
from typing import NamedTuple

MAX_WHOLE_DIGITS = 6  # with twelve more and an amount's micros it fits into 128 bits
E12 = 10**12

_RATE = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,12}))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SEPARATORS = re.compile(r"[\s;,]+")
_EPOCH = date(1970, 1, 1).toordinal()


def read_rate(text: str) -> int | None:
    """The rate of a decimal text in millionths of millionths; None for a text that is none, or not above zero."""
    written = _RATE.fullmatch(text.strip())
    if written is None:
        return None
    whole, fraction = written[1], written[2] or ""
    return int(whole) * E12 + int(fraction.ljust(12, "0")) or None


def rate_text(rate_e12: int) -> str:
    """A rate as the shortest decimal."""
    whole, rest = divmod(rate_e12, E12)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")


class RateLine(NamedTuple):
    """A line of a list of rates: a currency, a day, and a rate, as they stand there."""

    currency: str
    day: str
    rate: str


def read_rate_lines(text: str) -> list[RateLine] | int:
    """The rates of a list, one a line, parted by spaces, commas, semicolons or tabs; or the number of the first line that is none.

    A head (``currency,day,rate``) and empty lines are passed over.
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
    """The day of an ISO 8601 date, in days since 1970-01-01; None for what is no date from 1970 on."""
    if not _DAY.fullmatch(text.strip()):
        return None
    try:
        day = date.fromisoformat(text.strip()).toordinal() - _EPOCH
    except ValueError:
        return None
    return day if day >= 0 else None


def day_text(day: int) -> str:
    """A day since 1970-01-01 as ISO 8601."""
    return date.fromordinal(_EPOCH + day).isoformat()
