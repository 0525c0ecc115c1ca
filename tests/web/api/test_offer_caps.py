"""Caps over the API: saving them, their state, and why a visitor went elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from clickloop.clock import HOUR_MS, MINUTE_MS, iso_text
from clickloop.store.ledger.setup.catalog import read_catalog
from clickloop.tracking.caps.watching import CapWatch
from clickloop.tracking.routing_states import RoutingStates
from tests.tracking.landing_edge import LandingEdge, Visitor

if TYPE_CHECKING:
    from tests.web.conftest import Instance


class CappedOffers:
    """Two offers of an instance, and the worker that watches their caps."""

    def __init__(self, instance: "Instance", folder: Path) -> None:
        self.instance = instance
        instance.set_up()
        instance.made("offers", {"name": "Second", "url": "https://second.example/?sub1={clickid}"})
        self.states = RoutingStates(instance.ledger, folder, "", lambda: instance.now)
        self.watch = CapWatch(instance.ledger, instance.facts, self.states, lambda: "UTC", lambda: instance.now)

    def cap(self, offer_id: int, **cap: Any) -> Any:
        return self.instance.api.patch(f"/api/v1/offers/{offer_id}", json={"cap": cap or None})

    def convert(self, count: int, **more: str) -> list[str]:
        clicks = [self.instance.visit(target="https://network.example/") for _ in range(count)]
        for click_id in clicks:
            self.instance.made("conversions", {"click_id": click_id, **more})
        return clicks


@pytest.fixture
def capped(instance: "Instance", tmp_path: Path) -> CappedOffers:
    return CappedOffers(instance, tmp_path)


def test_a_cap_is_saved_with_its_offer(capped: CappedOffers, instance: "Instance") -> None:
    cap = {"amount": 100, "per": "week", "statuses": ["sale"], "time_zone": "Europe/Berlin", "then_offer_id": 2}
    assert capped.cap(1, **cap).status_code == 200
    assert instance.got("offers/1")["cap"] == {"of": "conversions", **cap}


@pytest.mark.parametrize(
    ("cap", "field", "code"),
    [
        ({"amount": 0}, "cap.amount", "out_of_range"),
        ({"amount": -5}, "cap.amount", "out_of_range"),
        ({"amount": 1, "time_zone": "Mars/Base"}, "cap.time_zone", "not_found"),
        ({"amount": 1, "statuses": ["nothing"]}, "cap.statuses", "not_found"),
        ({"amount": 1, "then_offer_id": 1}, "cap.then_offer_id", "not_allowed"),
        ({"amount": 1, "then_offer_id": 77}, "cap.then_offer_id", "not_found"),
        ({"amount": 1, "of": "clicks", "statuses": ["sale"]}, "cap.statuses", "not_allowed"),
    ],
)
def test_a_cap_that_makes_no_sense_is_refused(
    capped: CappedOffers, instance: "Instance", cap: dict[str, Any], field: str, code: str
) -> None:
    assert instance.faults(capped.cap(1, **cap)) == {field: code}


def test_an_offer_without_a_cap_has_no_state_of_one(capped: CappedOffers, instance: "Instance") -> None:
    found = instance.got("offers/1/cap")
    assert (found["cap"], found["counted"], found["spans"], found["overshoot"]) == (None, 0, [], "")
    assert instance.api.get("/api/v1/offers/99/cap").status_code == 404


def test_the_state_of_a_cap_says_what_was_counted_and_where_visitors_went_since(
    capped: CappedOffers, instance: "Instance"
) -> None:
    capped.cap(1, amount=2, then_offer_id=2)
    capped.convert(3)
    capped.watch.step()
    reached_at = instance.now
    instance.now += 5 * MINUTE_MS
    for _ in range(4):
        instance.visit(at=instance.now, offer_id=2, instead_of=1, routing_state=1)
    found = instance.got("offers/1/cap")
    assert (found["cap"], found["counted"], found["instead"]) == ("2 conversions a day", 3, "offer 2 'Second'")
    assert found["period_until"] == "2026-03-02T00:00:00.000Z"
    span = found["spans"][0]
    assert (span["counted_then"], span["counted"], span["overshoot"], span["visitors"]) == (3, 3, 1, 4)
    assert span["sent_on"] == [{"offer_id": 2, "name": "Second", "visitors": 4}]
    assert span["reached_at"] == found["reached_at"] == iso_text(reached_at)


def test_the_count_of_a_past_span_follows_late_rejections(capped: CappedOffers, instance: "Instance") -> None:
    capped.cap(1, amount=2)
    clicks = capped.convert(2, txid="t")
    capped.watch.step()
    instance.now += MINUTE_MS
    rejected = {"click_id": clicks[0], "txid": "t", "status": "rejected"}
    assert instance.api.post("/api/v1/conversions", json=rejected).status_code == 200
    capped.watch.step()
    found = instance.got("offers/1/cap")
    assert (found["reached_at"], found["counted"]) == (None, 1)
    assert [(one["counted_then"], one["counted"], one["ended_at"] is None) for one in found["spans"]] == [(2, 1, False)]


def test_the_possible_overshoot_is_stated_in_words(capped: CappedOffers, instance: "Instance") -> None:
    capped.cap(1, amount=100)
    assert instance.got("offers/1/cap")["overshoot"].startswith("A reached cap is in force within a second")
    assert "already has may still convert" in instance.got("offers/1/cap")["overshoot"]
    capped.cap(1, amount=100, of="clicks")
    assert "convert" not in instance.got("offers/1/cap")["overshoot"]


def test_the_trace_says_why_a_visitor_went_to_another_offer(capped: CappedOffers, instance: "Instance") -> None:
    capped.cap(1, amount=1, then_offer_id=2)
    capped.convert(1)
    capped.watch.step()
    instance.now += HOUR_MS
    click_id = instance.visit(at=instance.now, offer_id=2, instead_of=1, target="https://second.example/")
    events = instance.got(f"clicks/{click_id}/trace")["events"]
    details = {one["name"]: one["value"] for event in events if event["kind"] == "redirect" for one in event["details"]}
    assert details["cap"] == "Offer 1 'Offer' had reached its cap of 1 conversion a day, so offer 2 'Second'."


def visit_over_edge(capped: CappedOffers) -> str:
    """Let a visitor follow the campaign link at an edge with the published state, and load their click."""
    instance = capped.instance
    with instance.ledger.read() as tx:
        catalog = read_catalog(tx, ())
    edge = LandingEdge(catalog)
    edge.now = instance.now
    edge.edge.routes = edge.edge.routes.with_state(capped.states.current)
    Visitor(edge).visit(key=catalog.campaigns[0].key)
    click = edge.recorded_clicks()[0]
    instance.visit(**msgspec.structs.asdict(click))
    return click.click_id


@pytest.mark.parametrize(
    ("then", "offer_id", "ending"),
    [({"then_offer_id": 2}, 2, "so offer 2 'Second'."), ({}, 0, "so it was out of the rotation.")],
)
def test_the_explained_route_says_which_cap_decided_also_after_there_is_room_again(
    capped: CappedOffers, instance: "Instance", then: dict[str, int], offer_id: int, ending: str
) -> None:
    capped.cap(1, amount=1, **then)
    capped.convert(1)
    capped.watch.step()
    instance.now += MINUTE_MS
    click_id = visit_over_edge(capped)
    capped.cap(1, amount=50)
    capped.watch.step()
    assert instance.got("offers/1/cap")["reached_at"] is None
    assert instance.got(f"clicks/{click_id}")["offer_id"] == offer_id
    route = instance.got(f"clicks/{click_id}/route")
    (share,) = route["flows"][0]["paths"][0]["offers"]
    assert (route["agrees"], share["id"], share["chosen"]) == (True, 1, bool(offer_id))
    assert share["cap"] == f"Offer 1 'Offer' had reached its cap of 1 conversion a day, {ending}"


def test_a_described_visitor_goes_where_the_caps_in_force_send_them(capped: CappedOffers, instance: "Instance") -> None:
    capped.cap(1, amount=1, then_offer_id=2)
    capped.convert(1)
    capped.watch.step()
    answer = instance.api.post("/api/v1/campaigns/1/route", json={})
    assert [(one["id"], one["name"]) for one in answer.json()["destinations"]] == [(2, "Second")]
    (share,) = answer.json()["flows"][0]["paths"][0]["offers"]
    assert share["cap"].startswith("Offer 1 'Offer' has reached its cap")


def test_a_cap_that_counts_nothing_is_found_by_the_check(capped: CappedOffers, instance: "Instance") -> None:
    capped.cap(2, amount=5)
    codes = {finding["code"] for finding in instance.got("check")["findings"]}
    assert "cap_without_traffic" in codes
    capped.cap(2)
    capped.cap(1, amount=5, statuses=["hold"])
    capped.convert(20)
    codes = {finding["code"] for finding in instance.got("check")["findings"]}
    assert "cap_never_counts" in codes


def test_a_dry_run_goes_where_the_caps_in_force_send_it_unless_it_asks_for_the_offer(
    capped: CappedOffers, instance: "Instance"
) -> None:
    capped.cap(1, amount=1, then_offer_id=2)
    capped.convert(1)
    capped.watch.step()
    by_caps, asked = (
        instance.api.post("/api/v1/simulate", json={"campaign_id": 1, **more}).json()["redirect"]
        for more in ({}, {"offer_id": 1})
    )
    assert (by_caps["offer_id"], asked["offer_id"]) == (2, 1)
    assert by_caps["cap"].startswith("Offer 1 'Offer' has reached its cap of 1 conversion a day")
    assert asked["cap"] == ""
