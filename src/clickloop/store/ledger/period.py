"""A period that a log is asked for, as bounds of the ids that sort by time."""

import msgspec

from clickloop.clock import DAY_MS
from clickloop.record_id import base32_time

_LATEST_MS = (1 << 48) - 1


class Period(msgspec.Struct, frozen=True):
    """From ``since`` up to, not including, ``until``, in Unix milliseconds; None: open."""

    since: int | None = None
    until: int | None = None

    @property
    def earliest_id_at(self) -> int:
        """The time of the earliest id that can belong to it: ids may be off from what they record by a clock's jump."""
        return (self.since or 0) - DAY_MS

    @property
    def latest_id_at(self) -> int:
        """The time that no id of it reaches, by the same allowance."""
        return (_LATEST_MS if self.until is None else self.until) + DAY_MS


def id_from(moment_ms: int) -> str:
    """The least id of that moment, as the beginning of one. Moments outside the ids' 48 bits go to their ends."""
    return base32_time(min(max(moment_ms, 0), _LATEST_MS))
