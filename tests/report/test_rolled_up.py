"""The queries that roll-ups answer."""

import pytest

from clickloop.clock import DAY_MS, MINUTE_MS
from clickloop.report.query import Dimension, DimensionFilter, MomentRange, Parameter, ReportQuery
from clickloop.report.rolled_up import is_rolled_up

NOON = 1_772_366_400_000  # 2026-03-01 12:00 UTC


def asked(**changes: object) -> ReportQuery:
    given: dict[str, object] = {"from_at": NOON - DAY_MS, "until_at": NOON, "currency": "USD"}
    return ReportQuery(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("dimension", [Dimension.CAMPAIGN, Dimension.PATH, Dimension.STATUS, Dimension.HOUR])
def test_dimensions_of_the_set_up_and_of_time_are_rolled_up(dimension: Dimension) -> None:
    assert is_rolled_up(asked(group_by=(dimension,), filters=(DimensionFilter(dimension, ("1",)),)))


@pytest.mark.parametrize(
    "grouping",
    [Dimension.COUNTRY, Dimension.V1, Dimension.MARK, Dimension.UNIQUE, Dimension.DELAY, Parameter("Zone", ())],
)
def test_what_would_have_a_row_per_click_is_not(grouping: Dimension | Parameter) -> None:
    assert not is_rolled_up(asked(group_by=(grouping,)))
    assert not is_rolled_up(asked(filters=(DimensionFilter(grouping, ("1",)),)))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"])
def test_days_of_every_zone_of_today_begin_with_a_quarter_hour(zone: str) -> None:
    assert is_rolled_up(asked(group_by=(Dimension.DAY,), zone=zone))


def test_an_offset_of_minutes_is_left_to_the_facts() -> None:
    """Until 1972 Liberia was 44 minutes and 30 seconds behind."""
    year_1970 = MomentRange(0, DAY_MS)
    assert not is_rolled_up(asked(from_at=0, until_at=DAY_MS, zone="Africa/Monrovia"))
    assert not is_rolled_up(asked(compared=year_1970, zone="Africa/Monrovia"))


def test_a_period_that_begins_within_a_quarter_hour_is_left_to_the_facts() -> None:
    assert not is_rolled_up(asked(from_at=NOON - 7 * MINUTE_MS))


def test_values_that_count_from_moments_of_their_own_are_left_to_the_facts() -> None:
    assert not is_rolled_up(asked(filters=(DimensionFilter(Dimension.OFFER, ("1",), since=(NOON,)),)))
