"""Reads the span of a cost entry: days or hours of a time zone, as Unix milliseconds. Pure."""

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from clickloop.clock import DAY_MS, SECOND_MS
from clickloop.report.cost.segment import QUARTER_MS
from clickloop.report.period import start_of_day

MAX_SPAN_DAYS = 400
_MOMENT = re.compile(
    r"([0-9]{4})[-/.]([0-9]{2})[-/.]([0-9]{2})(?:[T ]([0-9]{1,2})(?::([0-9]{2}))?(?::00(?:\.0{1,6})?)?)?"
)
_DAY_FIRST = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?: ([0-9]{1,2})(?::([0-9]{2}))?(?::00)?)?")
_EARLIEST, _LATEST = date(2000, 1, 1), date(2099, 12, 31)


class LocalTime(msgspec.Struct, frozen=True):
    """A day, perhaps with a time, as it is written. ``minute`` of the day; None: the whole day."""

    day: date
    minute: int | None

    def begins_at(self, zone: ZoneInfo) -> int:
        """Return its first moment. A time that the clock skips is the moment after as much time as if it had not."""
        if not self.minute:
            return start_of_day(self.day, zone)
        return _moment(self.day, self.minute, zone)

    def ends_at(self, zone: ZoneInfo, minutes: int = 0) -> int:
        """Return the first moment after the day, or after so many minutes from the time on."""
        if self.minute is None:
            return start_of_day(self.day + timedelta(1), zone)
        last = self.minute + minutes
        if last >= 24 * 60:
            return start_of_day(self.day + timedelta(1), zone)
        # By the local clock: the hour that comes twice when the clock is set back is one span of two hours.
        return _moment(self.day, last, zone)


def _moment(day: date, minute: int, zone: ZoneInfo) -> int:
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)
    return int(local.timestamp()) * SECOND_MS


def read_local_time(text: str) -> LocalTime | None:
    """Return the day or time in a text such as ``2026-03-01``, ``2026-03-01 13:00`` or ``01.03.2026``; None if there is none."""
    text = text.strip()
    if match := _MOMENT.fullmatch(text):
        year, month, day, hour, minute = match.groups()
    elif match := _DAY_FIRST.fullmatch(text):
        day, month, year, hour, minute = match.groups()
    else:
        return None
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        return None
    if not _EARLIEST <= found <= _LATEST or int(hour or 0) > 23 or int(minute or 0) > 59:
        return None
    return LocalTime(found, None if hour is None else int(hour) * 60 + int(minute or 0))


def span_fault(from_at: int, until_at: int) -> str:
    """Return what is wrong with a span, as a sentence; empty if nothing is."""
    if until_at <= from_at:
        return "The span ends before it begins."
    if until_at - from_at > MAX_SPAN_DAYS * DAY_MS:
        return f"A span covers at most {MAX_SPAN_DAYS} days."
    if from_at % QUARTER_MS or until_at % QUARTER_MS:
        return "A span begins and ends at a whole quarter of an hour."
    return ""
