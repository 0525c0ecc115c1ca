"""What every store of facts sums up for learning paths, and how long conversions took."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.click_id import ClickIds
from clickloop.clock import HOUR_MS
from clickloop.learning.evidence import DelayedItem, Delays, ItemCounts, ItemPeriod
from clickloop.report.fact import ConversionFact
from clickloop.report.page_event_fact import page_event_facts
from clickloop.report.rate_text import E12
from clickloop.setup.learning import Goal, ItemKind
from clickloop.store.facts.facts import FactsStore
from clickloop.store.journal.segment import Segment, SegmentContents, closed_segment_bytes
from tests.empty_stores import open_facts

NOON = 1_760_000_000_000
PATH = 5
OFFERS, LANDINGS = ItemKind.OFFERS, ItemKind.LANDINGS
_ids = ClickIds(b"k" * 32)


class Store:
    """Facts to load clicks, landing clicks and conversions into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: FactsStore = open_facts(folder / "facts.duckdb")
        self._number = 0

    def click(self, at: int, **fields: object) -> Click:
        known = {"click_id": _ids.new(at), "at": at, "campaign_id": 1, "source_id": 2, "path_id": PATH}
        click = msgspec.convert(known | fields, Click)
        self._number += 1
        path = self.folder / f"{self._number:08d}.ndjson"
        path.write_bytes(closed_segment_bytes(self._number, [msgspec.json.encode(click)[:-1] + b',"crc":1}']))
        segment = Segment(path, "clicks", "writer", self._number, path.stat().st_size)
        self.facts.load_clicks([SegmentContents(segment, 1)])
        return click

    def press(self, click: Click, offer_id: int, button: int = 1, after_ms: int = 0) -> None:
        self._number += 1
        event = PageEvent(
            event_id=f"e{self._number}",
            at=click.at + after_ms,
            kind=PageEventKind.LANDING_CLICK,
            click_id=click.click_id,
            button=button,
            offer_id=offer_id,
        )
        self.facts.load_page_events(page_event_facts(event, "", is_repeated=False), (), ())

    def convert(self, click: Click, dollars: int, after_ms: int = 0, **fields: object) -> None:
        self._number += 1
        known = {
            "click": click,
            "conversion_id": f"c{self._number}",
            "at": click.at + after_ms,
            "recorded_at": click.at + after_ms,
            "status_key": "sale",
            "counts_as": "confirmed",
            "currency": "USD",
            "conversions": 1,
            "revenue_micros": dollars * 1_000_000,
        }
        fact = msgspec.convert(msgspec.to_builtins(known | fields), ConversionFact)
        self.facts.load_facts([(self._number, msgspec.json.encode(fact))])

    def counts(self, *periods: ItemPeriod) -> dict[tuple[int, ItemKind, int], ItemCounts]:
        return self.facts.learning_counts(periods, {"USD": E12, "EUR": 2 * E12})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.facts.close()


def period(
    item_id: int, kind: ItemKind = OFFERS, goal: Goal = Goal.REVENUE_PER_VISIT, until_at: int = NOON + HOUR_MS
) -> ItemPeriod:
    return ItemPeriod(PATH, kind, item_id, goal, NOON - HOUR_MS, until_at)


def test_visits_of_a_direct_path_are_its_clicks_and_a_visit_with_two_conversions_succeeded_once(store: Store) -> None:
    store.click(NOON, offer_id=7)
    click = store.click(NOON, offer_id=7)
    store.convert(click, 3)
    store.convert(click, 2, currency="EUR")
    assert store.counts(period(7), period(8)) == {
        (PATH, OFFERS, 7): ItemCounts(
            visits=2, conversions=2, successes=1, revenue_micros=7_000_000, revenue_squares=49.0
        )
    }


def test_visits_outside_of_an_items_own_period_do_not_count_even_with_a_conversion(store: Store) -> None:
    for offer_id in (7, 8):
        store.convert(store.click(NOON, offer_id=offer_id), 3)
        store.convert(store.click(NOON - 2 * HOUR_MS, offer_id=offer_id), 3)
    counts = store.counts(period(7, until_at=NOON), period(8))
    assert {key: (one.visits, one.conversions) for key, one in counts.items()} == {(PATH, OFFERS, 8): (1, 1)}


def test_visits_behind_a_landing_are_its_landing_clicks_and_conversions_count_for_both(store: Store) -> None:
    click = store.click(NOON, landing_id=3)
    store.click(NOON, landing_id=3)
    store.press(click, 7, 1)
    store.press(click, 8, 2)
    store.convert(msgspec.structs.replace(click, offer_id=8), 4)
    counts = store.counts(period(7), period(8), period(3, LANDINGS))
    assert {key[1:]: (one.visits, one.successes, one.revenue_micros) for key, one in counts.items()} == {
        (OFFERS, 7): (1, 0, 0),
        (OFFERS, 8): (1, 1, 4_000_000),
        (LANDINGS, 3): (2, 1, 4_000_000),
    }


def test_for_landing_ctr_a_visit_with_two_landing_clicks_succeeded_once(store: Store) -> None:
    click = store.click(NOON, landing_id=3)
    store.click(NOON, landing_id=3)
    store.press(click, 7, 1)
    store.press(click, 8, 2)
    store.convert(msgspec.structs.replace(click, offer_id=8), 4)
    counts = store.counts(period(3, LANDINGS, Goal.LANDING_CTR))
    assert counts == {(PATH, LANDINGS, 3): ItemCounts(visits=2, conversions=2, successes=1)}


def test_pending_conversions_count_and_rejected_and_reversed_ones_do_not(store: Store) -> None:
    first, second, third = (store.click(NOON, offer_id=7) for _ in range(3))
    store.convert(first, 0, counts_as="pending", pending_micros=5_000_000)
    store.convert(second, 0, counts_as="rejected", rejected_micros=5_000_000)
    store.convert(third, 9, conversion_id="x")
    store.convert(third, -9, conversion_id="x", conversions=-1)
    (counts,) = store.counts(period(7)).values()
    assert (counts.visits, counts.conversions, counts.successes, counts.revenue_micros) == (3, 1, 1, 5_000_000)


def test_a_payout_in_a_currency_without_a_rate_is_a_conversion_without_money(store: Store) -> None:
    store.convert(store.click(NOON, offer_id=7), 3, currency="THB")
    (counts,) = store.counts(period(7)).values()
    assert (counts.successes, counts.revenue_micros, counts.revenue_squares) == (1, 0, 0.0)


def test_visits_of_other_paths_and_uncounted_clicks_do_not_count(store: Store) -> None:
    store.click(NOON, offer_id=7, path_id=6)
    store.click(NOON, offer_id=7, screening="crawler")
    assert all(one.visits == 0 for one in store.counts(period(7)).values())


def test_the_delay_is_the_percentile_of_conversions_each_counted_once(store: Store) -> None:
    for hours in range(1, 11):
        click = store.click(NOON, offer_id=7, landing_id=3)
        store.convert(click, 1, hours * HOUR_MS, conversion_id=f"of{hours}")
    store.convert(click, -1, 10 * HOUR_MS, conversion_id="of10", conversions=-1)
    store.convert(click, 2, 10 * HOUR_MS, conversion_id="of10")
    store.press(click, 7, after_ms=5_000)
    offer, landing = DelayedItem(OFFERS, 7, False), DelayedItem(LANDINGS, 3, True)
    assert store.facts.delays([offer, landing, DelayedItem(OFFERS, 8, False)], NOON - HOUR_MS, 0.8) == {
        offer: Delays(10, 8 * HOUR_MS),
        landing: Delays(1, 5_000),
    }


def test_nothing_is_read_without_a_period(store: Store) -> None:
    assert store.counts() == {}
    assert store.counts(ItemPeriod(PATH, OFFERS, 7, Goal.REVENUE_PER_VISIT, NOON, NOON)) == {}
    assert store.facts.delays([], NOON, 0.8) == {}
