"""The supervisor in a hostile environment: the log's reader hangs, standard streams are closed, no process can be started."""

import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.journey.running import Tracker, eventually, kill, running

pytestmark = pytest.mark.crash


def fill(pipe: str) -> None:
    """Fill a pipe without a reader."""
    end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(end, b"x" * 4096)
    except BlockingIOError:
        pass
    finally:
        os.close(end)


@pytest.mark.parametrize("name", ["edge1", "core"])
def test_while_nobody_reads_the_log_visitors_are_served_and_what_dies_is_started_again(
    tmp_path: Path, name: str
) -> None:
    tracker = Tracker(tmp_path / "data")
    reader, writer = os.pipe()
    try:
        environment = {**os.environ, **tracker.environment}
        tracker.process = subprocess.Popen(
            tracker.command(), stderr=writer, stdout=writer, env=environment, start_new_session=True
        )
        tracker.wait_until_ready()
        fill(f"/proc/{tracker.process.pid}/fd/2")
        campaign = tracker.set_up("")  # an edge logs that it has taken the set-up
        eventually(lambda: tracker.click(campaign.key))
        pid = tracker.pids()[name]
        kill(pid)
        eventually(lambda: tracker.pids().get(name, pid) != pid)
        tracker.wait_until_ready()
        assert tracker.notify(f"cid={tracker.click(campaign.key)}").status == 200
        eventually(lambda: len(tracker.all_of("conversions")) == 1)
    finally:
        tracker.close()
        os.close(writer)
        os.close(reader)


def test_with_closed_standard_streams_every_process_has_them_open_to_nowhere(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path / "data")
    try:
        shell = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *tracker.command()]
        environment = {**os.environ, **tracker.environment}
        tracker.process = subprocess.Popen(shell, env=environment, start_new_session=True)
        tracker.wait_until_ready()
        for pid in tracker.pids().values():
            assert [os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)] == ["/dev/null"] * 3
    finally:
        tracker.close()


def test_a_supervisor_that_cannot_start_a_process_tries_again_and_keeps_the_others(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tracker:
        pids = tracker.pids()
        supervisor = pids["supervisor"]
        before = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
        # As low as what it has open: a process that is to be started gets no pipe, as little as on a machine without memory.
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{supervisor}/fd")), before[1]))
        kill(pids["edge1"])
        eventually(lambda: "process could not be started" in tracker.log_text())
        assert tracker.api_answers()
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, before)
        tracker.wait_until_ready()
        assert tracker.pids()["core"] == pids["core"]
