"""The verdict follows from exact probabilities, and from what rows of known rates do."""

import random
from fractions import Fraction
from math import comb

import pytest

from clickloop.report.verdict import CONFIDENCE, MaturedRow, Target, beta_distribution, read_target, verdict

BREAK_EVEN = Target(roi=0)


def row(clicks: int, conversions: int, cost: int, payout: int = 10) -> MaturedRow:
    return MaturedRow(
        clicks=clicks,
        conversions=conversions,
        cost_micros=cost * 1_000_000,
        revenue_micros=conversions * payout * 1_000_000,
        typical_payout_micros=payout * 1_000_000,
    )


@pytest.mark.parametrize("x", [0.001, 0.05, 0.3, 0.5, 0.77, 0.999])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 7), (30, 5), (11, 400), (300, 900)])
def test_the_distribution_equals_the_sum_of_binomials(x: float, a: int, b: int) -> None:
    n, rate = a + b - 1, Fraction(x).limit_denominator(1_000)
    exact = sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(a, n + 1))
    assert beta_distribution(x, a, b) == pytest.approx(float(exact), abs=1e-9)


def test_the_distribution_holds_for_millions_of_clicks() -> None:
    assert beta_distribution(0.02, 40_000.5, 1_960_000.5) == pytest.approx(0.5, abs=0.01)
    assert beta_distribution(0.0205, 40_000.5, 1_960_000.5) > 0.99


def test_a_row_without_conversions_misses_once_it_has_cost_enough() -> None:
    few, many = verdict(row(50, 0, 5), BREAK_EVEN), verdict(row(500, 0, 50), BREAK_EVEN)
    assert few is not None
    assert many is not None
    assert few.misses < CONFIDENCE < many.misses
    assert (few.is_certain, many.is_certain) == (False, True)
    assert few.clicks_needed is not None
    assert 50 < few.clicks_needed < 450
    assert many.at_stake_micros == 50_000_000


def test_a_row_that_earns_twice_its_cost_meets_the_target() -> None:
    found = verdict(row(1_000, 20, 100), BREAK_EVEN)
    assert found is not None
    assert found.misses < 0.01
    assert (found.is_certain, found.at_stake_micros) == (True, 0)


def test_a_higher_target_is_missed_sooner() -> None:
    targets = (Target(roi=-500_000), BREAK_EVEN, Target(roi=500_000), Target(roi=2_000_000))
    found = [one.misses for target in targets if (one := verdict(row(1_000, 12, 100), target)) is not None]
    assert found == sorted(found)
    assert len(found) == 4


def test_a_target_of_cost_per_conversion_needs_no_payout() -> None:
    found = verdict(row(1_000, 10, 100, payout=0), Target(cpa_micros=8_000_000))
    assert found is not None
    assert found.misses > 0.5
    assert found.at_stake_micros == 20_000_000


@pytest.mark.parametrize(
    ("one", "target"),
    [
        (row(0, 0, 0), BREAK_EVEN),
        (row(10, 0, 0), BREAK_EVEN),
        (row(10, 0, 5, payout=0), BREAK_EVEN),
        (row(10, 1, 5), Target(cpa_micros=0)),
    ],
)
def test_without_clicks_cost_or_payout_there_is_no_verdict(one: MaturedRow, target: Target) -> None:
    assert verdict(one, target) is None


def test_a_row_exactly_on_target_takes_more_clicks_than_anyone_buys() -> None:
    found = verdict(row(1_000, 10, 100), BREAK_EVEN)
    assert found is not None
    assert found.clicks_needed is None
    assert 0.4 < found.misses < 0.6


def test_certain_verdicts_are_right_as_often_as_they_claim() -> None:
    chance = random.Random(7)
    wrong = certain = 0
    for _ in range(2_000):
        rate = chance.uniform(0, 0.04)
        clicks = chance.randrange(200, 1_000)
        conversions = sum(chance.random() < rate for _ in range(clicks))
        found = verdict(row(clicks, conversions, clicks // 5), Target(cpa_micros=10_000_000))
        assert found is not None
        if found.is_certain:
            certain += 1
            wrong += (found.misses > 0.5) != (rate < (clicks // 5) / clicks / 10)
    assert certain > 800
    assert wrong / certain < 1 - CONFIDENCE


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("roi:20", Target(roi=200_000)),
        ("roi:-12.5%", Target(roi=-125_000)),
        ("cpa:3,50", Target(cpa_micros=3_500_000)),
        *(
            (text, None)
            for text in ("", "20", "roi:", "roi:-100", "roi:100001", "cpa:0", "cpa:-1", "cpa:3 EUR", "cpc:1", "roi:1:2")
        ),
    ],
)
def test_a_target_is_a_return_in_percent_or_a_cost_per_conversion(text: str, target: Target | None) -> None:
    assert read_target(text) == target
