"""Time series: one value for each hour or day of a period, including those in which nothing happened."""

from collections.abc import Mapping
from datetime import timedelta

from clickloop.clock import HOUR_MS
from clickloop.report.period import offsets_of, start_of_day
from clickloop.report.query import Dimension
from clickloop.report.query_input import ReportPeriod

MAX_HOURLY_DAYS = 2
"""Maximum number of days shown by the hour; longer periods are shown by the day."""


def unit_of(bounds: ReportPeriod) -> Dimension:
    """Return the unit in which a period is shown."""
    return Dimension.HOUR if bounds.days.count <= MAX_HOURLY_DAYS else Dimension.DAY


def moments_of(bounds: ReportPeriod) -> tuple[int, ...]:
    """Return the first moments of the period's hours or days, which are the keys of a report's groups."""
    if unit_of(bounds) is Dimension.HOUR:
        return _hours(bounds)
    days = (bounds.days.first + timedelta(index) for index in range(bounds.days.count))
    return tuple(start_of_day(day, bounds.zone) for day in days)


def _hours(bounds: ReportPeriod) -> tuple[int, ...]:
    """Return the first moments of the local hours: a clock change within an hour begins another."""
    offsets = offsets_of(bounds.zone, bounds.from_at, bounds.until_at)
    ends = [offset.from_at for offset in offsets[1:]] + [bounds.until_at]
    moments: list[int] = []
    for offset, end in zip(offsets, ends, strict=True):
        first = offset.from_at + -(offset.from_at + offset.ahead_ms) % HOUR_MS
        moments += [offset.from_at, *(moment for moment in range(first, end, HOUR_MS) if moment > offset.from_at)]
    return tuple(moments)


def filled(moments: tuple[int, ...], found: Mapping[int, int | None], now_ms: int) -> tuple[int | None, ...]:
    """Return the values in order: 0 where nothing was counted, None where the hour or day has not begun yet."""
    return tuple((found.get(moment) or 0) if moment <= now_ms else None for moment in moments)
