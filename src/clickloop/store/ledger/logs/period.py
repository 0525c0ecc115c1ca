"""Moments as bounds of the ids that sort by time."""

from clickloop.record_id import base32_time
from clickloop.store.period import LATEST_MS


def id_from(moment_ms: int) -> str:
    """The least id of that moment, as the beginning of one. Moments outside the ids' 48 bits go to their ends."""
    return base32_time(min(max(moment_ms, 0), LATEST_MS))
