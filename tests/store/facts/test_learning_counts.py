"""What every store of facts sums up for learning paths, and how long conversions took."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clickloop.clock import HOUR_MS
from clickloop.learning.evidence import DelayedItem, Delays, ItemCounts, ItemPeriod
from clickloop.report.rate_text import E12
from clickloop.setup.learning import Goal, ItemKind
from tests.learning.earning import PATH, Earnings

NOON = 1_760_000_000_000
OFFERS, LANDINGS = ItemKind.OFFERS, ItemKind.LANDINGS


def counts(earnings: Earnings, *periods: ItemPeriod) -> dict[tuple[int, ItemKind, int], ItemCounts]:
    return earnings.facts.learning.counts(periods, {"USD": E12, "EUR": 2 * E12})


@pytest.fixture
def earnings(tmp_path: Path) -> Iterator[Earnings]:
    opened = Earnings(tmp_path)
    yield opened
    opened.facts.close()


def period(
    item_id: int, kind: ItemKind = OFFERS, goal: Goal = Goal.REVENUE_PER_VISIT, until_at: int = NOON + HOUR_MS
) -> ItemPeriod:
    return ItemPeriod(PATH, kind, item_id, goal, NOON - HOUR_MS, until_at)


def test_visits_of_a_direct_path_are_its_clicks_and_a_visit_with_two_conversions_succeeded_once(
    earnings: Earnings,
) -> None:
    earnings.click(NOON, offer_id=7)
    click = earnings.click(NOON, offer_id=7)
    earnings.convert(click, 3)
    earnings.convert(click, 2, currency="EUR")
    assert counts(earnings, period(7), period(8)) == {
        (PATH, OFFERS, 7): ItemCounts(
            visits=2, conversions=2, successes=1, revenue_micros=7_000_000, revenue_squares=49.0
        )
    }


def test_visits_outside_of_an_items_own_period_do_not_count_even_with_a_conversion(earnings: Earnings) -> None:
    for offer_id in (7, 8):
        earnings.convert(earnings.click(NOON, offer_id=offer_id), 3)
        earnings.convert(earnings.click(NOON - 2 * HOUR_MS, offer_id=offer_id), 3)
    found = counts(earnings, period(7, until_at=NOON), period(8))
    assert {key: (one.visits, one.conversions) for key, one in found.items()} == {(PATH, OFFERS, 8): (1, 1)}


def test_visits_behind_a_landing_are_its_landing_clicks_and_conversions_count_for_both(earnings: Earnings) -> None:
    click = earnings.click(NOON, landing_id=3)
    earnings.click(NOON, landing_id=3)
    earnings.press(click, 7, 1)
    earnings.press(click, 8, 2)
    earnings.convert(msgspec.structs.replace(click, offer_id=8), 4)
    found = counts(earnings, period(7), period(8), period(3, LANDINGS))
    assert {key[1:]: (one.visits, one.successes, one.revenue_micros) for key, one in found.items()} == {
        (OFFERS, 7): (1, 0, 0),
        (OFFERS, 8): (1, 1, 4_000_000),
        (LANDINGS, 3): (2, 1, 4_000_000),
    }


def test_for_landing_ctr_a_visit_with_two_landing_clicks_succeeded_once(earnings: Earnings) -> None:
    click = earnings.click(NOON, landing_id=3)
    earnings.click(NOON, landing_id=3)
    earnings.press(click, 7, 1)
    earnings.press(click, 8, 2)
    earnings.convert(msgspec.structs.replace(click, offer_id=8), 4)
    found = counts(earnings, period(3, LANDINGS, Goal.LANDING_CTR))
    assert found == {(PATH, LANDINGS, 3): ItemCounts(visits=2, conversions=2, successes=1)}


def test_pending_conversions_count_and_rejected_and_reversed_ones_do_not(earnings: Earnings) -> None:
    first, second, third = (earnings.click(NOON, offer_id=7) for _ in range(3))
    earnings.convert(first, 0, counts_as="pending", pending_micros=5_000_000)
    earnings.convert(second, 0, counts_as="rejected", rejected_micros=5_000_000)
    earnings.convert(third, 9, conversion_id="x")
    earnings.convert(third, -9, conversion_id="x", conversions=-1)
    (found,) = counts(earnings, period(7)).values()
    assert (found.visits, found.conversions, found.successes, found.revenue_micros) == (3, 1, 1, 5_000_000)


def test_a_payout_in_a_currency_without_a_rate_is_a_conversion_without_money(earnings: Earnings) -> None:
    earnings.convert(earnings.click(NOON, offer_id=7), 3, currency="THB")
    (found,) = counts(earnings, period(7)).values()
    assert (found.successes, found.revenue_micros, found.revenue_squares) == (1, 0, 0.0)


def test_visits_of_other_paths_and_uncounted_clicks_do_not_count(earnings: Earnings) -> None:
    earnings.click(NOON, offer_id=7, path_id=6)
    earnings.click(NOON, offer_id=7, screening="crawler")
    assert all(one.visits == 0 for one in counts(earnings, period(7)).values())


def test_the_delay_is_the_percentile_of_conversions_each_counted_once(earnings: Earnings) -> None:
    for hours in range(1, 11):
        click = earnings.click(NOON, offer_id=7, landing_id=3)
        earnings.convert(click, 1, hours * HOUR_MS, conversion_id=f"of{hours}")
    earnings.convert(click, -1, 10 * HOUR_MS, conversion_id="of10", conversions=-1)
    earnings.convert(click, 2, 10 * HOUR_MS, conversion_id="of10")
    earnings.press(click, 7, after_ms=5_000)
    offer, landing = DelayedItem(OFFERS, 7, False), DelayedItem(LANDINGS, 3, True)
    assert earnings.facts.learning.delays([offer, landing, DelayedItem(OFFERS, 8, False)], NOON - HOUR_MS, 0.8) == {
        offer: Delays(10, 8 * HOUR_MS),
        landing: Delays(1, 5_000),
    }


def test_nothing_is_read_without_a_period(earnings: Earnings) -> None:
    assert counts(earnings) == {}
    assert counts(earnings, ItemPeriod(PATH, OFFERS, 7, Goal.REVENUE_PER_VISIT, NOON, NOON)) == {}
    assert earnings.facts.learning.delays([], NOON, 0.8) == {}
