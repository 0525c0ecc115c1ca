"""The period that a log is asked for."""

import msgspec

from clickloop.clock import DAY_MS
from clickloop.conversion.moment import read_moment
from clickloop.log_filter import LogFilter
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError

LATEST_MS = (1 << 48) - 1
"""The last moment that an id can hold."""
FAR_MS = 1 << 47
"""Later moments are mistakes."""


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
        return (LATEST_MS if self.until is None else self.until) + DAY_MS


def period_of(wanted: LogFilter) -> Period:
    """Return the period of a filter. Raise InvalidInputError naming ``since`` or ``until``."""
    return Period(_moment("since", wanted.since), _moment("until", wanted.until))


def _moment(field: str, text: str) -> int | None:
    if not text:
        return None
    moment = read_moment(text, FAR_MS)
    if moment is None:
        sentence = "ISO 8601 from the year 2000 on is expected, such as 2026-03-01T12:00:00Z."
        raise InvalidInputError((Fault(field, FaultCode.NOT_A_MOMENT, sentence),))
    return moment
