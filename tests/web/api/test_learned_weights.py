"""Learned weights over the API and in the panel: with their evidence, and in the explained routes of clicks and visitors."""

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from clickloop.clock import HOUR_MS, MINUTE_MS
from clickloop.tracking.learning.path_learner import PathLearner
from clickloop.tracking.routing_states import RoutingStates
from tests.learning.earning import Earnings

if TYPE_CHECKING:
    from clickloop.click.click import Click
    from tests.web.conftest import Instance

LEARNING = {"goal": "conversions_per_visit", "delay_hours": 1}
OFFERS = [{"offer_id": 1, "weight": 100}, {"offer_id": 2, "weight": 100}]


class Learner:
    """A tracker whose campaign has a path that learns."""

    def __init__(self, instance: "Instance") -> None:
        self.instance = instance
        instance.set_up()
        instance.made("offers", {"name": "Second", "network_id": 1, "url": "https://network.example/2?s={clickid}"})
        self.path_id = self.save({"learning": LEARNING, "offers": OFFERS})["id"]
        self.earnings = Earnings(instance.folder, instance.facts)
        self.states = RoutingStates(instance.ledger, instance.folder, "", lambda: instance.now)

    def save(self, path: dict[str, Any]) -> Any:
        answer = self.instance.api.patch("/api/v1/campaigns/1", json={"flow": {"default_paths": [path]}})
        assert answer.status_code == 200, answer.text
        return answer.json()["flow"]["default_paths"][0]

    def earn(self, offer_id: int, visits: int, conversions: int) -> None:
        at = self.instance.now - 2 * HOUR_MS
        clicks = self.earnings.clicks(at, visits, offer_id=offer_id, path_id=self.path_id)
        self.earnings.convert_each(clicks[:conversions], 10)

    def learn(self) -> None:
        self.instance.now += MINUTE_MS
        now = self.instance.now
        PathLearner(self.instance.ledger, self.instance.facts, self.states, lambda: "USD", lambda: now).step()

    def weights(self) -> Any:
        return self.instance.got(f"paths/{self.path_id}/weights")

    def click(self, offer_id: int, routing_state: int | None = None) -> "Click":
        """Record a click that went to an offer by the weights in force, or by those of another state."""
        campaign = self.instance.got("campaigns/1")
        with self.instance.ledger.read() as tx:
            flow_id, version = tx.exec_driver_sql("SELECT id, version FROM flows WHERE campaign_id = 1").one()
        assert campaign["id"] == 1
        return self.earnings.click(
            self.instance.now,
            offer_id=offer_id,
            path_id=self.path_id,
            flow_id=flow_id,
            flow_version=version,
            draw=7,
            routing_state=self.states.current.version if routing_state is None else routing_state,
            target="https://network.example/",
        )


@pytest.fixture
def learner(instance: "Instance") -> Learner:
    return Learner(instance)


def test_before_there_is_evidence_the_users_weights_are_in_force(learner: Learner) -> None:
    learner.learn()
    found = learner.weights()
    assert (found["state"], found["splits"]) == ("waiting", [])
    assert "your weights" in found["sentence"]


def test_each_weight_comes_with_what_it_rests_on(learner: Learner) -> None:
    learner.earn(1, 200, 2)
    learner.earn(2, 200, 12)
    learner.learn()
    found = learner.weights()
    assert found["state"] == "learned"
    (split,) = found["splits"]
    assert (split["kind"], split["goal"], split["least_share"]) == ("offers", "conversions_per_visit", 5)
    assert sum(item["weight"] for item in split["items"]) == 1000
    second = split["items"][1]
    assert (second["name"], second["user_weight"], second["weight"]) == ("Second", 100, 950)
    assert (second["visits"], second["conversions"], second["age_seconds"]) == (200, 12, 3600)
    assert second["low"] < 12 / 200 < second["high"]
    assert second["evidence"].startswith("12 conversions of 200 visits; ")


def test_frozen_weights_and_a_path_that_does_not_learn_say_so(learner: Learner) -> None:
    learner.earn(2, 200, 12)
    learner.learn()
    learner.save({"id": learner.path_id, "learning": LEARNING | {"frozen": True}, "offers": OFFERS})
    learner.learn()
    assert learner.weights()["state"] == "frozen"
    assert learner.weights()["splits"] != []
    learner.save({"id": learner.path_id, "offers": OFFERS})
    assert (learner.weights()["state"], learner.weights()["splits"]) == ("off", [])
    learner.save({"id": learner.path_id, "learning": LEARNING, "offers": OFFERS[:1]})
    assert learner.weights()["state"] == "cannot"


def test_an_unknown_path_is_a_404(learner: Learner) -> None:
    assert learner.instance.api.get("/api/v1/paths/999/weights").status_code == 404


def test_a_clicks_route_has_the_weights_in_force_at_the_click_also_after_they_changed(learner: Learner) -> None:
    learner.earn(1, 200, 2)
    learner.earn(2, 200, 12)
    learner.learn()
    click = learner.click(2)
    learner.earn(1, 400, 90)
    learner.learn()
    route = learner.instance.got(f"clicks/{click.click_id}/route")
    (path,) = route["flows"][0]["paths"]
    first, second = path["offers"]
    assert (first["weight"], second["weight"]) == (50, 950)
    assert (second["user_weight"], second["percent"]) == (100, 95.0)
    assert second["evidence"].startswith("12 conversions of 200 visits; ")
    assert route["agrees"]
    text = learner.instance.api.get(f"/api/v1/clicks/{click.click_id}/route?format=text").text
    assert "learned weight 950 of 1,000, you set 100: 12 conversions of 200 visits" in text
    trace = learner.instance.api.get(f"/api/v1/clicks/{click.click_id}/trace?format=text").text
    assert "learned weight 950" in trace


def test_a_click_between_learning_and_publishing_keeps_the_evidence_of_its_weights(learner: Learner) -> None:
    learner.earn(1, 200, 2)
    learner.earn(2, 200, 12)
    learner.learn()
    before = learner.states.current.version
    learner.earn(1, 400, 90)
    learner.learn()
    click = learner.click(2, before)
    (path,) = learner.instance.got(f"clicks/{click.click_id}/route")["flows"][0]["paths"]
    assert path["offers"][1]["evidence"].startswith("12 conversions of 200 visits; ")


def test_a_click_from_before_weights_were_learned_is_explained_by_the_users(learner: Learner) -> None:
    click = learner.click(1)
    learner.earn(2, 200, 12)
    learner.learn()
    (path,) = learner.instance.got(f"clicks/{click.click_id}/route")["flows"][0]["paths"]
    assert [(one["weight"], one["user_weight"], one["evidence"]) for one in path["offers"]] == [(100, None, "")] * 2


def test_described_visitors_and_simulations_go_by_the_weights_in_force(learner: Learner) -> None:
    learner.earn(1, 200, 2)
    learner.earn(2, 200, 12)
    learner.learn()
    route = learner.instance.api.post("/api/v1/campaigns/1/route", json={}).json()
    assert {one["name"]: one["percent"] for one in route["destinations"]}["Second"] == 95.0
    simulated = learner.instance.api.post("/api/v1/simulate", json={"campaign_id": 1}).json()
    assert "network.example/2" in msgspec.json.encode(simulated).decode()


@pytest.mark.parametrize(
    ("learning", "field"),
    [
        ({"window_hours": 0}, "window_hours"),
        ({"window_hours": 2161}, "window_hours"),
        ({"least_share": 51}, "least_share"),
        ({"least_share": -1}, "least_share"),
        ({"delay_hours": -1}, "delay_hours"),
    ],
)
def test_a_value_out_of_range_is_refused_at_its_field(learner: Learner, learning: dict[str, int], field: str) -> None:
    body = {"flow": {"default_paths": [{"learning": learning, "offers": OFFERS}]}}
    answer = learner.instance.api.patch("/api/v1/campaigns/1", json=body)
    assert learner.instance.faults(answer) == {f"flow.default_paths[0].learning.{field}": "out_of_range"}


def test_least_shares_of_more_than_everything_are_refused(learner: Learner) -> None:
    for number in range(3):
        learner.instance.made("offers", {"name": f"More {number}", "url": "https://network.example/?s={clickid}"})
    offers = [{"offer_id": number} for number in range(1, 6)]
    body = {"flow": {"default_paths": [{"learning": {"least_share": 21}, "offers": offers}]}}
    answer = learner.instance.api.patch("/api/v1/campaigns/1", json=body)
    assert learner.instance.faults(answer) == {"flow.default_paths[0].learning.least_share": "out_of_range"}


def test_the_check_counts_the_visits_of_a_path_that_learns(learner: Learner) -> None:
    learner.earn(1, 150, 0)
    (finding,) = [one for one in learner.instance.got("check")["findings"] if one["code"] == "path_cannot_learn"]
    assert finding["severity"] == "warning"
    assert "150 visits of its offers in the last 72 hours counted, none with a conversion" in finding["sentence"]
    learner.earn(2, 10, 1)
    assert all(one["code"] != "path_cannot_learn" for one in learner.instance.got("check")["findings"])
