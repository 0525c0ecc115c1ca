"""Reads the time of a conversion as networks send it, and believes it only where it can be true."""

import re
from datetime import UTC, datetime

from clickloop.clock import DAY_MS

MAX_TEXT = 40
EARLIEST_AT = 946_684_800_000
"""2000-01-01: an earlier conversion is a mistake of units or of a clock."""
MAX_AHEAD_MS = DAY_MS
"""How far a network's clock, or its time zone, may run ahead of ours."""

_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_LOST_PLUS = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.,]{2,20}(?:Z|[-+][0-9]{2}(?::?[0-9]{2})?)?)?", re.IGNORECASE)


def read_moment(text: str, received_at: int) -> int | None:
    """Unix milliseconds behind ISO 8601 or Unix seconds; None for what is neither, or before 2000, or in the future.

    Milliseconds instead of seconds lie in the future and are therefore not believed. A time without a zone is UTC.
    The plus of a zone, which a query turns into a space, is understood.
    """
    text = text.strip()
    if len(text) > MAX_TEXT or not text.isascii():
        return None
    if _SECONDS.fullmatch(text):
        seconds, _, fraction = text.partition(".")
        at = int(seconds) * 1000 + int(fraction[:3].ljust(3, "0"))
    else:
        found = _iso_moment(text)
        if found is None:
            return None
        at = found
    return at if EARLIEST_AT <= at <= received_at + MAX_AHEAD_MS else None


def _iso_moment(text: str) -> int | None:
    if text.count(":") > 1 or "T" in text.upper():
        text = _LOST_PLUS.sub("+", text)
    if not _ISO.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
