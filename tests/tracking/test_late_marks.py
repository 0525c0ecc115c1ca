"""Late marks: fast presses and missing views, judged once everything up to a moment is settled, each click once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clickloop.click.marks.landing_views import ReportedViews
from clickloop.click.marks.late_marks import LateThresholds, late_marks, late_thresholds
from clickloop.click.marks.mark_correction import LATE
from clickloop.click.marks.marked_click import MarkedClick
from clickloop.clock import DAY_MS, SECOND_MS
from clickloop.config import Settings
from clickloop.setup.instance import startup_settings
from clickloop.setup.mark import Mark, MarkSetting, marks_in_force
from clickloop.tracking.marks.late_marks import LateMarks
from clickloop.tracking.marks.rules import MarkRules
from tests.store.counting import sums_of
from tests.tracking.page_events_machine import LANDING, Machine

OTHER = 77
_PLAIN = startup_settings(Settings())


class Watched(Machine):
    """A machine with the worker of late marks."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.rules = MarkRules(instance=_PLAIN, campaigns={})
        self.start_worker()

    def start_worker(self) -> None:
        self.late = LateMarks(
            self.facts, lambda: self.rules, (lambda: self.progress.settled_to, self._pages_settled_to), lambda: self.now
        )

    def _pages_settled_to(self) -> int | None:
        return self.landing_clicks.progress.settled_to

    def wait(self, seconds: int) -> None:
        """Let time pass, settle everything and judge it."""
        self.now += seconds * SECOND_MS
        self.settle_clicks()
        self.settle_page_events()
        for _ in range(3):  # two listings without a segment prove that everything is settled
            self.now += SECOND_MS
            self.progress.look()
            self.landing_clicks.progress.look()
        while self.late.step():
            pass

    def marks(self, click_id: str) -> str:
        return self.facts.find_clicks([click_id])[click_id].marks


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    seen = made.visit(landing_id=LANDING)
    made.view(seen)
    made.now += DAY_MS
    yield made
    made.facts.close()
    made.ledger.close()


def test_a_click_whose_landing_reports_no_view_is_marked_once_its_time_is_over(machine: Watched) -> None:
    lost, seen, late = machine.visit(), machine.visit(), machine.visit()
    machine.now += SECOND_MS
    machine.view(seen)
    machine.wait(61)
    assert machine.marks(lost) == ""
    machine.view(late)
    machine.wait(90)
    assert [machine.marks(click_id) for click_id in (lost, seen, late)] == ["no_view", "", "no_view"]
    assert [one.job_id for one in machine.facts.marks.history(lost)] == [LATE]
    sums = sums_of(machine.facts)
    assert (sums.clicks, sums.clean_clicks, sums.landing_views) == (4, 2, 3)


def test_a_clock_that_was_ahead_for_a_while_leaves_no_clicks_unjudged(machine: Watched) -> None:
    machine.now += DAY_MS
    machine.wait(1)
    machine.now -= DAY_MS
    lost = machine.visit()
    machine.wait(180)
    assert machine.marks(lost) == "no_view"


def test_a_landing_whose_script_never_reported_a_view_marks_nobody(machine: Watched) -> None:
    unknown, directly = machine.visit(landing_id=OTHER), machine.visit(landing_id=0)
    machine.wait(200)
    assert [machine.marks(click_id) for click_id in (unknown, directly)] == ["", ""]


def test_a_button_pressed_faster_than_people_can_is_marked_by_the_time_since_the_view(machine: Watched) -> None:
    fast, slow, reloaded, at_once = (machine.visit() for _ in range(4))
    machine.press(at_once)
    machine.now += 700
    for click_id in (fast, slow, reloaded):
        machine.view(click_id)
    machine.now += 799
    machine.press(fast)
    machine.now += 1
    machine.press(slow)
    machine.now += 50 * SECOND_MS
    machine.view(reloaded)
    machine.press(reloaded)
    machine.wait(200)
    assert [machine.marks(click_id) for click_id in (fast, slow, reloaded)] == ["fast_click", "", "fast_click"]
    assert machine.marks(at_once) == "fast_click,no_view"


def test_a_press_hours_later_is_still_judged_and_what_was_judged_is_not_judged_again(machine: Watched) -> None:
    click_id = machine.visit()
    machine.wait(200)
    assert machine.marks(click_id) == "no_view"
    machine.now += 5 * 3600 * SECOND_MS
    machine.view(click_id)
    machine.press(click_id)
    machine.rules = MarkRules(instance=_PLAIN, campaigns={3: (MarkSetting(Mark.NO_VIEW, False),)})
    machine.start_worker()
    machine.wait(200)
    assert machine.marks(click_id) == "fast_click,no_view"


def test_switches_and_thresholds_of_the_campaign_go_before_the_instances(machine: Watched) -> None:
    machine.rules = MarkRules(
        instance=_PLAIN, campaigns={3: (MarkSetting(Mark.NO_VIEW, False),), 4: (MarkSetting(Mark.NO_VIEW, True, 500),)}
    )
    off, long, usual = machine.visit(), machine.visit(campaign_id=4), machine.visit(campaign_id=5)
    machine.wait(300)
    assert [machine.marks(click_id) for click_id in (off, long, usual)] == ["", "", "no_view"]
    machine.wait(400)
    assert [machine.marks(click_id) for click_id in (off, long, usual)] == ["", "no_view", "no_view"]


def test_nothing_is_judged_while_segments_are_not_settled(machine: Watched) -> None:
    click_id = machine.visit()
    machine.settle_clicks()
    machine.view(click_id)  # its segment is not settled: the view came in time
    machine.now += 300 * SECOND_MS
    for _ in range(3):
        machine.now += SECOND_MS
        machine.progress.look()
        machine.landing_clicks.progress.look()
        machine.late.step()
    assert machine.marks(click_id) == ""
    machine.wait(100)
    assert machine.marks(click_id) == ""


def test_marks_of_a_click_that_does_not_count_are_left_alone(machine: Watched) -> None:
    click_id = machine.visit(screening="test")
    machine.press(click_id)
    machine.wait(200)
    assert machine.marks(click_id) == ""


def test_late_marks_are_a_pure_decision() -> None:
    on = late_thresholds(marks_in_force((), ()))
    assert on == LateThresholds(800, 60_000)
    click = MarkedClick._make(["id", 1_000, 1, 2, 5, *[""] * 13, 0, "", "", None, None])
    for viewed_at, pressed_ms, has_script, expected in (
        (None, None, True, {Mark.NO_VIEW}),
        (None, None, False, set()),
        (61_000, 800, True, set()),
        (61_001, 799, True, {Mark.NO_VIEW, Mark.FAST_CLICK}),
    ):
        visited = click._replace(viewed_at=viewed_at, pressed_ms=pressed_ms)
        assert late_marks(visited, on, has_script=has_script) == expected
    assert late_marks(click, LateThresholds(), has_script=True) == set()


def test_a_landing_reports_views_if_one_came_within_a_week_before() -> None:
    views = ReportedViews()
    views.add({(5, 100): 100 * DAY_MS + 9})
    views.add({(5, 100): 100 * DAY_MS + 20, (6, 107): 107 * DAY_MS})
    assert not views.had_views(5, 100 * DAY_MS + 9)
    assert views.had_views(5, 100 * DAY_MS + 10)
    assert views.had_views(5, 108 * DAY_MS - 1)
    assert not views.had_views(5, 108 * DAY_MS)
    views.forget(109 * DAY_MS)
    assert not views.had_views(5, 101 * DAY_MS)
    assert views.had_views(6, 109 * DAY_MS)
