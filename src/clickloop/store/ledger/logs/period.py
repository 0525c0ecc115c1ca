"""Times as bounds of ids that sort by time."""

from clickloop.record_id import base32_time
from clickloop.store.period import MAX_ID_MS


def id_from(moment_ms: int) -> str:
    """Return the lowest id of that time, as a prefix. Times outside the 48 bits of ids are clamped."""
    return base32_time(min(max(moment_ms, 0), MAX_ID_MS))
