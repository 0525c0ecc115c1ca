"""Judging clicks while settling: exactly once whatever fails in between, and the order in which a tally counts."""

from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from clickloop.click.click import Click
from clickloop.setup.returning import UniqueBy
from clickloop.store.facts.judgements import ClickJudgement, SeenVisitor
from clickloop.store.journal.segment import CLICKS_STREAM
from clickloop.store.journal.writer import JournalWriter
from clickloop.tracking.judging import ClickJudge, ClickLine
from clickloop.tracking.settle import settle_clicks
from clickloop.tracking.take import record_clicks
from tests.tracking.unique_visits import FIRST, HOUR, NOON, SECOND, Browser, Tracker, routes

A, B = "a" * 15, "b" * 15


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    tracker = Tracker(tmp_path)
    yield tracker
    tracker.facts.close()


class NobodySeen:
    """Facts without visitors."""

    def seen_visitors(self, visitors: Collection[int], since: int, until: int) -> list[SeenVisitor]:
        return []


class Counting:
    """A tally that marks every second click of an address."""

    def __init__(self) -> None:
        self.started_before: list[int] = []
        self.counted: list[str] = []

    def start_before(self, at: int) -> None:
        self.started_before.append(at)

    def marks_of(self, click: ClickLine) -> str | None:
        self.counted.append(click.click_id)
        return "repeat" if len(self.counted) % 2 == 0 else None


def line(click_id: str, at: int = NOON, **fields: object) -> bytes:
    return msgspec.json.encode(
        {"click_id": click_id, "at": at, "campaign_id": 1, "unique": True, "visitor": A} | fields
    )


def written(tracker: Tracker, *records: bytes) -> None:
    """Write a closed segment with these records."""
    writer = tracker.edge.clicks
    assert isinstance(writer, JournalWriter)
    for record in records:
        writer.append(record)
    writer.close_segment()


def test_clicks_are_judged_in_the_order_of_their_times_whatever_segment_has_them() -> None:
    judged = ClickJudge(NobodySeen()).judge([("one", [line("late", NOON + 9)]), ("two", [line("early")])])
    assert judged.clicks == (ClickJudgement("late", unique=False),)
    assert judged.seen == (("two", SeenVisitor(int(A, 16), 1, 0, NOON)),)


def test_screened_clicks_make_nobody_known() -> None:
    judged = ClickJudge(NobodySeen()).judge([("one", [line("a", screening="prefetch"), line("b")])])
    assert judged.clicks == ()
    assert [one.at for _, one in judged.seen] == [NOON]


def test_lines_that_are_no_clicks_are_left_to_the_facts() -> None:
    lines = [b"{}", b"nonsense", b'{"at":"no"}', line("a", visitor="not hex"), line("b", visitor="")]
    judged = ClickJudge(NobodySeen()).judge([("one", lines)])
    assert (judged.clicks, judged.seen) == ((), ())


def test_a_line_of_an_earlier_version_stays_as_it_is() -> None:
    judged = ClickJudge(NobodySeen()).judge([("one", [line("a", visitor=""), line("b", visitor="")])])
    assert judged.clicks == ()


def test_a_segment_loaded_by_a_process_that_was_killed_then_is_not_judged_by_its_own_clicks(tracker: Tracker) -> None:
    browser = Browser(tracker, stores_cookies=False)
    ids = [browser.visit(), browser.visit()]
    record_clicks(tracker.edge)
    written(tracker)
    (segment,) = tracker.reader.closed_segments(CLICKS_STREAM)
    contents = tracker.reader.read(segment)
    judgements = tracker.judge.judge([(segment.name, contents.lines)])
    assert tracker.facts.load_clicks([contents], judgements) == 2  # and killed before the segment left the journal
    tracker.reopen()
    tracker.settle()
    assert tracker.unique(*ids) == [True, False]


def test_a_load_that_never_was_committed_is_judged_again_alike(tracker: Tracker) -> None:
    browser = Browser(tracker, stores_cookies=False)
    ids = [browser.visit(), browser.visit()]
    record_clicks(tracker.edge)
    written(tracker)
    (segment,) = tracker.reader.closed_segments(CLICKS_STREAM)
    tracker.judge.judge([(segment.name, tracker.reader.read(segment).lines)])
    tracker.settle()
    assert tracker.unique(*ids) == [True, False]


def test_visitors_of_a_refused_segment_are_not_known_by_its_first_attempt(tracker: Tracker) -> None:
    browser, other = Browser(tracker, stores_cookies=False), Browser(tracker, "203.0.113.1", stores_cookies=False)
    ids = [browser.visit()]
    record_clicks(tracker.edge)
    written(tracker)
    ids += [other.visit(), browser.visit(), other.visit()]
    record_clicks(tracker.edge)
    written(tracker, b'{"at":"no"}')
    batch = settle_clicks(tracker.reader, tracker.facts, judge=tracker.judge)
    assert (batch.clicks, batch.segments, len(batch.damages)) == (4, 2, 1)
    assert tracker.unique(*ids) == [True, True, False, False]


def test_a_tally_counts_every_click_in_order_and_starts_anew_after_a_failed_load() -> None:
    tally = Counting()
    judge = ClickJudge(NobodySeen(), tally)
    batches = [[("one", [line("b", NOON + 1, visitor=B), line("a")])], [("two", [line("c", NOON + 2)])]]
    assert judge.judge(batches[0]).clicks == (ClickJudgement("b", marks="repeat"),)
    judge.loaded()
    assert judge.judge(batches[1]).clicks == ()
    judge.judge(batches[1])  # the load failed: it was not called loaded
    assert tally.counted == ["a", "b", "c", "c"]
    assert tally.started_before == [NOON, NOON + 2]


def test_marks_of_a_judgement_replace_those_of_the_line(tracker: Tracker) -> None:
    tracker.judge = ClickJudge(tracker.facts, Counting())
    browser = Browser(tracker)
    first, second = browser.visit(), browser.visit()
    tracker.settle()
    assert [tracker.click(one).marks for one in (first, second)] == ["", "repeat"]


def test_what_a_click_line_has_beyond_a_click_is_what_the_judge_reads(tracker: Tracker) -> None:
    first = replace(FIRST, unique_within_seconds=60, unique_by=UniqueBy.INSTANCE)
    browser, without = Browser(tracker), Browser(tracker, stores_cookies=False)
    browser.visit("Camp02")
    tracker.now += HOUR
    tracker.edge.routes = routes(first, SECOND)
    browser.visit()
    without.visit()
    record_clicks(tracker.edge)
    written(tracker)
    (segment,) = tracker.reader.closed_segments(CLICKS_STREAM)
    lines = [msgspec.json.decode(line) for line in tracker.reader.read(segment).lines]

    of_a_click = {*Click.__struct_fields__, "crc"}  # the journal's checksum
    assert {name for line in lines for name in line} - of_a_click == {*ClickLine.__struct_fields__} - of_a_click
