"""Alarms: each process writes its own, any process reads all of them, and they can be written on a full disk."""

import os
import subprocess
from pathlib import Path

import pytest

from clickloop.alarm.alarms import MAX_PER_SOURCE, Alarm, Alarms, delete_alarms, disk_alarms, read_alarms
from tests.crash.test_faults import kept_full, mounted

NOW = 1_772_366_400_000


def sentences(folder: Path) -> list[str]:
    return [alarm.sentence for alarm in read_alarms(folder, NOW)]


def test_alarms_of_all_sources_and_processes_are_read_and_go_with_their_cause(tmp_path: Path) -> None:
    core, edge = Alarms(tmp_path), Alarms(tmp_path, "edge1")
    assert sentences(tmp_path) == []
    assert core.report("audit", ["a"])
    assert not core.report("audit", ["a"])
    core.report("paused", ["b", "c"])
    edge.report("losses", ["d"])
    assert sentences(tmp_path) == ["a", "b", "c", "d"]
    core.report("audit", [])
    assert sentences(tmp_path) == ["b", "c", "d"]
    assert [alarm.sentence for alarm in read_alarms(tmp_path, NOW, but="edge1")] == ["b", "c"]
    delete_alarms(tmp_path)
    assert sentences(tmp_path) == []


def test_alarms_that_cannot_be_read_are_an_alarm(tmp_path: Path) -> None:
    Alarms(tmp_path).report("audit", ["a"])
    (tmp_path / "run" / "alarms.core.json").write_bytes(b"{")
    (alarm,) = read_alarms(tmp_path)
    assert alarm.code == "alarms_unreadable"
    assert "run/alarms.core.json" in alarm.sentence


def test_a_source_has_a_bounded_number_of_alarms_of_bounded_length(tmp_path: Path) -> None:
    Alarms(tmp_path).report("audit", ["x" * 100_000] * 100)
    found = read_alarms(tmp_path)
    assert len(found) == MAX_PER_SOURCE
    assert all(len(alarm.sentence) <= 1_000 for alarm in found)


def test_an_alarm_keeps_its_beginning_while_the_numbers_in_it_change(tmp_path: Path) -> None:
    now = [NOW]
    alarms = Alarms(tmp_path, clock=lambda: now[0])
    alarms.report("paused", ["receiver 127.0.0.1:8 is paused: 5 postbacks wait"])
    now[0] += 60_000
    alarms.report("paused", ["receiver 127.0.0.1:8 is paused: 7 postbacks wait", "receiver 127.0.0.2:8 is paused"])
    assert [alarm.since for alarm in read_alarms(tmp_path)] == [NOW, NOW + 60_000]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("220 postbacks wait", "221 postbacks wait", True),
        ("silent for 31 s", "silent for 1,000 s", False),
        ("receiver 127.0.0.1:80", "receiver 127.0.0.2:80", False),
        ("receiver a.example:80", "receiver a.example:81", False),
        ("since 2026-01-01", "since 2026-01-02", False),
        (
            "postback rule 1 'R' is paused; postbacks waiting: 1",
            "postback rule 1 'R' is paused; postbacks waiting: 2",
            True,
        ),
        ("postback rule 1 'R' is paused", "postback rule 2 'R' is paused", False),
    ],
)
def test_a_number_that_stands_alone_makes_no_other_alarm(one: str, other: str, same: bool) -> None:
    assert (Alarm(code="x", sentence=one).key == Alarm(code="x", sentence=other).key) is same


def test_an_alarm_with_an_end_is_gone_after_it_also_when_the_clock_was_ahead(tmp_path: Path) -> None:
    Alarms(tmp_path, "edge1").set("losses", [Alarm(code="x", sentence="a", expires_at=NOW + 1_000)])
    assert [alarm.code for alarm in read_alarms(tmp_path, NOW)] == ["x"]
    assert read_alarms(tmp_path, NOW + 1_001) == ()
    assert read_alarms(tmp_path, NOW - 86_400_000) == ()


@pytest.mark.crash
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_on_a_full_disk_alarms_are_still_written(tmp_path: Path, kind: str) -> None:
    with mounted(tmp_path / "disk", kind, 16) as disk:
        alarms = Alarms(disk)
        alarms.report("audit", [])
        with kept_full(disk):
            alarms.report("audit", ["the disk is full"])
            assert sentences(disk) == ["the disk is full"]
            alarms.report("audit", ["x" * 1_000] * MAX_PER_SOURCE)
            assert 1 <= len(read_alarms(disk)) <= MAX_PER_SOURCE  # all of them, if a block became free for a moment
        assert subprocess.run(["ls", str(disk / "run")], capture_output=True, text=True, check=True).stdout.split() == [
            "alarms.core.json"
        ]


def test_an_alarm_that_names_the_moment_of_each_start_stays_one_alarm() -> None:
    first, second = (
        Alarm(code="clock", sentence=f"at its start the clock said {moment}, {days} days after the last sign of life")
        for moment, days in (("2026-11-30T03:35:18.019Z", 60), ("2026-12-01T04:00:00Z", 61))
    )
    assert first.key == second.key
    assert first.key != Alarm(code="clock", sentence="the clock jumped back to 2026-11-30T03:35:18.019Z").key


@pytest.mark.crash
@pytest.mark.parametrize("kind", ["bytes", "files"])
def test_a_disk_that_runs_out_of_bytes_or_of_files_is_an_alarm(tmp_path: Path, kind: str) -> None:
    with mounted(tmp_path / "disk", "ext4", 8) as disk:
        assert disk_alarms(disk) == ()
        state = os.statvfs(disk)
        if kind == "bytes":
            (disk / "large").write_bytes(bytes(int(state.f_bavail * state.f_frsize * 0.95)))
        else:
            for number in range(int(state.f_favail * 0.95)):
                (disk / str(number)).touch()
        (alarm,) = disk_alarms(disk)
    assert alarm.code == "disk_low"
    assert ("inodes" in alarm.sentence) == (kind == "files")
