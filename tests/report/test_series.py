"""The hours and days of a period, as reports group them."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from clickloop.report.period import DateRange
from clickloop.report.query_input import ReportPeriod
from clickloop.report.series import moments_of


@pytest.mark.parametrize(
    ("zone", "day", "hours", "around"),
    [
        ("Europe/Berlin", date(2026, 10, 25), 25, ["01:00", "02:00", "02:00", "03:00"]),
        ("Europe/Berlin", date(2026, 3, 29), 23, ["01:00", "03:00", "04:00", "05:00"]),
        ("Australia/Lord_Howe", date(2026, 4, 5), 25, ["01:00", "01:30", "02:00", "03:00"]),
        ("Australia/Lord_Howe", date(2026, 10, 4), 24, ["01:00", "02:30", "03:00", "04:00"]),
        ("Asia/Kathmandu", date(2026, 3, 1), 24, ["01:00", "02:00", "03:00", "04:00"]),
    ],
)
def test_the_hours_of_a_day_are_those_of_its_clock(zone: str, day: date, hours: int, around: list[str]) -> None:
    moments = moments_of(ReportPeriod(DateRange(day, day), ZoneInfo(zone), None))
    local = [f"{datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)):%H:%M}" for moment in moments]
    assert (len(local), local[1:5]) == (hours, around)
