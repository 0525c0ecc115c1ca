"""A figure over time: one value for each hour or day of a period, also for those in which nothing happened."""

from collections.abc import Mapping
from datetime import timedelta

from clickloop.clock import HOUR_MS
from clickloop.report.period import start_of
from clickloop.report.query import Dimension
from clickloop.report.query_input import Bounds

HOURS_UP_TO_DAYS = 2
"""Maximum number of days shown by the hour; longer periods are shown by the day."""


def unit_of(bounds: Bounds) -> Dimension:
    """What a period is told by."""
    return Dimension.HOUR if bounds.days.count <= HOURS_UP_TO_DAYS else Dimension.DAY


def moments_of(bounds: Bounds) -> tuple[int, ...]:
    """The first moments of the period's hours or days, as they are the keys of a report's groups."""
    if unit_of(bounds) is Dimension.HOUR:
        return tuple(range(bounds.from_at, bounds.until_at, HOUR_MS))
    days = (bounds.days.first + timedelta(place) for place in range(bounds.days.count))
    return tuple(start_of(day, bounds.zone) for day in days)


def filled(moments: tuple[int, ...], found: Mapping[int, int | None], now_ms: int) -> tuple[int | None, ...]:
    """The values in order: nothing counted is 0, what has not begun yet is None."""
    return tuple((found.get(moment) or 0) if moment <= now_ms else None for moment in moments)
