"""The calendar of reports."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.report.period import DateRange, Preset, days_of, offsets_of, start_of_day, zone_of

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: str = "UTC") -> int:
    """Return the moment of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


@pytest.mark.parametrize(
    ("preset", "first", "last"),
    [
        (Preset.TODAY, "2026-03-01", "2026-03-01"),
        (Preset.YESTERDAY, "2026-02-28", "2026-02-28"),
        (Preset.LAST_7_DAYS, "2026-02-23", "2026-03-01"),
        (Preset.LAST_30_DAYS, "2026-01-31", "2026-03-01"),
        (Preset.LAST_90_DAYS, "2025-12-02", "2026-03-01"),
        (Preset.THIS_MONTH, "2026-03-01", "2026-03-01"),
        (Preset.LAST_MONTH, "2026-02-01", "2026-02-28"),
    ],
)
def test_named_periods_use_the_day_of_the_time_zone(preset: Preset, first: str, last: str) -> None:
    days = days_of(preset, at("2026-02-28T23:30"), BERLIN)
    assert (days.first.isoformat(), days.last.isoformat()) == (first, last)


def test_the_previous_range_has_the_same_length() -> None:
    days = DateRange(date(2026, 3, 1), date(2026, 3, 7))
    assert (days.count, days.before) == (7, DateRange(date(2026, 2, 22), date(2026, 2, 28)))


def test_a_day_with_a_clock_change_has_23_or_25_hours() -> None:
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25)):
        days = DateRange(day, day)
        assert days.until_at(BERLIN) - days.from_at(BERLIN) == hours * HOUR_MS


def test_a_day_without_midnight_begins_after_the_gap() -> None:
    beirut = ZoneInfo("Asia/Beirut")  # 2026-03-29: 00:00 is skipped
    first = datetime.fromtimestamp(start_of_day(date(2026, 3, 29), beirut) / 1000, beirut)
    assert (first.date(), first.hour) == (date(2026, 3, 29), 1)


def test_clock_changes_are_exact_to_the_second() -> None:
    offsets = offsets_of(BERLIN, at("2026-01-01"), at("2027-01-01"))
    assert [(offset.from_at, offset.ahead_ms // HOUR_MS) for offset in offsets] == [
        (at("2026-01-01"), 1),
        (at("2026-03-29T01:00"), 2),
        (at("2026-10-25T01:00"), 1),
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(available_timezones())), st.integers(at("2000-01-01"), at("2040-01-01")), st.integers(1, 400)
)
def test_offsets_are_right_at_every_moment_of_the_period(zone: str, from_at: int, days: int) -> None:
    named, until_at = ZoneInfo(zone), from_at + days * DAY_MS
    offsets = offsets_of(named, from_at, until_at)
    assert offsets[0].from_at == from_at
    for moment in range(from_at, until_at, 7 * HOUR_MS + 1_000):
        standing = [offset for offset in offsets if offset.from_at <= moment][-1]
        local = datetime.fromtimestamp(moment // 1000, UTC).astimezone(named).utcoffset()
        assert local is not None
        assert standing.ahead_ms == int(local.total_seconds()) * 1000


@pytest.mark.parametrize("name", ["", "Mars", "../etc/passwd", "/etc/passwd", "a" * 65, "Europe", "\0"])
def test_an_unknown_time_zone_is_none(name: str) -> None:
    assert zone_of(name) is None
