"""A core that is killed goes on with the same learned weights, and edges keep them meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from clickloop.setup.routing_state import FILE_NAME, RoutingStateFile
from tests.journey.running import Tracker, eventually, kill, running

pytestmark = pytest.mark.crash

CLICKS = 40


def path_after(tracker: Tracker, campaign_id: int, path: dict[str, Any]) -> Any:
    """Return the only path of a campaign after it was saved."""
    answer = tracker.api("PATCH", f"campaigns/{campaign_id}", {"flow": {"default_paths": [path]}})
    assert answer.status == 200, answer
    return tracker.got(f"campaigns/{campaign_id}")["flow"]["default_paths"][0]


def test_after_a_kill_of_the_core_the_learned_weights_and_the_state_that_edges_read_are_the_same(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as tracker:
        campaign = tracker.set_up("https://source.example/?id={externalid}")
        second = tracker.made("offers", {"name": "Second", "url": "https://network.example/?sub1={clickid}"})
        offers = [{"offer_id": campaign.offer_id}, {"offer_id": second["id"]}]
        path = path_after(tracker, campaign.campaign_id, {"offers": offers})
        clicks = [tracker.click(campaign.key) for _ in range(CLICKS)]
        for click_id in clicks[3::4]:
            assert tracker.notify(f"cid={click_id}&payout=2").status == 200
        eventually(lambda: len(tracker.all_of("conversions")) == len(clicks[3::4]))
        learning = {"goal": "conversions_per_visit", "delay_hours": 0}
        path_after(tracker, campaign.campaign_id, path | {"learning": learning})
        address = f"paths/{path['id']}/weights"
        eventually(lambda: tracker.got(address)["state"] == "learned")
        before, state = tracker.got(address)["splits"], (tmp_path / FILE_NAME).read_bytes()
        assert sum(item["visits"] for item in before[0]["items"]) == CLICKS
        kill(tracker.pids()["core"])
        eventually(tracker.api_answers)
        assert (tmp_path / FILE_NAME).read_bytes() == state
        kept = RoutingStateFile(tmp_path).changed()
        assert kept is not None
        assert tracker.click(campaign.key)
        assert dict(kept.learned[0].weights) == {item["id"]: item["weight"] for item in before[0]["items"]}
