"""Page events in every store of facts: added whole or not at all, found by their click, and in files of older versions."""

from pathlib import Path
from typing import cast

import duckdb
import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.click_id import ClickIds
from clickloop.report.page_event_fact import page_event_facts
from clickloop.store.facts.facts import FactsError, FactsStore, WaitingPageEvent
from clickloop.store.journal.segment import Segment, SegmentContents, closed_segment_bytes
from tests.empty_stores import open_facts
from tests.store.counting import sums_of

NOON = 1_760_000_000_000
CLICK = Click(click_id=ClickIds(b"k" * 32).new(NOON), at=NOON, campaign_id=1, source_id=2, offer_id=4)


def load_click(facts: FactsStore, folder: Path, click: Click = CLICK) -> None:
    path = folder / "00000001.ndjson"
    path.write_bytes(closed_segment_bytes(1, [msgspec.json.encode(click)[:-1] + b',"crc":1}']))
    segment = Segment(path, "clicks", "writer", 1, path.stat().st_size)
    facts.load_clicks([SegmentContents(segment, 1)])


def an_event(event_id: str = "e", kind: PageEventKind = PageEventKind.LANDING_VIEW) -> PageEvent:
    return PageEvent(event_id=event_id, at=NOON, kind=kind, click_id=CLICK.click_id, button=1)


def test_rows_segments_and_waiting_events_are_added_together_or_not_at_all(tmp_path: Path) -> None:
    facts = open_facts(tmp_path / "facts.duckdb")
    load_click(facts, tmp_path)
    (row,) = page_event_facts(an_event(), "", is_repeated=False)
    nameless = cast("str", None)  # the last thing to be written fails
    with pytest.raises(FactsError):
        facts.load_page_events([row], [WaitingPageEvent(an_event("w"), NOON)], (), ["page-events/a/1", nameless])
    assert sums_of(facts).landing_views == 0
    assert facts.waiting_page_events("", 10) == []
    assert not facts.has_loaded("page-events/a/1")
    before = facts.loads()
    facts.load_page_events([row], [WaitingPageEvent(an_event("w"), NOON)], (), ["page-events/a/1"])
    assert [one.event.event_id for one in facts.waiting_page_events("", 10)] == ["w"]
    assert (facts.has_loaded("page-events/a/1"), sums_of(facts).landing_views) == (True, 1)
    assert facts.loads() == before + 1
    facts.close()


def test_what_is_known_of_events_is_their_clicks_presses_and_ids(tmp_path: Path) -> None:
    facts = open_facts(tmp_path / "facts.duckdb")
    load_click(facts, tmp_path)
    press = an_event("p", PageEventKind.LANDING_CLICK)
    facts.load_page_events(page_event_facts(press, "", is_repeated=False), [WaitingPageEvent(an_event("w"), 1)], ())
    known = facts.known_of_page_events([press, an_event("w"), an_event("new")])
    assert known.screenings == {CLICK.click_id: ""}
    assert known.pressed == {(CLICK.click_id, 1)}
    assert known.event_ids == {"p", "w"}
    facts.close()


def test_forgetting_conversions_keeps_page_events(tmp_path: Path) -> None:
    facts = open_facts(tmp_path / "facts.duckdb")
    load_click(facts, tmp_path)
    facts.load_page_events(page_event_facts(an_event(), "", is_repeated=False), (), ())
    facts.forget_conversions(0)
    assert sums_of(facts).landing_views == 1
    facts.close()


def test_a_file_from_before_page_events_gets_their_columns_and_its_clicks_are_offer_visits(tmp_path: Path) -> None:
    path = tmp_path / "facts.duckdb"
    facts = open_facts(path)
    load_click(facts, tmp_path)
    facts.close()
    with duckdb.connect(str(path)) as database:
        database.execute("DROP TABLE waiting_page_events")
        for column in ("landing_views", "landing_clicks", "offer_visits", "events", "event_id", "cost_entry_id"):
            database.execute(f"ALTER TABLE facts DROP COLUMN {column}")
    facts = open_facts(path)
    sums = sums_of(facts)
    assert (sums.clicks, sums.offer_visits, sums.landing_clicks) == (1, 1, 0)
    facts.load_page_events(page_event_facts(an_event(), "", is_repeated=False), (), ())
    assert sums_of(facts).landing_views == 1
    facts.close()


def test_landing_clicks_are_summed_by_landing_with_those_of_old_click_ids(tmp_path: Path) -> None:
    facts = open_facts(tmp_path / "facts.duckdb")
    load_click(facts, tmp_path, msgspec.structs.replace(CLICK, landing_id=7))
    for name, kind, flags in (
        ("new", PageEventKind.LANDING_CLICK, ""),
        ("old", PageEventKind.LANDING_CLICK, "old_click_id"),
        ("view", PageEventKind.LANDING_VIEW, ""),
    ):
        event = msgspec.structs.replace(an_event(name, kind), flags=flags)
        facts.load_page_events(page_event_facts(event, "", is_repeated=False), (), ())
    (seen,) = facts.recent_landing_clicks(NOON)
    assert (seen.landing_id, seen.landing_clicks, seen.with_old_click_id) == (7, 2, 1)
    assert facts.recent_landing_clicks(NOON, campaign_id=1) == [seen]
    assert facts.recent_landing_clicks(NOON, campaign_id=9) == []
    assert facts.recent_landing_clicks(NOON + 1) == []
    facts.close()
