"""When a scheduled view is due: hourly, daily or weekly at a local time. Pure; moments are passed in.

A local time that the clock skips is due at the first moment after it; one that occurs twice is due the first time only.
"""

import enum
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from clickloop.clock import MINUTE_MS, SECOND_MS
from clickloop.report.period import offsets_of, zone_of
from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.record import RecordId

LATE_AFTER_MS = 5 * MINUTE_MS
"""A run that begins later than this is late: the tracker was off, or busy."""
_DAYS_AROUND = 9
"""A week and a day on each side: a skipped hour moves a run by at most a day."""


class Every(enum.StrEnum):
    """The interval at which a view is sent."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


class ViewSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """When a view is sent, and through which postback rule."""

    rule_id: Annotated[RecordId, Meta(description="Postback rule with the trigger view.")]
    every: Every = Every.DAY
    at: Annotated[
        str, Meta(description="Local time as HH:MM. Hourly, only the minutes count.", examples=["08:00"], max_length=5)
    ] = "08:00"
    weekday: Annotated[int, Meta(ge=1, le=7, description="Of a weekly one: 1 for Monday to 7 for Sunday.")] = 1
    zone: Annotated[str, Meta(max_length=64, description="Time zone. Defaults to the instance's.")] = ""
    active: bool = True


def schedule_faults(schedule: ViewSchedule) -> list[FieldFault]:
    """Return what is wrong with a schedule, except its rule."""
    faults = []
    if not _is_time(schedule.at):
        faults.append(FieldFault("schedule.at", FaultCode.NOT_A_MOMENT, "Enter a time of day, such as 08:00."))
    if zone_of(schedule.zone) is None:
        sentence = "Enter the name of a time zone, such as Europe/Berlin or UTC."
        faults.append(FieldFault("schedule.zone", FaultCode.NOT_FOUND, sentence))
    return faults


def _is_time(text: str) -> bool:
    hour, colon, minute = text[:2], text[2:3], text[3:]
    digits = hour + minute
    is_written = colon == ":" and len(digits) == 4 and digits.isascii() and digits.isdecimal()
    return is_written and int(hour) < 24 and int(minute) < 60


def next_due(schedule: ViewSchedule, after_ms: int) -> int:
    """Return the first moment after ``after_ms`` at which the view is due."""
    return min(moment for moment in _moments_around(schedule, after_ms) if moment > after_ms)


def latest_due(schedule: ViewSchedule, until_ms: int) -> int:
    """Return the last moment up to ``until_ms`` at which the view was due."""
    return max(moment for moment in _moments_around(schedule, until_ms) if moment <= until_ms)


def _moments_around(schedule: ViewSchedule, moment_ms: int) -> Iterator[int]:
    zone = zone_of(schedule.zone) or ZoneInfo("UTC")
    hour, minute = (int(part) for part in schedule.at.split(":"))
    today = datetime.fromtimestamp(moment_ms / 1000, zone).date()
    hours = range(24) if schedule.every is Every.HOUR else (hour,)
    around = 1 if schedule.every is Every.HOUR else _DAYS_AROUND
    for shift in range(-around, around + 1):
        day = today + timedelta(shift)
        if schedule.every is Every.WEEK and day.isoweekday() != schedule.weekday:
            continue
        for each in hours:
            yield moment_of(day, time(each, minute), zone)


def moment_of(day: date, at: time, zone: ZoneInfo) -> int:
    """Return a local time as Unix milliseconds: the first of two, or the first moment after a gap that contains it."""
    earlier, later = (
        int(datetime.combine(day, at, zone).replace(fold=fold).timestamp()) * SECOND_MS for fold in (0, 1)
    )
    if later >= earlier:
        return earlier
    # Within a gap, the offset before it gives the later moment. The clock change is between the two.
    return offsets_of(zone, later, earlier + SECOND_MS)[1].from_at
