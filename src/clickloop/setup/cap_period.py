"""The period of a cap that a moment is in. Pure.

Periods follow the clocks of a time zone. Where clocks are put back, an hour that comes twice is two periods, and the day has 25 hours.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from clickloop.clock import MINUTE_MS
from clickloop.setup.condition import zone_of
from clickloop.setup.offer_cap import CapPeriod, OfferCap

NO_END = 1 << 62
"""The end of a period that never ends, in Unix milliseconds."""
_UTC = ZoneInfo("UTC")
_STEP_MS = 15 * MINUTE_MS
"""All time zones begin their hours, and change their clocks, at a multiple of it."""


class PeriodBounds(msgspec.Struct, frozen=True):
    """A period from ``start_at`` to before ``end_at``, in Unix milliseconds."""

    start_at: int
    end_at: int

    def contains(self, at: int) -> bool:
        """Return whether a moment is in the period."""
        return self.start_at <= at < self.end_at


def zone_of_cap(cap: OfferCap, instance_zone: str) -> ZoneInfo:
    """Return the time zone in which a cap's periods begin: its own, else the instance's, else UTC."""
    return (zone_of(cap.time_zone) if cap.time_zone else None) or zone_of(instance_zone) or _UTC


def period_of(per: CapPeriod, zone: ZoneInfo, at: int) -> PeriodBounds:
    """Return the period that a moment in Unix milliseconds is in."""
    match per:
        case CapPeriod.TOTAL:
            return PeriodBounds(0, NO_END)
        case CapPeriod.HOUR:
            return _hour_of(zone, at)
        case CapPeriod.DAY:
            days, back = 1, 0
        case CapPeriod.WEEK:
            days, back = 7, _local(zone, at).weekday()
    first = _local(zone, at).date() - timedelta(days=back)
    return PeriodBounds(
        *(_milliseconds(datetime.combine(day, time(), zone)) for day in (first, first + timedelta(days)))
    )


def most_in_a_period(cap: OfferCap, by_hour: Mapping[int, int]) -> int:
    """Return the most that counted in one of a cap's periods, from counts by the UTC hour; 0 for none.

    Where a zone's periods begin within a UTC hour, it counts as that of its beginning.
    """
    zone = zone_of_cap(cap, "")
    sums: dict[int, int] = {}
    period = PeriodBounds(0, 0)
    for hour, count in sorted(by_hour.items()):
        if not period.contains(hour):
            period = period_of(cap.per, zone, hour)
        sums[period.start_at] = sums.get(period.start_at, 0) + count
    return max(sums.values(), default=0)


def _hour_of(zone: ZoneInfo, at: int) -> PeriodBounds:
    # Not always 60 minutes: clocks are also changed by half an hour, or in the middle of one.
    hour, start = _clock_hour(zone, at), at - at % _STEP_MS
    end = start + _STEP_MS
    while _clock_hour(zone, start - _STEP_MS) == hour:
        start -= _STEP_MS
    while _clock_hour(zone, end) == hour:
        end += _STEP_MS
    return PeriodBounds(start, end)


def _clock_hour(zone: ZoneInfo, at: int) -> tuple[date, int, timedelta | None]:
    """Return the hour that the clocks show, with their offset, by which two equal hours differ."""
    local = _local(zone, at)
    return local.date(), local.hour, local.utcoffset()


def _local(zone: ZoneInfo, at: int) -> datetime:
    return datetime.fromtimestamp(at // 1000, zone)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp()) * 1000
