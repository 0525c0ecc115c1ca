"""The requested period of a log."""

import msgspec

from clickloop.clock import DAY_MS
from clickloop.conversion.moment import read_moment
from clickloop.log_filter import LogFilter
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError

MAX_ID_MS = (1 << 48) - 1
"""The latest moment that fits into an id."""
MAX_MOMENT_MS = 1 << 47
"""The latest moment accepted in a period; later ones are typing errors."""


class Period(msgspec.Struct, frozen=True):
    """The time from ``since`` up to but not including ``until``, in Unix milliseconds; None means unlimited."""

    since: int | None = None
    until: int | None = None

    @property
    def earliest_id_at(self) -> int:
        """Return the time of the earliest id that a record of the period may have: a day early, in case the clock has jumped."""
        return (self.since or 0) - DAY_MS

    @property
    def latest_id_at(self) -> int:
        """Return the time before which the ids of the period's records lie, with the same allowance."""
        return (MAX_ID_MS if self.until is None else self.until) + DAY_MS


def period_of(wanted: LogFilter) -> Period:
    """Return the period of a filter. Raise InvalidInputError naming ``since`` or ``until``."""
    return Period(_moment("since", wanted.since), _moment("until", wanted.until))


def _moment(field: str, text: str) -> int | None:
    if not text:
        return None
    moment = read_moment(text, MAX_MOMENT_MS)
    if moment is None:
        sentence = "Enter a time in ISO 8601, from the year 2000 on, such as 2026-03-01T12:00:00Z."
        raise InvalidInputError((FieldFault(field, FaultCode.NOT_A_MOMENT, sentence),))
    return moment
