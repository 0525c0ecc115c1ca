"""Exports of the running product whose core is killed while they are written: every row once, in the order of the log."""

from pathlib import Path

import msgspec
import pytest

from tests.crash.test_bulk_jobs import CONVERSIONS, convert_many
from tests.journey.running import Tracker, eventually, kill, running

pytestmark = pytest.mark.crash
EXPORTS = 10
KILLS = 2


def finished(tracker: Tracker) -> int:
    return [one["state"] for one in tracker.got("exports")["items"]].count("finished")


def kill_while_they_are_written(tracker: Tracker) -> int:
    """Kills the core each time that further exports are finished; answers how often others were not, just before."""
    hits = seen = 0
    for _ in range(KILLS):
        while (found := finished(tracker)) <= seen and found < EXPORTS:
            pass
        kill(tracker.pids()["core"])
        hits += found < EXPORTS
        eventually(tracker.api_answers, told=tracker.log_text)
        seen = found
    return hits


def test_exports_go_on_after_kills_of_the_core_and_hold_every_row_once(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tracker:
        convert_many(tracker, "", tmp_path, "sale")
        body = {"noun": "notices", "columns": ["notice_id", "query"]}
        for _ in range(EXPORTS):
            answer = tracker.api("POST", "exports", body)
            assert answer.status == 202, answer.body

        hits = kill_while_they_are_written(tracker)

        eventually(lambda: finished(tracker) == EXPORTS, told=tracker.log_text)

        assert hits >= 1, "all was written before anything was killed"
        expected = [notice["notice_id"] for notice in tracker.all_of("notices")]
        assert len(expected) == CONVERSIONS
        for one in tracker.got("exports")["items"]:
            lines = tracker.api("GET", f"exports/{one['export_id']}/result").body.split(b"\r\n")
            assert [line.split(b",")[0].decode() for line in lines[1:-1]] == expected
            assert one["rows"] == CONVERSIONS
        health = msgspec.json.decode(tracker.api("GET", "health").body)
        assert health["exports"] == []
        assert all(worker["failing_since"] is None for worker in health["workers"])
