"""Flows over the API: ids that stay, references, loops, and the shorthand for a campaign's offers."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from clickloop.store.ledger.setup.flows import flow_version, parts_of_flow

if TYPE_CHECKING:
    from tests.web.conftest import Instance

GERMANS = {"field": "country", "values": ["DE"]}


def to_offer(offer_id: int = 1, **more: Any) -> dict[str, Any]:
    return {"offers": [{"offer_id": offer_id}], **more}


def to_campaign(campaign_id: int) -> dict[str, Any]:
    return {"target": "campaign", "campaign_id": campaign_id}


def campaign(instance: "Instance", *paths: dict[str, Any], **more: Any) -> Any:
    body = {"name": "Another", "source_id": 1, "flow": {"default_paths": list(paths)}, **more}
    return instance.made("campaigns", body)


def patched(instance: "Instance", path: str, body: dict[str, Any]) -> Any:
    answer = instance.api.patch(f"/api/v1/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def faults(instance: "Instance", path: str, body: dict[str, Any]) -> dict[str, str]:
    return instance.faults(instance.api.patch(f"/api/v1/{path}", json=body))


def test_rules_and_paths_keep_the_ids_that_are_sent_back_and_removed_ones_are_never_used_again(
    instance: "Instance",
) -> None:
    instance.set_up()
    first = patched(instance, "campaigns/1", {"flow": {"rules": [{"conditions": [GERMANS], "paths": [to_offer()]}]}})
    rule = first["flow"]["rules"][0]
    kept = [{**rule, "name": "Germans"}, {"conditions": [], "paths": [to_offer()]}]
    second = patched(instance, "campaigns/1", {"flow": {"rules": kept}})["flow"]["rules"]
    assert (second[0]["id"], second[0]["paths"][0]["id"]) == (rule["id"], rule["paths"][0]["id"])
    third = patched(instance, "campaigns/1", {"flow": {"rules": [second[0], {"conditions": [GERMANS]}]}})
    assert third["flow"]["rules"][1]["id"] > second[1]["paths"][0]["id"]
    with instance.ledger.read() as tx:
        parts = {(part.kind, part.id): part for part in parts_of_flow(tx, 1)}
    assert parts["rule", rule["id"]].name == "Germans"
    assert parts["rule", second[1]["id"]].is_removed


def test_ids_are_not_chosen_by_the_caller(instance: "Instance") -> None:
    instance.set_up()
    other = campaign(instance, to_offer())["flow"]["default_paths"][0]["id"]
    body = {"flow": {"rules": [{"id": 77}], "default_paths": [to_offer(id=other)]}}
    assert faults(instance, "campaigns/1", body) == {
        "flow.rules[0].id": "not_found",
        "flow.default_paths[0].id": "not_found",
    }


def test_everything_that_a_flow_names_must_be_live(instance: "Instance") -> None:
    instance.set_up()
    path = {
        "target": "landing_and_offer",
        "landings": [{"landing_id": 9}],
        "offers": [{"offer_id": 1}, {"offer_id": 9}],
    }
    rule = {"conditions": [{"field": "v1", "list_id": 9}], "paths": [path, to_campaign(9)]}
    assert faults(instance, "campaigns/1", {"flow": {"rules": [rule]}}) == {
        "flow.rules[0].paths[0].offers[1].offer_id": "not_found",
        "flow.rules[0].paths[0].landings[0].landing_id": "not_found",
        "flow.rules[0].paths[1].campaign_id": "not_found",
        "flow.rules[0].conditions[0].list_id": "not_found",
    }


def test_what_a_live_flow_names_cannot_be_archived(instance: "Instance") -> None:
    instance.set_up()
    landing = instance.made("landings", {"name": "L", "url": "https://landing.example/"})["id"]
    zones = instance.made("lists", {"name": "Zones", "entries": ["a"]})["id"]
    other = campaign(instance, to_offer())["id"]
    path = {"target": "landing_and_offer", "landings": [{"landing_id": landing}], "offers": [{"offer_id": 1}]}
    rule = {"conditions": [{"field": "v1", "list_id": zones}], "paths": [path, to_campaign(other)]}
    patched(instance, "campaigns/1", {"flow": {"rules": [rule]}})
    used = (f"landings/{landing}", f"lists/{zones}", f"campaigns/{other}", "offers/1")
    for path_in_use in used:
        assert instance.faults(instance.api.delete(f"/api/v1/{path_in_use}")) == {"": "in_use"}
    assert instance.api.delete("/api/v1/campaigns/1").status_code == 200
    assert instance.api.delete(f"/api/v1/lists/{zones}").status_code == 200


def test_campaigns_that_lead_back_to_each_other_are_refused(instance: "Instance") -> None:
    instance.set_up()
    assert faults(instance, "campaigns/1", {"flow": {"default_paths": [to_campaign(1)]}}) == {
        "flow.default_paths[0].campaign_id": "not_allowed"
    }
    second = campaign(instance, to_campaign(1))["id"]
    third = campaign(instance, to_campaign(second))["id"]
    for target in (second, third):
        body = {"flow": {"default_paths": [to_offer(), to_campaign(target)]}}
        assert faults(instance, "campaigns/1", body) == {"flow.default_paths[1].campaign_id": "not_allowed"}


def test_a_visitor_passes_through_three_further_campaigns_at_most(instance: "Instance") -> None:
    instance.set_up()
    chain = [1]
    for _ in range(3):
        chain.append(campaign(instance, to_campaign(chain[-1]))["id"])
    body = {"name": "Fifth", "source_id": 1, "flow": {"default_paths": [to_campaign(chain[-1])]}}
    assert instance.faults(instance.api.post("/api/v1/campaigns", json=body)) == {
        "flow.default_paths[0].campaign_id": "too_many"
    }
    zeroth = campaign(instance, to_offer())["id"]
    # Also where the chain grows at its far end.
    assert faults(instance, "campaigns/1", {"flow": {"default_paths": [to_campaign(zeroth)]}}) == {
        "flow.default_paths[0].campaign_id": "too_many"
    }


def test_of_two_saves_at_once_that_would_close_a_loop_one_is_refused(instance: "Instance") -> None:
    instance.set_up()
    other = campaign(instance, to_offer())["id"]

    def lead(one: int, to: int) -> int:
        answer = instance.api.patch(f"/api/v1/campaigns/{one}", json={"flow": {"default_paths": [to_campaign(to)]}})
        return int(answer.status_code)

    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(lead, (1, other), (other, 1)))
    assert sorted(codes) == [200, 422]


def test_a_shared_flow_is_checked_for_each_campaign_that_follows_it(instance: "Instance") -> None:
    instance.set_up()
    flow = instance.made("flows", {"name": "Shared", "default_paths": [to_offer()]})
    follower = campaign(instance, flow_id=flow["id"])["id"]
    assert instance.got(f"flows/{flow['id']}")["campaign_ids"] == [follower]
    assert faults(instance, f"flows/{flow['id']}", {"default_paths": [to_campaign(follower)]}) == {
        "default_paths[0].campaign_id": "not_allowed"
    }
    leading = instance.made("flows", {"name": "Leading", "default_paths": [to_campaign(follower)]})["id"]
    assert faults(instance, f"campaigns/{follower}", {"flow_id": leading}) == {"flow_id": "not_allowed"}
    assert instance.faults(instance.api.delete(f"/api/v1/flows/{flow['id']}")) == {"": "in_use"}
    patched(instance, f"campaigns/{follower}", {"flow_id": None})
    assert instance.api.delete(f"/api/v1/flows/{flow['id']}").status_code == 200
    assert faults(instance, f"campaigns/{follower}", {"flow_id": flow["id"]}) == {"flow_id": "archived"}


def test_a_campaigns_own_flow_is_no_shared_flow(instance: "Instance") -> None:
    instance.set_up()
    assert instance.api.get("/api/v1/flows/1").status_code == 404
    assert faults(instance, "campaigns/1", {"flow_id": 1}) == {"flow_id": "not_found"}
    assert instance.got("flows")["items"] == []


def test_a_copy_of_a_shared_flow_has_ids_of_its_own(instance: "Instance") -> None:
    instance.set_up()
    flow = instance.made("flows", {"name": "Shared", "rules": [{"conditions": [GERMANS], "paths": [to_offer()]}]})
    answer = instance.api.post(f"/api/v1/flows/{flow['id']}/clone", json={})
    assert answer.status_code == 201, answer.text
    copy = answer.json()
    assert copy["name"] == "Shared (copy)"
    assert copy["rules"][0]["id"] != flow["rules"][0]["id"]
    assert copy["rules"][0]["conditions"] == flow["rules"][0]["conditions"]


def test_offers_are_a_shorthand_for_those_of_the_only_default_path(instance: "Instance") -> None:
    instance.set_up()
    before = instance.got("campaigns/1")["flow"]["default_paths"][0]
    after = patched(instance, "campaigns/1", {"offers": [{"offer_id": 1, "weight": 7}]})["flow"]["default_paths"][0]
    assert (after["id"], after["offers"]) == (before["id"], [{"offer_id": 1, "weight": 7}])
    assert faults(instance, "campaigns/1", {"offers": [{"offer_id": 9}]}) == {"offers[0].offer_id": "not_found"}
    several = patched(instance, "campaigns/1", {"flow": {"default_paths": [after, to_offer()]}})
    assert several["offers"] == []
    assert faults(instance, "campaigns/1", {"offers": []}) == {"offers": "not_allowed"}


@pytest.mark.parametrize("noun", ["campaigns", "flows"])
def test_every_version_of_a_flow_is_stored_and_an_unchanged_one_is_not_stored_again(
    instance: "Instance", noun: str
) -> None:
    instance.set_up()
    path, flow_id = "campaigns/1", 1
    if noun == "flows":
        flow_id = instance.made("flows", {"name": "Shared", "default_paths": [to_offer()]})["id"]
        path = f"flows/{flow_id}"

    def versions() -> int:
        with instance.ledger.read() as tx:
            return int(tx.exec_driver_sql(f"SELECT count(*) FROM flow_versions WHERE flow_id = {flow_id}").scalar_one())

    before = versions()
    patched(instance, path, {"name": "Renamed"})
    assert versions() == before
    parts = {"rules": [{"conditions": [GERMANS], "paths": [to_offer()]}]}
    patched(instance, path, {"flow": parts} if noun == "campaigns" else parts)
    assert versions() == before + 1
    with instance.ledger.read() as tx:
        newest = int(
            tx.exec_driver_sql(f"SELECT max(version) FROM flow_versions WHERE flow_id = {flow_id}").scalar_one()
        )
        stored = flow_version(tx, flow_id, newest)
    assert stored is not None
    assert len(stored.rules) == 1
