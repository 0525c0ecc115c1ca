"""Marks that depend on other clicks, against a plain model, and within bounded memory."""

import random
from collections import Counter

import pytest

from clickloop.click.marks.rate_tally import RatedClick, RateTally, RateThresholds, thresholds_of
from clickloop.clock import DAY_MS, MINUTE_MS
from clickloop.setup.mark import DEFAULT_MARKS, Mark, MarkSetting, marks_in_force
from tests.steps import executed_lines

NOW = 1_790_000_000_000
ON = thresholds_of(DEFAULT_MARKS)


def click(
    at: int, *, address: str = "192.0.2.1", campaign_id: int = 1, useragent: str = "A", external_id: str = ""
) -> RatedClick:
    return RatedClick(at, campaign_id, 1, external_id, address, f"{address} {useragent}")


def visits(count: int, step_ms: int) -> list[RatedClick]:
    """Return clicks from one address by different browsers."""
    return [click(NOW + number * step_ms, useragent=str(number)) for number in range(count)]


def test_the_61st_click_of_a_minute_from_an_address_is_frequent() -> None:
    tally = RateTally()
    marked = [number for number, one in enumerate(visits(70, 900)) if Mark.FREQUENT_IP in tally.count(one, ON)]
    assert marked == list(range(60, 70))


def test_60_clicks_a_minute_are_not_frequent() -> None:
    tally = RateTally()
    assert not any(tally.count(one, ON) for one in visits(200, 1_000))


def test_an_address_may_be_frequent_without_being_so_on_one_campaign() -> None:
    tally = RateTally()
    clicks = [one._replace(campaign_id=number % 2) for number, one in enumerate(visits(100, 10))]
    found = Counter(mark for one in clicks for mark in tally.count(one, ON))
    assert found == {Mark.FREQUENT_IP: 40}


def test_a_frequent_campaign_counts_its_own_clicks_alone() -> None:
    tally = RateTally()
    on = RateThresholds(frequent_campaign=10)
    found = [tally.count(one._replace(campaign_id=number % 2), on) for number, one in enumerate(visits(30, 10))]
    assert sum(map(bool, found)) == 10


def test_the_same_visitor_within_2_seconds_is_a_repeat_and_after_them_is_not() -> None:
    tally = RateTally()
    assert [tally.count(click(NOW + after), ON) for after in (0, 1_999, 3_999, 4_000)] == [
        (),
        (Mark.REPEAT,),
        (),
        (Mark.REPEAT,),
    ]


@pytest.mark.parametrize(
    "other", [click(NOW + 1, address="192.0.2.2"), click(NOW + 1, campaign_id=2), click(NOW + 1, useragent="B")]
)
def test_another_visitor_or_campaign_is_no_repeat(other: RatedClick) -> None:
    tally = RateTally()
    tally.count(click(NOW), ON)
    assert tally.count(other, ON) == ()


def test_an_external_id_is_reused_from_its_second_click_within_a_day() -> None:
    tally = RateTally()
    moments = [NOW, NOW + DAY_MS, NOW + 2 * DAY_MS + 60_000, NOW + 2 * DAY_MS + 90_000]
    clicks = [click(at, address=str(at), external_id="abc") for at in moments]
    assert [tally.count(one, ON) for one in clicks] == [(), (Mark.REUSED_EXTERNAL_ID,), (), (Mark.REUSED_EXTERNAL_ID,)]


def test_the_external_ids_of_different_sources_are_different() -> None:
    tally = RateTally()
    tally.count(click(NOW, address="1", external_id="abc"), ON)
    assert tally.count(click(NOW, address="2", external_id="abc")._replace(source_id=2), ON) == ()


def test_marks_that_are_off_are_not_given_but_their_clicks_count() -> None:
    tally = RateTally()
    off = RateThresholds()
    assert not any(tally.count(one, off) for one in visits(60, 10))
    assert Mark.FREQUENT_IP not in tally.count(click(NOW + 700, useragent="x"), off)


def test_a_campaign_s_own_threshold_takes_the_place_of_the_instance_s() -> None:
    settings = marks_in_force([MarkSetting(Mark.FREQUENT_IP, True, 5)], [MarkSetting(Mark.FREQUENT_IP, True, 7)])
    assert thresholds_of(settings).frequent_ip == 7


def test_without_an_address_nobody_is_frequent_and_without_a_visitor_nothing_is_a_repeat() -> None:
    tally = RateTally()
    assert not any(tally.count(one._replace(address="", visitor=""), ON) for one in visits(100, 1))


def test_an_external_id_that_was_remembered_is_reused() -> None:
    tally = RateTally()
    tally.remember(click(NOW - 3_600_000, external_id="abc"))
    assert tally.count(click(NOW, external_id="abc"), ON) == (Mark.REUSED_EXTERNAL_ID,)


def test_a_click_that_comes_late_is_counted_in_its_own_minute() -> None:
    tally = RateTally()
    for one in visits(60, 1):
        tally.count(one._replace(at=one.at + 2 * MINUTE_MS), ON)
    assert tally.count(click(NOW, useragent="late"), ON) == ()


@pytest.mark.parametrize("seed", range(3))
def test_a_tally_equals_a_plain_model(seed: int) -> None:
    chance = random.Random(seed)
    on = RateThresholds(frequent_ip=5, frequent_campaign=3, repeat_ms=2_000, reused_external_id=2)
    clicks = sorted(
        click(
            NOW + chance.randrange(10 * MINUTE_MS),
            campaign_id=chance.randrange(3),
            address=f"192.0.2.{chance.randrange(40)}",
            useragent=chance.choice("AB"),
            external_id=str(chance.randrange(2_000)),
        )
        for _ in range(1_500)
    )
    tally = RateTally()
    assert [set(tally.count(one, on)) for one in clicks] == [model(clicks[: place + 1], on) for place in range(1_500)]


def model(clicks: list[RatedClick], on: RateThresholds) -> set[Mark]:
    """Return the marks of the last of these clicks."""
    last = clicks[-1]
    marks = set()
    minute = [one for one in clicks if one.at > last.at - MINUTE_MS and one.address == last.address]
    if len(minute) > on.frequent_ip:
        marks.add(Mark.FREQUENT_IP)
    same = [one for one in minute if one.campaign_id == last.campaign_id]
    if len(same) > on.frequent_campaign:
        marks.add(Mark.FREQUENT_CAMPAIGN)
    if any(one.visitor == last.visitor and last.at - one.at < on.repeat_ms for one in same[:-1]):
        marks.add(Mark.REPEAT)
    if sum(one.external_id == last.external_id for one in clicks) >= on.reused_external_id:
        marks.add(Mark.REUSED_EXTERNAL_ID)
    return marks


def test_memory_is_bounded_and_the_oldest_are_forgotten_first() -> None:
    tally = RateTally(max_moments=100, max_visitors=100, max_external_ids=800)
    for number in range(5_000):
        tally.count(click(NOW + number, address=str(number), external_id=str(number)), ON)
    assert len(tally._by_address._moments) <= 100
    assert len(tally._visitors._last) <= 100
    assert len(tally._external_ids._entries) == 800
    assert tally.count(click(NOW + 5_000, address="new", external_id="4999"), ON) == (Mark.REUSED_EXTERNAL_ID,)


def test_an_address_takes_no_more_memory_than_its_threshold() -> None:
    tally = RateTally()
    for one in visits(5_000, 1):
        tally.count(one, ON)
    assert [len(moments) for moments in tally._by_address._moments.values()] == [61]


def test_the_work_of_a_click_does_not_grow_with_the_clicks_before() -> None:
    tally = RateTally()
    few = executed_lines(lambda: [tally.count(one, ON) for one in visits(300, 1)])
    for number in range(20_000):
        tally.count(click(NOW, address=str(number), external_id=str(number)), ON)
    later = [one._replace(at=one.at + 500) for one in visits(300, 1)]
    assert executed_lines(lambda: [tally.count(one, ON) for one in later]) < 2 * few


def test_hardly_any_id_is_forgotten_or_confused_while_there_is_room() -> None:
    tally = RateTally(max_external_ids=1 << 16)
    ids = [str(number) for number in range(20_000)]
    first = [tally.count(click(NOW, address=one, external_id=one), ON) for one in ids]
    again = [tally.count(click(NOW + 60_000, address=f"{one}b", external_id=one), ON) for one in ids]
    assert not any(first)
    assert sum(map(bool, again)) > 19_900
