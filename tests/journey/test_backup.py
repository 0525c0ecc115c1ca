"""Recovery from a lost disk, step by step: back up, restore, check, release. And copies that were started by mistake."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.journey.running import COMMAND, Receiver, Tracker, eventually, running

pytestmark = pytest.mark.journey
QUEUED = 12


class Day(NamedTuple):
    """A stopped tracker with a backup; its source is down, so that its postbacks wait."""

    tracker: Tracker
    receiver: Receiver
    backup: Path
    said: str


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command of the product, without a terminal."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("backup")
    receiver = Receiver()
    receiver.status = 503
    with running(folder / "data") as tracker:
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}&pid={postback_id}")
        for number in range(QUEUED):
            click_id = tracker.click(campaign.key, f"external_id=v{number}")
            assert tracker.notify(f"cid={click_id}&payout=2&txid=T{number}").status == 200
        eventually(lambda: len(tracker.all_of("conversions")) == QUEUED, told=tracker.log_text)
        done = run("backup", str(folder / "b.tar"), "--data", str(tracker.folder))
        assert done.returncode == 0, done.stderr
        assert tracker.stop() == 0
        yield Day(tracker, receiver, folder / "b.tar", done.stderr)
    receiver.close()


def test_a_backup_says_what_it_holds_and_up_to_when(day: Day) -> None:
    assert (
        f"{QUEUED} clicks, {QUEUED} incoming postbacks, {QUEUED} conversions, {QUEUED} postbacks ({QUEUED} queued)"
        in day.said
    )
    assert "1 campaign, 1 offer" in day.said
    assert "It contains everything up to 20" in day.said


def test_a_backup_can_be_checked_without_restoring(day: Day) -> None:
    checked = run("restore", str(day.backup), "--verify-only")
    assert checked.returncode == 0
    assert "is intact" in checked.stdout


def test_without_a_terminal_it_has_to_be_said_whether_postbacks_may_leave(day: Day, tmp_path: Path) -> None:
    for options in ((), ("--hold-postbacks", "--send-postbacks")):
        refused = run("restore", str(day.backup), "--data", str(tmp_path / "r"), *options)
        assert refused.returncode == 2
        assert "--hold-postbacks" in refused.stderr
        assert not (tmp_path / "r").exists()


def test_restored_and_held_nothing_leaves_until_it_is_released_and_then_each_once(day: Day, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    restored = run("restore", str(day.backup), "--hold-postbacks", "--data", str(target))
    assert restored.returncode == 0, restored.stderr
    assert f"{QUEUED} conversions" in restored.stdout
    assert "clickloop release" in restored.stdout
    day.receiver.status = 200
    before = len(day.receiver.requests)
    with running(target) as tracker:
        assert tracker.got("delivery")["held"]
        campaign = tracker.got("campaigns")["items"][0]["key"]
        click_id = tracker.click(campaign, "external_id=new")
        tracker.notify(f"cid={click_id}&payout=2&txid=new")
        eventually(lambda: len(tracker.all_of("conversions")) == QUEUED + 1, told=tracker.log_text)
        eventually(
            lambda: any("all postbacks are on hold" in alarm["sentence"] for alarm in tracker.got("health")["alarms"])
        )
        assert "All postbacks are on hold" in tracker.command_line("doctor").stdout
        assert len(day.receiver.requests) == before
        for receiver in tracker.got("receivers")["items"]:
            tracker.api("POST", f"receivers/{receiver['receiver']}/resume")
        released = tracker.command_line("release")
        assert f"Released: {QUEUED + 1} postbacks" in released.stdout
        eventually(lambda: len(tracker.all_of("postbacks", state="delivered")) == QUEUED + 1, told=tracker.log_text)
        sent = [request.value("pid") for request in day.receiver.requests[before:]]
        assert len(sent) == len(set(sent)) == QUEUED + 1
        assert tracker.command_line("release").stdout == "No postbacks are on hold.\n"
        assert tracker.log_text().count("journal damaged") == 0


def test_a_started_copy_is_refused_in_words_and_held_when_it_is_said_to_be_one(day: Day, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(day.tracker.folder, copy)
    tracker = Tracker(copy)
    refused = run(*tracker.command()[len(COMMAND) :])
    assert refused.returncode == 2
    assert str(day.tracker.folder) in refused.stderr
    assert "--moved" in refused.stderr
    assert "--as-copy" in refused.stderr
    both = run(*tracker.command()[len(COMMAND) :], "--moved", "--as-copy")
    assert both.returncode == 2
    process = subprocess.Popen([*tracker.command(), "--as-copy"], env=os.environ | tracker.environment)
    try:
        eventually(tracker.api_answers)
        assert str(day.tracker.folder) in tracker.got("delivery")["why"]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_backup_to_a_stream_is_the_same_file(day: Day, tmp_path: Path) -> None:
    with (tmp_path / "stream.tar").open("wb") as file:
        command = [*COMMAND, "backup", "-", "--quiet", "--data", str(day.tracker.folder)]
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert run("restore", str(tmp_path / "stream.tar"), "--verify-only").returncode == 0


def test_a_backup_whose_reader_goes_away_ends_with_a_sentence(day: Day) -> None:
    command = f"{' '.join(COMMAND)} backup - --quiet --data {day.tracker.folder} | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("backup", "b.tar"), ("restore", "none.tar", "--hold-postbacks")])
def test_a_folder_or_file_that_is_not_there_is_named_and_not_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(command[0], str(tmp_path / command[1]), *command[2:], "--data", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr
    assert not list(tmp_path.iterdir())
