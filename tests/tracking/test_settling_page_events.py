"""Settling page events: each once, with its click's dimensions, and none is lost while its click is on its way."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clickloop.click.page.page_event import PageEventKind
from clickloop.clock import DAY_MS, MINUTE_MS, SECOND_MS
from clickloop.report.query import Dimension
from clickloop.store.journal.segment import PAGE_EVENTS_STREAM, DamageKind, record_line
from clickloop.tracking.pages import settling_page_events
from tests.partner import NOW
from tests.tracking.page_events_machine import LANDING, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.facts.close()
    made.ledger.close()


def test_views_and_landing_clicks_count_in_the_group_of_their_click(machine: Machine) -> None:
    click_id = machine.visit()
    machine.visit(country="FR")
    machine.view(click_id)
    machine.press(click_id)
    machine.settle()
    (first, second) = machine.report(Dimension.COUNTRY).groups
    assert (first.keys, first.sums.clicks, first.sums.landing_views, first.sums.landing_clicks) == (("DE",), 1, 1, 1)
    assert (second.keys, second.sums.landing_views, second.sums.landing_clicks) == (("FR",), 0, 0)
    assert machine.sums().landing_visits == 2


def test_each_load_of_the_page_is_a_view(machine: Machine) -> None:
    click_id = machine.visit()
    machine.view(click_id)
    machine.view(click_id)
    machine.settle()
    assert machine.sums().landing_views == 2


def test_a_button_pressed_again_counts_once_in_one_segment_and_across_segments_and_restarts(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id, closed=False)
    machine.press(click_id)
    machine.settle()
    machine.press(click_id)
    machine.settle()
    machine.start_core()
    machine.press(click_id)
    machine.settle()
    machine.press(click_id, button=2)
    machine.settle()
    assert (machine.sums().landing_clicks, machine.sums().offer_visits) == (2, 2)
    events = machine.facts.find_page_events([click_id])[click_id]
    assert [event.flags for event in events] == ["", "repeated", "repeated", "repeated", ""]


def test_an_offer_visit_is_a_click_sent_to_an_offer_or_a_landing_click(machine: Machine) -> None:
    machine.visit(landing_id=0, offer_id=6, network_id=2)
    machine.visit(landing_id=0, offer_id=6, network_id=2, screening="prefetch")
    machine.press(machine.visit(), offer_id=7)
    machine.press(machine.visit(), offer_id=0, network_id=0, flags="fallback")
    machine.settle()
    sums = {group.keys: group.sums for group in machine.report(Dimension.OFFER).groups}
    assert (sums[(6,)].offer_visits, sums[(7,)].offer_visits, sums[(7,)].landing_clicks) == (1, 1, 1)
    assert (sums[(0,)].offer_visits, sums[(0,)].landing_clicks, sums[(0,)].landing_visits) == (0, 1, 2)


def test_numbers_from_the_page_are_events_of_their_own(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id, events={1: 3_000_000, 30: -500_000})
    machine.happen(click_id, kind=PageEventKind.EVENT, events={2: 1})
    machine.happen(click_id, kind=PageEventKind.EVENT, flags="event_unreadable")
    machine.settle()
    assert (machine.sums().events, machine.sums().landing_clicks) == (3, 1)
    press, event, unreadable = machine.facts.find_page_events([click_id])[click_id]
    assert (press.kind, press.events) == (PageEventKind.LANDING_CLICK, {1: 3_000_000, 30: -500_000})
    assert (event.kind, event.events, unreadable.events) == (PageEventKind.EVENT, {2: 1}, {})


@pytest.mark.parametrize("of", ["event", "click"])
def test_what_does_not_count_is_kept(machine: Machine, of: str) -> None:
    click_id = machine.visit(screening="test" if of == "click" else "")
    screening = "prefetch" if of == "event" else ""
    machine.press(click_id, screening=screening, events={1: 1})
    machine.view(click_id, screening=screening)
    machine.settle()
    sums = machine.sums()
    assert (sums.landing_clicks, sums.offer_visits, sums.landing_views, sums.events) == (0, 0, 0, 0)
    assert len(machine.facts.find_page_events([click_id])[click_id]) == 2
    machine.press(click_id)
    machine.settle()
    assert machine.sums().landing_clicks == (1 if of == "event" else 0)


def test_an_event_is_read_as_it_was_written(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id, flags="old_click_id", button=3, found_by="referrer", target="https://o.example/?a=1")
    machine.settle()
    (event,) = machine.facts.find_page_events([click_id])[click_id]
    assert (event.at, event.button, event.offer_id, event.network_id) == (NOW, 3, 7, 9)
    assert (event.found_by, event.target, event.flags) == ("referrer", "https://o.example/?a=1", "old_click_id")


def test_an_event_whose_click_is_not_settled_waits_for_it_across_restarts(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id)
    machine.settle_page_events()
    machine.start_core()
    machine.now += MINUTE_MS
    machine.settle_page_events()
    assert machine.sums().landing_clicks == 0
    assert machine.facts.find_page_events([click_id])[click_id][0].offer_id == 7
    machine.run(SECOND_MS)
    assert machine.sums().landing_clicks == 1
    assert machine.report(Dimension.LANDING).groups[0].keys == (LANDING,)


def test_the_event_of_a_click_that_never_comes_is_kept_and_counted_for_the_operator(machine: Machine) -> None:
    machine.visit()
    lost = machine.visit(recorded=False)
    machine.press(lost, events={1: 1})
    machine.run(9 * MINUTE_MS, 10 * SECOND_MS)
    assert machine.facts.verify().unknown_page_events == 0
    machine.run(3 * MINUTE_MS, 10 * SECOND_MS)
    assert machine.facts.verify().unknown_page_events == 1
    assert (machine.sums().landing_clicks, machine.sums().events) == (0, 0)
    (event,) = machine.facts.find_page_events([lost])[lost]
    assert (event.flags, event.offer_id) == ("unknown_click", 7)


def test_while_older_clicks_are_not_settled_no_click_is_unknown(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id)
    for _ in range(20):
        machine.settle_page_events()
        machine.progress.look()
        machine.now += MINUTE_MS
    machine.run(SECOND_MS)
    assert machine.sums().landing_clicks == 1


def test_a_segment_that_comes_back_is_not_counted_twice(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id)
    machine.view(click_id)
    machine.press(machine.visit(recorded=False))
    machine.settle()
    for path in (machine.folder / "settled" / PAGE_EVENTS_STREAM).glob("*/*.ndjson"):
        path.rename(machine.journal / PAGE_EVENTS_STREAM / path.parent.name / path.name)
    machine.start_core()
    machine.settle()
    assert (machine.sums().landing_clicks, machine.sums().landing_views) == (1, 1)
    assert len(machine.facts.waiting_page_events("", 10)) == 1
    assert len(machine.facts.find_page_events([click_id])[click_id]) == 2


def test_a_record_that_is_no_page_event_is_damage_and_the_others_count(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id, closed=False)
    machine.page_events.append(b'{"event_id":"x","at":1,"kind":"landing_click","click_id":"y","events":{"1":1e99}}')
    machine.page_events.append(b'{"at":"no event"}')
    machine.page_events.close_segment()
    machine.settle()
    assert machine.sums().landing_clicks == 1
    assert [damage.kind for damage in machine.damages] == [DamageKind.UNREADABLE] * 2


def test_what_a_dead_writer_left_open_is_settled(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id, closed=False)
    path = machine.page_events.path
    machine.page_events.close()
    event = {"event_id": "z", "at": NOW, "kind": "landing_view", "click_id": click_id}
    (path / "00000002.open").write_bytes(record_line(msgspec.json.encode(event)))
    machine.settle()
    assert (machine.sums().landing_clicks, machine.sums().landing_views) == (1, 1)


def test_a_large_segment_is_loaded_in_parts_and_each_event_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling_page_events, "EVENTS_PER_LOAD", 10)
    click_ids = [machine.visit() for _ in range(5)]
    for number in range(57):
        machine.press(click_ids[number % 5], closed=False, button=1 + number % 3)
    machine.page_events.close_segment()
    machine.settle()
    assert machine.sums().landing_clicks == 15


def test_old_clicks_are_deleted_with_their_page_events(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id)
    machine.settle()
    machine.facts.delete_clicks(NOW + DAY_MS)
    assert machine.facts.find_page_events([click_id]) == {}
    assert machine.sums().landing_clicks == 0


def test_ten_thousand_events_of_a_click_are_settled_and_a_look_up_returns_the_newest(machine: Machine) -> None:
    click_id = machine.visit()
    for _ in range(10_000):
        machine.happen(click_id, closed=False, kind=PageEventKind.EVENT, events={1: 1_000_000})
    machine.now += 1
    machine.happen(click_id, kind=PageEventKind.EVENT, events={2: 5})
    machine.settle()
    machine.settle()
    assert machine.sums().events == 10_001
    events = machine.facts.find_page_events([click_id], most=50)[click_id]
    assert (len(events), events[-1].events) == (50, {2: 5})
