"""Finds the time zone of a file: the one in which its clicks per hour are most like ours. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from clickloop.clock import HOUR_MS, MINUTE_MS
from clickloop.report.cost.segment import QUARTER_MS
from clickloop.report.cost.span import LocalTime

USUAL_ZONES = (
    *("UTC", "Europe/London", "Europe/Berlin", "Europe/Kyiv", "Europe/Moscow", "Asia/Dubai", "Asia/Karachi"),
    *("Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Bangkok", "Asia/Shanghai", "Asia/Tokyo"),
    *("Australia/Sydney", "Pacific/Auckland", "Atlantic/Azores", "America/Sao_Paulo", "America/New_York"),
    *("America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles", "America/Anchorage"),
    *("Pacific/Honolulu", "America/St_Johns", "America/Halifax", "Asia/Tehran", "Australia/Adelaide"),
)
"""Zones in which ad platforms report, and one for each common distance to UTC."""
MIN_HOURS = 6
"""Hours with clicks in the file, from which the zone can be told."""


class ZoneFit(msgspec.Struct, frozen=True):
    """A time zone, and how much the file's clicks are like ours in it: from −1 to 1."""

    zone: str
    offset: str
    """Its distance to UTC at the file's beginning, such as ``UTC+1``."""
    likeness: float


def zone_fits(
    in_file: Mapping[LocalTime, int], ours: Mapping[int, int], first_zones: Iterable[str] = ()
) -> list[ZoneFit]:
    """Return the zones by likeness, the most alike first; none if the file or we have too few hours with clicks.

    ``in_file``: clicks by hour. ``ours``: clicks by quarter-hour (Unix milliseconds), from a day before to a day after the file's.
    ``first_zones``: preferred among zones that show the same times.
    """
    hours = sorted((time for time in in_file if time.minute is not None), key=lambda time: (time.day, time.minute))
    if sum(1 for time in hours if in_file[time]) < MIN_HOURS or not ours:
        return []
    found: dict[tuple[int, ...], ZoneFit] = {}
    for name in dict.fromkeys((*first_zones, *USUAL_ZONES)):
        zone = ZoneInfo(name)
        begins = tuple(time.begins_at(zone) for time in hours)
        if begins in found:
            continue
        counted = [_clicks_of_hour(ours, begins_at) for begins_at in begins]
        likeness = _likeness([in_file[time] for time in hours], counted)
        if likeness is not None:
            found[begins] = ZoneFit(name, _offset(zone, begins[0]), round(likeness, 4))
    return sorted(found.values(), key=lambda fit: -fit.likeness)


def _clicks_of_hour(ours: Mapping[int, int], begins_at: int) -> int:
    return sum(ours.get(at, 0) for at in range(begins_at, begins_at + HOUR_MS, QUARTER_MS))


def _likeness(one: Sequence[int], other: Sequence[int]) -> float | None:
    """Return the correlation of two series; None if one does not vary."""
    count = len(one)
    mean, other_mean = sum(one) / count, sum(other) / count
    spread = math.fsum((value - mean) ** 2 for value in one)
    other_spread = math.fsum((value - other_mean) ** 2 for value in other)
    if not spread or not other_spread:
        return None
    both = math.fsum((a - mean) * (b - other_mean) for a, b in zip(one, other, strict=True))
    return both / math.sqrt(spread * other_spread)


def _offset(zone: ZoneInfo, at: int) -> str:
    distance = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).utcoffset() or timedelta()
    minutes = int(distance.total_seconds()) * 1000 // MINUTE_MS
    if not minutes:
        return "UTC"
    sign, minutes = ("−" if minutes < 0 else "+"), abs(minutes)
    return f"UTC{sign}{minutes // 60}" + (f":{minutes % 60:02d}" if minutes % 60 else "")
