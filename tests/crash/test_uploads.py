"""An upload to the running product whose core is killed while it registers: every line once, every postback owed once."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey.running import COMMAND, Receiver, Tracker, eventually, kill, running

pytestmark = pytest.mark.crash
CLICKS = 300
TXIDS = 10


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_an_import_survives_kills_of_the_core(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}&txid={txid}")
        eventually(lambda: tracker.ask("GET", f"/c/{campaign.key}").status == 302)
        clicks = [tracker.click(campaign.key, f"external_id=e{number}") for number in range(CLICKS)]
        eventually(lambda: len(tracker.all_of("clicks")) >= CLICKS)
        file = tmp_path / "conversions.csv"
        rows = [f"{click_id},1,{turn}" for turn in range(TXIDS) for click_id in clicks]
        file.write_text("\n".join(["clickid,payout,txid", *rows]))
        importing = subprocess.Popen(
            [*COMMAND, "import", "conversions", str(file), "--data", str(tracker.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        eventually(lambda: _lines(tracker) > 0)
        for _ in range(2):
            kill(tracker.pids()["core"])
            eventually(tracker.api_answers)
        told, _ = importing.communicate(timeout=60)
        assert importing.returncode == 0, told
        upload = tracker.got("conversions/uploads")["items"][0]
        assert (upload["state"], upload["lines"], upload["counts"]["new"]) == (
            "finished",
            CLICKS * TXIDS,
            CLICKS * TXIDS,
        )
        assert len(tracker.all_of("conversions")) == CLICKS * TXIDS
        assert len(tracker.all_of("notices")) == CLICKS * TXIDS
        assert len(tracker.all_of("postbacks")) == CLICKS * TXIDS


def _lines(tracker: Tracker) -> int:
    found = tracker.got("conversions/uploads")["items"]
    return int(found[0]["lines"]) if found else 0
