"""An outage of the core: what came meanwhile is registered when it is back, and nothing is refused."""

import os
import signal
from pathlib import Path

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click_id import KEY_FILE, ClickIds
from clickloop.clock import MINUTE_MS, SECOND_MS, wall_clock
from clickloop.conversion.notice import Channel, RawNotice
from clickloop.record_id import RecordIds
from clickloop.store.journal.writer import JournalWriter
from tests.journey.running import Campaign, Tracker, eventually, running

pytestmark = pytest.mark.crash
COUNT = 300
OUTAGE_MS = 20 * MINUTE_MS
encode = msgspec.json.Encoder().encode


def write_as_an_edge(tracker: Tracker, campaign: Campaign, began_at: int) -> None:
    """Journal clicks, each followed by its notice, as an edge did over the first minutes of an outage."""
    now = began_at

    def clock() -> int:
        return now

    click_ids = ClickIds((tracker.folder / KEY_FILE).read_bytes())
    notice_ids = RecordIds(clock)
    clicks = JournalWriter.open(tracker.folder / "journal", "clicks", "edge9", clock)
    notices = JournalWriter.open(tracker.folder / "journal", "notices", "edge9", clock)
    for number in range(COUNT):
        now += SECOND_MS
        click = Click(
            click_id=click_ids.new(now),
            at=now,
            campaign_id=campaign.campaign_id,
            source_id=campaign.source_id,
            offer_id=campaign.offer_id,
            network_id=campaign.network_id,
            external_id=f"visitor {number}",
        )
        clicks.append(encode(click))
        raw = RawNotice(notice_id=notice_ids(), at=now, channel=Channel.S2S, query=f"cid={click.click_id}&payout=1")
        notices.append(encode(raw))
        if number % 20 == 19:
            clicks.close_segment()
            notices.close_segment()
    clicks.close()
    notices.close()


def test_after_a_core_was_stopped_for_twenty_minutes_every_notice_of_that_time_is_registered(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up("")
        core = tracker.pids()["core"]
        os.kill(core, signal.SIGSTOP)
        write_as_an_edge(tracker, campaign, wall_clock() - OUTAGE_MS)
        live = tracker.click(campaign.key)
        assert tracker.notify(f"cid={live}").headers["x-clickloop-outcome"] == "accepted"
        os.kill(core, signal.SIGCONT)
        eventually(lambda: len(tracker.all_of("notices", outcome="new")) == COUNT + 1, told=tracker.log_text)
        assert tracker.all_of("notices", outcome="refused") == []


def test_after_a_core_crashed_again_and_again_every_notice_of_that_time_is_registered(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up("")
        facts = tracker.folder / "facts.duckdb"
        tracker.stop()
        aside = facts.rename(tmp_path / "aside")
        facts.write_bytes(b"no database at all" * 1000)
        tracker.start(wait=False)
        eventually(
            lambda: tracker.log_text().count("the core does not start on these stores") >= 2, told=tracker.log_text
        )
        write_as_an_edge(tracker, campaign, wall_clock() - OUTAGE_MS)
        facts.unlink()
        aside.rename(facts)
        tracker.wait_until_ready()
        eventually(lambda: len(tracker.all_of("notices", outcome="new")) == COUNT, told=tracker.log_text)
        assert tracker.all_of("notices", outcome="refused") == []
