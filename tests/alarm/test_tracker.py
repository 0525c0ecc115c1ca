"""The alarm tracker: a message when an alarm begins and when it ends, a daily reminder, and never a flood."""

from itertools import count
from pathlib import Path

import pytest

from clickloop.alarm.alarms import Alarm
from clickloop.alarm.tracker import MAX_MESSAGES_PER_HOUR, AlarmMessage, AlarmTracker
from clickloop.alarm.vital_signs import Patience

NOW_MS = 1_772_366_400_000
LAG = Alarm(code="journal_lag", sentence="The journal is 61 s behind.", since=NOW_MS - 61_000)
DAY = 86_400


class Run:
    """A tracker with fake clocks, updated every second, or rarely while nothing changes."""

    def __init__(self) -> None:
        ids = count(1)
        self.now = 0.0
        self.jump_ms = 0
        self.tracker = AlarmTracker(Patience(30.0), lambda: f"m{next(ids)}")

    def wall(self) -> int:
        return NOW_MS + round(self.now * 1000) + self.jump_ms

    def passes(self, seconds: float, *alarms: Alarm, step: float = 1.0) -> list[AlarmMessage]:
        messages: list[AlarmMessage] = []
        until = self.now + seconds
        while self.now < until:
            self.now += step
            messages += self.tracker.update(alarms, self.now, self.wall())
        return messages

    def states(self, seconds: float, *alarms: Alarm, step: float = 1.0) -> list[str]:
        return [message.state for message in self.passes(seconds, *alarms, step=step)]


@pytest.fixture
def run() -> Run:
    return Run()


def test_an_alarm_is_told_once_when_it_has_stood_for_some_seconds(run: Run) -> None:
    assert run.states(5, LAG) == []
    (message,) = run.passes(600, LAG)
    assert (message.code, message.state, message.since) == ("journal_lag", "begun", LAG.since)
    assert message.sentence == LAG.sentence


def test_what_passes_by_itself_is_not_told(run: Run) -> None:
    assert run.states(4, LAG) == []
    assert run.states(600) == []
    assert run.tracker.tracked == {}


def test_its_end_is_told_once_when_it_has_been_gone_for_a_minute(run: Run) -> None:
    run.passes(10, LAG)
    assert run.states(59) == []
    assert run.states(600) == ["ended"]


def test_a_gap_shorter_than_that_is_no_end(run: Run) -> None:
    run.passes(10, LAG)
    assert run.states(50) == []
    assert run.states(50, LAG) == []
    assert run.states(50) == []


def test_a_growing_backlog_is_one_alarm(run: Run) -> None:
    messages = []
    for number in range(100):
        messages += run.passes(1, Alarm(code="paused", sentence=f"a.example is paused: {number} postbacks wait"))
    assert [message.state for message in messages] == ["begun"]


def test_it_is_reminded_of_once_a_day(run: Run) -> None:
    assert run.states(3 * DAY + 3600, LAG, step=60) == ["begun", "standing", "standing", "standing"]


@pytest.mark.parametrize("jump_ms", [60 * DAY * 1000, -60 * DAY * 1000])
def test_a_clock_that_jumps_costs_one_reminder_at_most(run: Run, jump_ms: int) -> None:
    run.passes(10, LAG)
    run.jump_ms = jump_ms
    assert run.states(3600, LAG, step=10) == ["standing"]


def test_what_comes_and_goes_is_told_less_and_less(run: Run) -> None:
    messages = []
    for _ in range(6 * 60):
        messages += run.passes(30, LAG, step=5)
        messages += run.passes(30, step=5)
    assert [message.state for message in messages] == ["begun"]
    messages = []
    for _ in range(24):
        messages += run.passes(100, LAG, step=5)
        messages += run.passes(100, step=5)
    assert len(messages) <= 4


def test_there_is_never_a_storm(run: Run) -> None:
    many = [Alarm(code="paused", sentence=f"receiver r{number}.example is paused") for number in range(400)]
    messages = run.passes(3599, *many, step=5)
    assert len(messages) == MAX_MESSAGES_PER_HOUR
    assert [message.code for message in messages].count("many_alarms") == 1
    assert messages[-1].sentence.startswith("381 more")


def test_what_was_told_before_a_restart_is_not_told_again_and_its_end_is(run: Run, tmp_path: Path) -> None:
    run.passes(10, LAG)
    again = Run()
    again.tracker.tracked.update(run.tracker.tracked)
    assert again.states(100, LAG) == []
    assert again.states(100) == ["ended"]


def test_memory_is_bounded(run: Run) -> None:
    for number in range(10):
        alarms = [Alarm(code="x", sentence=f"r{number}-{one}.example") for one in range(400)]
        run.passes(10, *alarms, step=5)
        run.passes(2000, step=50)
    assert len(run.tracker.tracked) < 1_000
