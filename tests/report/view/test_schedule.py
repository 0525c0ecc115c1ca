"""When scheduled views are due, over changes of the clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from clickloop.report.view.schedule import Every, ViewSchedule, latest_due, next_due

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def due(schedule: ViewSchedule, after: str, count: int) -> list[str]:
    moment, found = ms(after), []
    for _ in range(count):
        moment = next_due(schedule, moment)
        zone = ZoneInfo(schedule.zone)
        found.append(datetime.fromtimestamp(moment / 1000, zone).isoformat(timespec="minutes"))
    return found


def schedule(at: str, every: Every = Every.DAY, zone: str = "Europe/Berlin", weekday: int = 1) -> ViewSchedule:
    return ViewSchedule(rule_id=1, every=every, at=at, zone=zone, weekday=weekday)


def test_a_skipped_time_is_due_at_the_first_moment_after_it() -> None:
    assert due(schedule("02:30"), "2026-03-28T03:00+01:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]


def test_a_time_that_occurs_twice_is_due_once() -> None:
    assert due(schedule("02:30"), "2026-10-24T12:00+02:00", 2) == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]


def test_an_hourly_view_is_due_once_for_each_hour_of_the_local_clock() -> None:
    hourly = schedule("00:15", Every.HOUR)
    assert due(hourly, "2026-10-25T01:30+02:00", 2) == ["2026-10-25T02:15+02:00", "2026-10-25T03:15+01:00"]
    assert due(hourly, "2026-03-29T01:30+01:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-29T03:15+02:00"]


def test_a_weekly_view_is_due_on_its_weekday() -> None:
    weekly = schedule("08:00", Every.WEEK, "Asia/Kathmandu", 5)
    assert due(weekly, "2026-03-06T08:00+05:45", 2) == ["2026-03-13T08:00+05:45", "2026-03-20T08:00+05:45"]


def test_a_day_that_a_zone_skips_is_made_up_for_at_its_end() -> None:
    apia = schedule("08:00", zone="Pacific/Apia")
    assert due(apia, "2011-12-29T08:00-10:00", 2) == ["2011-12-31T00:00+14:00", "2011-12-31T08:00+14:00"]


@pytest.mark.parametrize("every", Every)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_a_moment_is_always_found_and_the_latest_is_the_one_before_the_next(every: Every, zone: str) -> None:
    one = schedule("02:15", every, zone)
    moment = ms("2018-01-01T00:00+00:00")
    for _ in range(800):
        later = next_due(one, moment)
        assert moment < later <= moment + 8 * 86_400_000
        assert latest_due(one, later) == later
        if latest_due(one, later - 1) != moment:
            assert moment == ms("2018-01-01T00:00+00:00")
        moment = later
