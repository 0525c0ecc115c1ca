"""Routes over the API: of recorded clicks, also after edits, and of visitors who are described."""

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from clickloop.click.routing.routes import Routes
from clickloop.click.routing.visitor_values import click_value_of
from clickloop.diagnosis.simulated_click import (
    SimulatedClick,
    SimulatedVisitor,
    SimulationSetup,
    TrackerHost,
    record_visit,
)
from clickloop.setup.condition import FIELDS
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.catalog import read_catalog
from clickloop.store.ledger.setup.traffic_sources import SOURCES

if TYPE_CHECKING:
    from tests.web.conftest import Instance

FLOW: dict[str, Any] = {
    "rules": [
        {
            "name": "US Android",
            "conditions": [
                {"field": "country", "values": ["US"]},
                {"field": "os", "values": ["Android"]},
                {"field": "v1", "op": "not_in", "values": ["66"]},
            ],
            "paths": [
                {"name": "A", "offers": [{"offer_id": 1}]},
                {"name": "B", "weight": 300, "offers": [{"offer_id": 2}]},
            ],
        },
        {
            "name": "Office hours",
            "conditions": [{"field": "schedule", "values": ["Europe/Berlin", "tue 9-17"]}],
            "paths": [{"name": "Office", "target": "url", "url": "https://office.example/"}],
        },
    ],
    "default_paths": [{"name": "Rest", "offers": [{"offer_id": 1}]}],
}
ANDROID = "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"


@pytest.fixture
def routed(instance: "Instance") -> "Instance":
    """A tracker whose campaign has rules."""
    instance.set_up()
    instance.made("offers", {"name": "Second", "network_id": 1, "url": "https://network.example/2?sub1={clickid}"})
    answer = instance.api.patch("/api/v1/campaigns/1", json={"flow": FLOW})
    assert answer.status_code == 200, answer.text
    return instance


def asked(instance: "Instance", body: dict[str, Any], status: int = 200) -> Any:
    answer = instance.api.post("/api/v1/campaigns/1/route", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def visited(instance: "Instance", **visitor: Any) -> str:
    """Return the id of a click that the edge's own code recorded."""
    with instance.ledger.read() as tx:
        campaign, source = CAMPAIGNS.find(tx, 1), SOURCES.find(tx, 1)
        catalog = read_catalog(tx, ("go.example.com",))
    assert campaign is not None
    assert source is not None
    place = TrackerHost(host="go.example.com", fallback_url="", own_hosts=("go.example.com",))
    setting = SimulationSetup(campaign, source, catalog, Routes(catalog, ""), place)
    invented = SimulatedClick(
        campaign_id=1, parameters={"zone": "77", "sub": "a b/ü&="}, visitor=SimulatedVisitor(**visitor)
    )
    click = record_visit(setting, invented, instance.click_ids, "USD", instance.now - 60_000)
    instance.visit(**msgspec.structs.asdict(click))
    return click.click_id


def test_a_described_visitor_is_explained_condition_by_condition_with_shares(routed: "Instance") -> None:
    route = asked(routed, {"values": {"region": "US-CA", "os": "Android"}, "parameters": {"zone": "77"}})
    (flow,) = route["flows"]
    taken, office = flow["rules"]
    assert [(one["phrase"], one["value"], one["verdict"]) for one in taken["conditions"]] == [
        ("from the United States", "US", "held"),
        ("on Android", "Android", "held"),
        ("whose zone (V1) is not 66", "77", "held"),
    ]
    assert (taken["verdict"], office["verdict"], flow["rule_name"]) == ("took", "not_tried", "US Android")
    assert [(one["name"], one["path_name"], one["percent"]) for one in route["destinations"]] == [
        ("Offer", "A", 25.0),
        ("Second", "B", 75.0),
    ]


def test_tuesday_at_two_is_read_in_the_zone_that_was_given(routed: "Instance") -> None:
    for at, zone, rule in (
        ("2026-12-01T14:00", "Europe/Berlin", "Office hours"),
        ("2026-12-01T17:00", "Europe/Berlin", ""),
        ("2026-12-01T08:00", "UTC", "Office hours"),
    ):
        assert asked(routed, {"at": at, "zone": zone})["flows"][0]["rule_name"] == rule


def test_a_draw_chooses_as_it_does_at_the_edge(routed: "Instance") -> None:
    body = {"values": {"country": "US", "useragent": ANDROID}}
    chosen = [asked(routed, {**body, "draw": str(draw)})["destinations"][0]["name"] for draw in range(20)]
    assert set(chosen) == {"Offer", "Second"}
    assert asked(routed, {**body, "draw": "3"}) == asked(routed, {**body, "draw": "3"})


def test_a_flow_that_is_not_saved_is_explained_and_not_saved(routed: "Instance") -> None:
    flow = {"rules": [{"conditions": [{"field": "query.sub", "values": ["x"]}], "paths": [{}]}], "default_paths": [{}]}
    route = asked(routed, {"flow": flow, "parameters": {"SUB": "x"}})
    assert route["flows"][0]["rules"][0]["verdict"] == "took"
    assert route["destinations"][0]["kind"] is None
    assert routed.got("campaigns/1")["flow"]["rules"][0]["name"] == "US Android"


def test_what_is_wrong_with_a_visitor_or_a_flow_is_named(routed: "Instance") -> None:
    body = {
        "values": {"country": "usa", "colour": "red", "schedule": "mon"},
        "flow": {"default_paths": [{"weight": -1}]},
    }
    assert routed.faults(routed.api.post("/api/v1/campaigns/1/route", json=body)) == {
        "values.country": "character",
        "values.colour": "not_found",
        "values.schedule": "not_allowed",
        "flow.default_paths[0].weight": "out_of_range",
    }
    assert routed.faults(routed.api.post("/api/v1/campaigns/1/route", json={"zone": "Mars"})) == {"zone": "not_found"}
    assert routed.faults(routed.api.post("/api/v1/campaigns/1/route", json={"at": "soon"})) == {"at": "not_a_moment"}
    assert list(routed.faults(routed.api.post("/api/v1/campaigns/1/route", json={"draw": "9" * 19}))) == ["draw"]
    assert routed.api.post("/api/v1/campaigns/9/route", json={}).status_code == 404


def test_a_recorded_click_is_explained_also_after_its_rule_and_path_were_removed(routed: "Instance") -> None:
    click_id = visited(routed, country="US", useragent=ANDROID)
    before = routed.got(f"clicks/{click_id}/route")
    assert (before["state"], before["agrees"], before["flows"][0]["rule_name"]) == ("explained", True, "US Android")
    assert sum(path["chosen"] for path in before["flows"][0]["paths"]) == 1
    assert 0 <= before["flows"][0]["path_draw"] < 1

    changed = routed.api.patch("/api/v1/campaigns/1", json={"flow": {"default_paths": [{"offers": [{"offer_id": 2}]}]}})
    assert changed.status_code == 200, changed.text
    assert routed.got(f"clicks/{click_id}/route") == before


def test_every_value_is_compared_at_the_edge_as_the_click_keeps_it(routed: "Instance") -> None:
    visitor = {
        "ip": "198.51.100.7",
        "country": "DE",
        "useragent": ANDROID,
        "language": "pt-BR,pt;q=0.9",
        "referrer": "https://a.example/ä?x=1",
    }
    compared = ["query.sub", "visit_number"]  # kept only where a condition compares them
    keeping = {"conditions": [{"field": field, "op": "empty"} for field in compared], "paths": [{}]}
    routed.api.patch("/api/v1/campaigns/1", json={"flow": {**FLOW, "rules": [keeping]}})
    click_id = visited(routed, **visitor)
    click = routed.facts.find_clicks([click_id])[click_id]
    fields = [*FIELDS, "query.SUB", "query.zone", "query.none"]
    known = {
        field: value
        for field, value in ((field, click_value_of(click, field, {"zone": "v1"})) for field in fields)
        if value and field not in ("schedule", "date")
    }
    assert {
        "ip",
        "continent",
        "unique",
        "visit_number",
        "v1",
        "query.SUB",
        "query.zone",
        "referrer",
        "os",
    } <= known.keys()
    conditions = [{"field": field, "values": [str(value)]} for field, value in known.items()]
    rules = [
        {"name": f"Rule {at}", "conditions": conditions[at : at + 1], "paths": [{"target": "nothing"}]}
        for at in range(len(conditions))
    ]
    for rule in rules:
        routed.api.patch("/api/v1/campaigns/1", json={"flow": {"rules": [rule], "default_paths": [{}]}})
        again = visited(routed, **visitor)
        route = routed.got(f"clicks/{again}/route")
        assert (route["flows"][0]["rule_name"], route["agrees"]) == (rule["name"], True), rule


def test_a_visitor_without_a_destination_is_explained_by_the_flow_that_had_none(routed: "Instance") -> None:
    routed.api.patch("/api/v1/campaigns/1", json={"flow": {**FLOW, "default_paths": []}})
    route = routed.got(f"clicks/{visited(routed, country='DE')}/route")
    (flow,) = route["flows"]
    assert [rule["verdict"] for rule in flow["rules"]] == ["failed", "failed"]
    assert flow["paths"] == []


def test_a_click_from_before_flows_says_so(routed: "Instance") -> None:
    route = routed.got(f"clicks/{routed.visit()}/route")
    assert (route["state"], route["flows"], route["agrees"]) == ("before_flows", [], False)


def test_trace_and_route_are_text_for_a_terminal(routed: "Instance") -> None:
    click_id = visited(routed, country="US", useragent=ANDROID)
    for path in (f"clicks/{click_id}/route?format=text", f"clicks/{click_id}/trace?format=text"):
        text = routed.api.get(f"/api/v1/{path}").text
        assert "rule 'US Android' took the visitor" in text
        assert "held    from the United States: US" in text
        assert "Route by the flow of campaign 'Campaign', version" in text


def test_a_bound_visitor_who_is_described_gets_their_path_and_the_others_are_left_out(routed: "Instance") -> None:
    routed.api.patch("/api/v1/campaigns/1", json={"bind": "path"})
    path = routed.api.get("/api/v1/campaigns/1").json()["flow"]["rules"][0]["paths"][0]
    visitor = {"values": {"country": "US", "os": "Android"}, "previous": {"path_id": path["id"]}}
    route = asked(routed, visitor)
    assert [(one["path_name"], one["percent"]) for one in route["destinations"]] == [("A", 100)]
    assert route["flows"][0]["recalls"] == [
        {
            "part": "path",
            "effect": "same",
            "sentence": "Returning visitor: same path as on their previous visit.",
        }
    ]
    assert [one["left_out"] for one in route["flows"][0]["paths"]] == ["", "other_again"]


def test_a_path_that_a_described_visitor_saw_is_left_out_of_the_shares(routed: "Instance") -> None:
    routed.api.patch("/api/v1/campaigns/1", json={"rotation": "unseen"})
    path = routed.api.get("/api/v1/campaigns/1").json()["flow"]["rules"][0]["paths"][1]
    visitor = {"values": {"country": "US", "os": "Android"}, "previous": {"seen_path_ids": [path["id"]]}}
    route = asked(routed, visitor)
    assert [(one["path_name"], one["percent"]) for one in route["destinations"]] == [("A", 100)]
    assert (
        route["flows"][0]["recalls"][0]["sentence"] == "Returning visitor: path B was seen, so the others come first."
    )
    assert [one["percent"] for one in asked(routed, {"values": visitor["values"]})["destinations"]] == [25, 75]


def test_previous_visits_are_bounded(routed: "Instance") -> None:
    answer = asked(routed, {"previous": {"seen_offer_ids": list(range(31)), "path_id": -1}}, 422)
    assert {one["field"] for one in answer["errors"]} == {"previous.seen_offer_ids", "previous.path_id"}


def test_a_simulation_says_that_its_chances_are_those_of_a_first_visit(routed: "Instance") -> None:
    body = {"campaign_id": 1}
    first = routed.api.post("/api/v1/simulate", json=body)
    assert first.json()["redirect"]["returning"] == "", first.text
    routed.api.patch("/api/v1/campaigns/1", json={"bind": "offer"})
    again = routed.api.post("/api/v1/simulate", json=body).json()
    assert again["redirect"]["returning"].startswith("These are the chances of a first visit.")
