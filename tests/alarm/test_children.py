"""Alarms about the supervisor's children: crash loops, silence, and descriptors running out."""

import os
import resource
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

from clickloop.alarm.children import CRASHES, ChildAlarms, descriptors_alarm
from clickloop.alarm.heartbeat import Heartbeat
from clickloop.alarm.vital_signs import Patience


class Child:
    """A child without a process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.deaths_at: deque[float] = deque(maxlen=20)
        self.pid: int | None = None


class Watched:
    """Two children with a fake clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.children = {name: Child(name) for name in ("core", "edge1")}
        self.hearts = {name: Heartbeat(folder, name) for name in self.children}
        self.alarms = ChildAlarms(folder, list(self.children.values()), Patience(30.0), lambda: self.now)

    def codes(self) -> list[str]:
        return [alarm.code for alarm in self.alarms.look()]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.mark.parametrize(("name", "code"), [("core", "core_crash_loop"), ("edge1", "edge_crash_loop")])
def test_a_child_that_dies_again_and_again_is_an_alarm_until_it_lives_for_a_minute(
    watched: Watched, name: str, code: str
) -> None:
    for _ in range(CRASHES - 1):
        watched.now += 0.1
        watched.children[name].deaths_at.append(watched.now)
    assert watched.codes() == []
    watched.children[name].deaths_at.append(watched.now)
    assert watched.codes() == [code]
    watched.now += 29
    assert watched.codes() == [code]
    watched.now += 32
    assert code not in watched.codes()


def test_deaths_that_are_hours_apart_are_no_alarm(watched: Watched) -> None:
    for _ in range(20):
        watched.now += 3600
        watched.children["core"].deaths_at.append(watched.now)
        assert "core_crash_loop" not in watched.codes()


def test_an_edge_without_a_sign_of_life_is_an_alarm_and_the_core_is_left_to_the_vital_signs(watched: Watched) -> None:
    watched.now = 30.0
    assert watched.codes() == ["edge_silent"]
    watched.hearts["edge1"].beat()
    assert watched.codes() == []


def test_a_process_with_nearly_all_descriptors_open_is_an_alarm_that_names_the_limit() -> None:
    program = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert descriptors_alarm("core", process.pid) is None
        used = len(os.listdir(f"/proc/{process.pid}/fd"))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used, 1000))
        alarm = descriptors_alarm("core", process.pid)
        process.kill()
    assert alarm is not None
    assert f"{used} of {used} file descriptors" in alarm.sentence


def test_of_a_process_that_is_gone_nothing_is_said() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert descriptors_alarm("core", process.pid) is None
