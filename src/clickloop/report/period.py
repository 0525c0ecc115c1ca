"""Calendar days and hours of a time zone as Unix milliseconds, with its clock changes."""

import enum
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from clickloop.clock import HOUR_MS, SECOND_MS

_STEP_MS = 24 * HOUR_MS


class Preset(enum.StrEnum):
    """Named periods. All end with today, except ``yesterday`` and ``last_month``."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    LAST_7_DAYS = "7d"
    LAST_30_DAYS = "30d"
    LAST_90_DAYS = "90d"
    THIS_MONTH = "this_month"
    LAST_MONTH = "last_month"


class DateRange(msgspec.Struct, frozen=True):
    """The days from ``first`` to ``last``, inclusive."""

    first: date
    last: date

    @property
    def count(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "DateRange":
        """Return the range of the same length that ends just before this one."""
        return DateRange(self.first - timedelta(self.count), self.first - timedelta(1))

    def from_at(self, zone: ZoneInfo) -> int:
        """Return the first moment in a time zone, Unix milliseconds."""
        return start_of_day(self.first, zone)

    def until_at(self, zone: ZoneInfo) -> int:
        """Return the first moment after the range, Unix milliseconds."""
        return start_of_day(self.last + timedelta(1), zone)


class UtcOffset(msgspec.Struct, frozen=True):
    """The offset of local time from UTC, from a moment on."""

    from_at: int
    ahead_ms: int


def zone_of(name: str) -> ZoneInfo | None:
    """Return the time zone with an IANA name, in any case, or None if it is unknown."""
    try:
        return ZoneInfo(_names_by_lower().get(name.lower(), name)) if name and len(name) <= 64 else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(1)
def _names_by_lower() -> dict[str, str]:
    # Some file systems find europe/berlin, too, but that would be another zone with another key.
    return {name.lower(): name for name in available_timezones()}


def days_of(preset: Preset, now_ms: int, zone: ZoneInfo) -> DateRange:
    """Return the days of a preset at a moment in a time zone."""
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    match preset:
        case Preset.TODAY:
            return DateRange(today, today)
        case Preset.YESTERDAY:
            return DateRange(today - timedelta(1), today - timedelta(1))
        case Preset.LAST_7_DAYS:
            return DateRange(today - timedelta(6), today)
        case Preset.LAST_30_DAYS:
            return DateRange(today - timedelta(29), today)
        case Preset.LAST_90_DAYS:
            return DateRange(today - timedelta(89), today)
        case Preset.THIS_MONTH:
            return DateRange(today.replace(day=1), today)
        case Preset.LAST_MONTH:
            end = today.replace(day=1) - timedelta(1)
            return DateRange(end.replace(day=1), end)


def start_of_day(day: date, zone: ZoneInfo) -> int:
    """Return the first moment of a day. If the clock skips midnight, that is the moment after the gap."""
    local = datetime.combine(day, time(), zone)
    return int(local.timestamp()) * SECOND_MS


def offsets_of(zone: ZoneInfo, from_at: int, until_at: int) -> tuple[UtcOffset, ...]:
    """Return the time zone's offset at ``from_at``, and one for each clock change before ``until_at``."""
    # Whole days, so that different periods share the cache.
    first = from_at - from_at % _STEP_MS
    found = _changes_of(zone, first, until_at + -until_at % _STEP_MS)
    current = max((offset for offset in found if offset.from_at <= from_at), key=lambda offset: offset.from_at)
    return (
        UtcOffset(from_at, current.ahead_ms),
        *(offset for offset in found if from_at < offset.from_at < until_at),
    )


@lru_cache(64)
def _changes_of(zone: ZoneInfo, first: int, last: int) -> tuple[UtcOffset, ...]:
    """Return the offset at ``first`` and every later one. Compares day by day, and bisects days with a change."""
    found = [UtcOffset(first, _ahead_ms(zone, first))]
    for day in range(first, last, _STEP_MS):
        if _ahead_ms(zone, day + _STEP_MS) != found[-1].ahead_ms:
            change_at = _change_within(zone, day, day + _STEP_MS)
            found.append(UtcOffset(change_at, _ahead_ms(zone, change_at)))
    return tuple(found)


def _change_within(zone: ZoneInfo, low: int, high: int) -> int:
    """Return the first second at which the offset differs from the one at ``low``."""
    before = _ahead_ms(zone, low)
    while high - low > SECOND_MS:
        middle = (low + high) // 2 // SECOND_MS * SECOND_MS
        low, high = (middle, high) if _ahead_ms(zone, middle) == before else (low, middle)
    return high


def _ahead_ms(zone: ZoneInfo, moment_ms: int) -> int:
    offset = datetime.fromtimestamp(moment_ms // 1000, zone).utcoffset() or timedelta()
    return int(offset.total_seconds()) * SECOND_MS
