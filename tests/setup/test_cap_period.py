"""The periods of caps: every moment is in one, and they follow the clocks of their time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from clickloop.clock import HOUR_MS, MINUTE_MS
from clickloop.setup.cap_period import PeriodBounds, most_in_a_period, period_of, zone_of_cap
from clickloop.setup.fault import FaultCode
from clickloop.setup.offer_cap import CapPeriod, CapUnit, OfferCap, cap_faults, cap_words

BERLIN = ZoneInfo("Europe/Berlin")
CHANGING = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Pacific/Chatham",
)
"""Zones that change their clocks by an hour or by half of one, at midnight, in the night, or in the middle of an hour."""


def moment(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()) * 1000


def hours(period: PeriodBounds) -> float:
    return (period.end_at - period.start_at) / HOUR_MS


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("per", [CapPeriod.HOUR, CapPeriod.DAY, CapPeriod.WEEK])
def test_periods_follow_each_other_without_gap_or_overlap(name: str, per: CapPeriod) -> None:
    zone = ZoneInfo(name)
    for month in ("2026-03-05", "2026-04-03", "2026-09-03", "2026-10-23"):
        first = moment(month, zone)
        for at in range(first, first + 500 * HOUR_MS, 15 * MINUTE_MS):
            period = period_of(per, zone, at)
            assert period.contains(at)
            assert period_of(per, zone, period.start_at) == period_of(per, zone, period.end_at - 1) == period
            assert period_of(per, zone, period.end_at).start_at == period.end_at


def test_a_day_has_the_hours_that_its_zone_gives_it() -> None:
    lengths = [
        hours(period_of(CapPeriod.DAY, BERLIN, moment(day))) for day in ("2026-03-29", "2026-10-25", "2026-11-01")
    ]
    assert lengths == [23, 25, 24]


def test_a_day_begins_with_its_first_moment_where_midnight_is_left_out() -> None:
    santiago = ZoneInfo("America/Santiago")
    period = period_of(CapPeriod.DAY, santiago, moment("2026-09-06T12:00", santiago))
    assert datetime.fromtimestamp(period.start_at / 1000, santiago).isoformat() == "2026-09-06T01:00:00-03:00"
    assert hours(period) == 23


def test_the_hour_that_comes_twice_is_two_periods() -> None:
    first, second = (period_of(CapPeriod.HOUR, BERLIN, moment("2026-10-25T02:30", fold=fold)) for fold in (0, 1))
    assert first.end_at == second.start_at
    assert (hours(first), hours(second)) == (1, 1)


def test_a_week_begins_on_monday() -> None:
    period = period_of(CapPeriod.WEEK, BERLIN, moment("2026-10-25T23:59"))
    assert (period.start_at, period.end_at) == (moment("2026-10-19"), moment("2026-10-26"))


def test_a_cap_in_total_has_one_period() -> None:
    period = period_of(CapPeriod.TOTAL, BERLIN, moment("2026-10-25"))
    assert period.start_at == 0
    assert period.contains(moment("2099-01-01"))


def test_the_most_in_a_period_adds_up_its_hours() -> None:
    by_hour = {moment("2026-10-25") + number * HOUR_MS: 1 for number in range(30)} | {moment("2026-10-20"): 7}
    daily = OfferCap(amount=1, time_zone="Europe/Berlin")
    assert most_in_a_period(daily, by_hour) == 25
    assert most_in_a_period(msgspec.structs.replace(daily, per=CapPeriod.HOUR), by_hour) == 7
    assert most_in_a_period(msgspec.structs.replace(daily, per=CapPeriod.WEEK), by_hour) == 32
    assert most_in_a_period(daily, {}) == 0


def test_a_cap_without_a_zone_of_its_own_follows_that_of_the_instance() -> None:
    assert zone_of_cap(OfferCap(amount=1), "Europe/Berlin") == BERLIN
    assert zone_of_cap(OfferCap(amount=1, time_zone="Asia/Tokyo"), "Europe/Berlin") == ZoneInfo("Asia/Tokyo")
    assert zone_of_cap(OfferCap(amount=1, time_zone="Nowhere/At_All"), "") == ZoneInfo("UTC")


@pytest.mark.parametrize("amount", [0, -1, 1_000_000_001])
def test_an_amount_that_is_no_cap_is_refused(amount: int) -> None:
    faults = cap_faults(OfferCap(amount=amount))
    assert [(fault.field, fault.code) for fault in faults] == [("cap.amount", FaultCode.OUT_OF_RANGE)]


def test_a_cap_of_clicks_has_no_statuses_and_a_cap_a_known_zone() -> None:
    faults = cap_faults(OfferCap(amount=1, of=CapUnit.CLICKS, statuses=("sale",), time_zone="../Berlin"))
    assert [fault.field for fault in faults] == ["cap.time_zone", "cap.statuses"]


def test_a_cap_has_words() -> None:
    assert cap_words(OfferCap(amount=1)) == "1 conversion a day"
    assert (
        cap_words(OfferCap(amount=5_000, of=CapUnit.UNIQUE_CLICKS, per=CapPeriod.HOUR)) == "5,000 unique clicks an hour"
    )
    assert (
        cap_words(OfferCap(amount=7, statuses=("sale", "lead"), per=CapPeriod.TOTAL))
        == "7 conversions (sale, lead) in total"
    )
