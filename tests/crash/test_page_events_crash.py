"""Settling of page events killed or failing at calls of any kind: every event is in the facts once, and every button counts once."""

import random
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.click_id import ClickIds
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.segment import PAGE_EVENTS_STREAM, record_line
from clickloop.store.journal.writer import JournalWriter
from tests.crash.injection import KILLED, Forking, forking, places
from tests.crash.page_events_child import settle_all
from tests.store.counting import sums_of

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("page_events_child.py")
NOON = 1_760_000_000_000
EVERY_NTH = {"signal=KILL": 3, "error=EIO": 12, "error=ENOSPC": 12}
CLICKS = 4
_ids = ClickIds(b"k" * 32)


class Expected(msgspec.Struct):
    """The events that must be in the facts, by click, and the numbers that must be counted."""

    events: dict[str, list[str]]
    landing_clicks: int
    landing_views: int


def a_journal(folder: Path) -> Expected:
    """Write clicks and page events of dead writers: one segment closed, one not, each button pressed twice, a record that is no event."""
    clicks = [Click(click_id=_ids.new(NOON + at), at=NOON, campaign_id=1, source_id=1) for at in range(CLICKS)]
    first = JournalWriter.open(folder / "journal", "clicks", "edge-0")
    for click in clicks:
        first.append(msgspec.json.encode(click))
    first.close()
    events: dict[str, list[str]] = {click.click_id: [] for click in clicks}
    writer = JournalWriter.open(folder / "journal", PAGE_EVENTS_STREAM, "edge-0")
    for number in range(12):
        click_id = clicks[number % CLICKS].click_id
        kind = PageEventKind.LANDING_VIEW if number < CLICKS else PageEventKind.LANDING_CLICK
        event = PageEvent(event_id=f"e{number:02d}", at=NOON + number, kind=kind, click_id=click_id, button=1)
        events[click_id].append(event.event_id)
        writer.append(msgspec.json.encode(event))
        if number == 8:
            writer.append(b'{"at":"no event"}')
            writer.close_segment()
    writer.close()
    last = PageEvent(event_id="last", at=NOON + 99, kind=PageEventKind.LANDING_VIEW, click_id=clicks[0].click_id)
    events[clicks[0].click_id].append("last")
    (writer.path / "00000003.open").write_bytes(record_line(msgspec.json.encode(last)))
    return Expected(events, landing_clicks=CLICKS, landing_views=CLICKS + 1)


def check_facts(folder: Path, expected: Expected, place: str) -> None:
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    found = facts.find_page_events(expected.events)
    assert {click_id: [event.event_id for event in events] for click_id, events in found.items()} == expected.events, (
        place
    )
    sums = sums_of(facts)
    assert (sums.landing_clicks, sums.landing_views) == (expected.landing_clicks, expected.landing_views), place
    assert sums.clicks == CLICKS, place
    assert facts.waiting_page_events("", 100) == [], place
    facts.close()
    assert list((folder / "journal").rglob("*.ndjson")) == [], place


def drawn(counts: Counter[str], every: int) -> list[tuple[str, int]]:
    """Every so many of the calls of each name, from a first one that is drawn, and the last of each name."""
    first = random.randrange(every)
    print(f"calls whose number leaves {first} when divided by {every}")
    return [(name, number) for name, number in places(counts) if number % every == first or number == counts[name]]


def test_undisturbed_every_event_is_settled_once(tmp_path: Path) -> None:
    expected = a_journal(tmp_path)
    assert settle_all(tmp_path) == ["unreadable"]
    check_facts(tmp_path, expected, "undisturbed")


@pytest.mark.parametrize("fault", EVERY_NTH)
def test_disturbed_at_a_call_of_any_kind_every_event_is_settled_once(tmp_path: Path, fault: str) -> None:
    template = tmp_path / "template"
    template.mkdir()
    expected = a_journal(template)
    shutil.copytree(template, tmp_path / "whole")
    children: Queue[Forking] = Queue()

    def disturb(at: tuple[str, int]) -> None:
        name, number = at
        folder = tmp_path / f"{name}-{number}"
        shutil.copytree(template, folder)
        child = children.get()
        run = child.run([str(folder)], [f"{name}:{fault}:when={number}"])
        children.put(child)
        place = f"{fault} at {name} {number}: {run}"
        if fault == "signal=KILL":
            assert run.code == KILLED, place
        settle_all(folder)
        check_facts(folder, expected, place)
        shutil.rmtree(folder)

    with (
        forking(CHILD, tmp_path / "one") as child,
        forking(CHILD, tmp_path / "other") as other,
        ThreadPoolExecutor(2) as pool,
    ):
        counts = child.call_counts([str(tmp_path / "whole")], tmp_path / "trace")
        assert {"rename", "fsync", "pwrite64"} <= set(counts)
        children.put(child)
        children.put(other)
        list(pool.map(disturb, drawn(counts, EVERY_NTH[fault])))
