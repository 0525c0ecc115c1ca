"""Marks that only the order of clicks shows, from the link to the report."""

from pathlib import Path

import pytest

from clickloop.click.marks.campaign_marks import CampaignMarks
from clickloop.clock import DAY_MS
from clickloop.report.query import Dimension, ReportQuery
from clickloop.setup.instance import InstanceSettings, IpStorage
from clickloop.setup.mark import Mark, MarkSetting
from clickloop.tracking.judging import ClickJudge
from clickloop.tracking.marks.settling import SettlingMarks
from tests.tracking.unique_visits import NOON, Browser, Tracker


class MarkingTracker(Tracker):
    """A tracker that marks clicks as they are settled."""

    def __init__(self, folder: Path, *own: MarkSetting, storage: IpStorage = IpStorage.FULL) -> None:
        super().__init__(folder)
        self.marks = CampaignMarks(InstanceSettings(public_url="", ip_storage=storage), {1: own})
        self.edge.visitors.set_ip_storage(storage)
        self.judge = self.new_judge()

    def new_judge(self) -> ClickJudge:
        return ClickJudge(self.facts, SettlingMarks(self.facts, lambda: self.marks))

    def marks_of(self, *click_ids: str) -> list[str]:
        """Return the marks of settled clicks."""
        found = self.facts.find_clicks(click_ids)
        return [found[click_id].marks for click_id in click_ids]

    def figures(self) -> dict[str, tuple[int, int]]:
        """Return counted and clean clicks by marks, as the report says."""
        day = NOON - NOON % DAY_MS
        query = ReportQuery(from_at=day, until_at=day + 2 * DAY_MS, currency="USD", group_by=(Dimension.MARK,))
        groups = self.facts.report(query, ()).groups
        return {str(group.keys[0]): (group.sums.clicks, group.sums.clean_clicks) for group in groups}


@pytest.fixture
def tracker(tmp_path: Path) -> MarkingTracker:
    return MarkingTracker(tmp_path)


def visits(tracker: MarkingTracker, count: int, step_ms: int = 500, ip: str = "198.51.100.7") -> list[str]:
    """Return the clicks of different browsers at one address."""
    clicks = []
    for number in range(count):
        clicks.append(Browser(tracker, ip, f"Browser {number}", stores_cookies=False).visit())
        tracker.now += step_ms
    return clicks


def test_the_61st_click_of_a_minute_is_marked_in_the_log_and_in_the_report(tracker: MarkingTracker) -> None:
    clicks = visits(tracker, 62)
    tracker.settle()
    marks = tracker.marks_of(*clicks)
    frequent = "unknown_device,frequent_ip,frequent_campaign"
    assert marks == ["unknown_device"] * 60 + [frequent] * 2
    assert tracker.figures() == {"unknown_device": (60, 0), frequent: (2, 0)}


def test_clicks_are_counted_across_batches_and_after_a_restart(tracker: MarkingTracker) -> None:
    visits(tracker, 40)
    tracker.settle()
    visits(tracker, 15)
    tracker.settle()
    tracker.reopen()
    tracker.judge = tracker.new_judge()
    clicks = visits(tracker, 7)
    tracker.settle()
    assert ["frequent_ip" in marks for marks in tracker.marks_of(*clicks)] == [False] * 5 + [True] * 2


def test_a_second_click_at_once_is_a_repeat_and_one_after_two_seconds_is_not(tracker: MarkingTracker) -> None:
    browser = Browser(tracker)
    clicks = []
    for after in (0, 1_000, 3_000):
        tracker.now = NOON + after
        clicks.append(browser.visit())
    tracker.settle()
    assert tracker.marks_of(*clicks) == ["", "repeat", ""]


def test_a_prefetch_does_not_make_the_visit_that_follows_a_repeat(tracker: MarkingTracker) -> None:
    browser = Browser(tracker)
    first = browser.visit(purpose=b"prefetch")
    tracker.now += 300
    second = browser.visit()
    tracker.settle()
    assert tracker.marks_of(first, second) == ["", ""]


def test_the_marks_of_the_request_stay(tracker: MarkingTracker) -> None:
    browser = Browser(tracker, useragent="curl/8.5.0")
    clicks = [browser.visit(), browser.visit()]
    tracker.settle()
    assert tracker.marks_of(*clicks) == ["bot_useragent", "bot_useragent,repeat"]


def test_a_mark_that_is_off_for_the_campaign_is_not_given(tmp_path: Path) -> None:
    tracker = MarkingTracker(tmp_path, MarkSetting(Mark.REPEAT, False))
    own, other = Browser(tracker), Browser(tracker)
    clicks = [own.visit(), own.visit(), other.visit("Camp02"), other.visit("Camp02")]
    tracker.settle()
    assert tracker.marks_of(*clicks) == ["", "", "", "repeat"]


@pytest.mark.parametrize("storage", [IpStorage.SHORTENED, IpStorage.NONE])
def test_neighbours_are_not_taken_for_one_visitor_where_addresses_are_not_stored_whole(
    tmp_path: Path, storage: IpStorage
) -> None:
    tracker = MarkingTracker(tmp_path, storage=storage)
    neighbours = [Browser(tracker, f"198.51.100.{number}") for number in range(70)]
    clicks = [browser.visit() for browser in neighbours]
    again = neighbours[0].visit()
    tracker.settle()
    assert set(tracker.marks_of(*clicks)) == {""}
    assert tracker.marks_of(again) == ["repeat"]


def test_the_clicks_of_several_edges_are_counted_together_in_the_order_of_their_times(tracker: MarkingTracker) -> None:
    other = tracker.new_edge()
    browser = Browser(tracker)
    first = browser.visit(edge=other)
    tracker.now += 500
    second = browser.visit()
    tracker.settle(tracker.edge, other)
    assert sorted(tracker.marks_of(first, second)) == ["", "repeat"]
