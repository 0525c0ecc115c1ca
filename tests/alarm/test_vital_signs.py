"""Vital signs: whenever settling stops there is an alarm within a minute; a clock that jumps neither raises nor hides one."""

import os
import resource
from pathlib import Path

import pytest

from clickloop.alarm.heartbeat import Heartbeat, read_beat
from clickloop.alarm.vital_signs import LOOK_SECONDS, Patience, VitalSigns
from clickloop.config import Settings

NOW_MS = 1_772_366_400_000
PATIENCE = Patience(30.0)


class Watched:
    """A watched data folder with a core's heartbeat and fake clocks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1000.0
        self.jump_ms = 0
        self.heart = Heartbeat(folder, "core")
        self.steps = {"click processing": 1, "notice processing": 1}
        self.marks = 0
        self.beat()
        self.signs = VitalSigns(folder, PATIENCE, lambda: self.now, self.clock)

    def clock(self) -> int:
        return NOW_MS + round((self.now - 1000.0) * 1000) + self.jump_ms

    def beat(self) -> None:
        self.heart.beat(self.steps)
        self.marks += 1  # two beats within one tick of the file system's clock would look alike
        os.utime(self.folder / "run" / "heartbeat.core", ns=(self.marks, self.marks))

    def segment(self, name: str = "00000001.ndjson") -> Path:
        path = self.folder / "journal" / "notices" / "edge1.x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}")
        os.utime(path, ns=(self.clock() * 1_000_000,) * 2)
        return path

    def passes(self, seconds: float, *, beats: bool, works: bool = True) -> None:
        """Let time pass second by second, with or without heartbeats of the core and progress of its workers."""
        for _ in range(round(seconds)):
            self.now += 1.0
            if beats:
                if works:
                    self.steps = {name: steps + 20 for name, steps in self.steps.items()}
                self.beat()
            self.signs.look()

    def codes(self) -> list[str]:
        return sorted({alarm.code for alarm in self.signs.look() if not alarm.code.startswith("disk")})


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_core_that_beats_and_works_raises_no_alarm(watched: Watched) -> None:
    watched.passes(600, beats=True)
    assert watched.codes() == []


def test_a_core_without_a_sign_of_life_is_an_alarm_and_its_return_ends_it(watched: Watched) -> None:
    watched.passes(29, beats=False)
    assert watched.codes() == []
    watched.passes(1, beats=False)
    assert watched.codes() == ["core_silent"]
    watched.passes(1, beats=True)
    assert watched.codes() == []


def test_a_core_that_never_beat_at_all_is_an_alarm(tmp_path: Path) -> None:
    now = [0.0]
    signs = VitalSigns(tmp_path, PATIENCE, lambda: now[0], lambda: NOW_MS)
    signs.look()
    now[0] = 30.0
    assert "core_silent" in {alarm.code for alarm in signs.look()}


def test_a_worker_that_finishes_no_round_is_an_alarm_that_names_it_though_the_core_beats(watched: Watched) -> None:
    watched.passes(5, beats=True)
    watched.passes(30, beats=True, works=False)
    (stuck, _) = [alarm for alarm in watched.signs.look() if alarm.code == "settling_stuck"]
    assert stuck.sentence.startswith("Click processing has made no progress for 30 s")
    watched.passes(1, beats=True)
    assert watched.codes() == []


def test_when_a_stopped_core_goes_on_its_workers_have_their_patience_anew(watched: Watched) -> None:
    watched.passes(5, beats=True)
    watched.passes(100, beats=False)
    watched.passes(1, beats=True, works=False)
    assert watched.codes() == []


def test_a_journal_that_is_behind_is_an_alarm_until_it_is_settled(watched: Watched) -> None:
    path = watched.segment()
    watched.passes(44, beats=True)
    assert watched.codes() == []
    watched.passes(2, beats=True)
    assert watched.codes() == ["journal_lag"]
    path.unlink()
    watched.passes(2, beats=True)
    assert watched.codes() == []
    assert watched.signs.journal.seconds == 0.0


def test_one_segment_that_stays_while_others_are_settled_is_an_alarm(watched: Watched) -> None:
    watched.segment()
    for number in range(2, 50):
        path = watched.segment(f"{number:08d}.ndjson")
        watched.passes(1, beats=True)
        path.unlink()
    assert watched.codes() == ["journal_lag"]


@pytest.mark.parametrize("jump_ms", [-3_600_000, 60 * 86_400_000])
def test_a_clock_that_jumps_hides_no_alarm(watched: Watched, jump_ms: int) -> None:
    watched.segment()
    watched.passes(1, beats=True)
    watched.jump_ms = jump_ms
    watched.passes(50, beats=False)
    assert watched.codes() == ["core_silent", "journal_lag"]


@pytest.mark.parametrize("jump_ms", [-3_600_000, 60 * 86_400_000])
def test_a_clock_that_jumps_raises_no_alarm(watched: Watched, jump_ms: int) -> None:
    watched.passes(1, beats=True)
    watched.jump_ms = jump_ms
    watched.passes(100, beats=True)
    assert watched.codes() == []


def test_an_alarm_keeps_the_moment_at_which_it_began(watched: Watched) -> None:
    watched.passes(35, beats=False)
    first = watched.signs.look()[-1]
    watched.passes(30, beats=False)
    assert watched.signs.look()[-1].since == first.since
    assert abs(first.since - NOW_MS) <= 1_000


def test_a_journal_of_many_segments_is_listed_seldom_but_its_age_is_always_known(watched: Watched) -> None:
    watched.segment()
    watched.signs.look()
    watched.signs._lag._listing_seconds = 100.0  # as if listing it had taken so long
    watched.passes(60, beats=True)
    assert watched.signs.journal.seconds == 60.0


def test_a_heartbeat_that_holds_nothing_readable_still_says_that_the_process_lives(tmp_path: Path) -> None:
    heart = Heartbeat(tmp_path, "core")
    path = tmp_path / "run" / "heartbeat.core"
    heart.beat({"a": 1})
    assert read_beat(tmp_path, "core").steps == {"a": 1}
    path.write_bytes(b"\xff" * 10)
    beat = read_beat(tmp_path, "core")
    assert beat.steps == {}
    assert beat.mark > 0
    assert read_beat(tmp_path, "nobody").mark == 0


def test_by_default_every_alarm_is_on_its_way_within_a_minute() -> None:
    patience = Patience(float(Settings().alarm_after_seconds))
    slowest = max(patience.seconds, patience.lag_seconds) + 2 * LOOK_SECONDS + patience.begin_seconds
    assert slowest <= 60


def test_without_a_descriptor_to_list_the_journal_its_age_goes_on_growing(watched: Watched) -> None:
    watched.segment()
    watched.passes(5, beats=True)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        watched.now += 60
        codes = {alarm.code for alarm in watched.signs.look()}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "journal_lag" in codes
