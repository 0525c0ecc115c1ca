"""The check reads flows, landings and lists: a campaign's own flow, a shared one, and what one campaign needs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.web.conftest import Instance

CATCH_ALL: dict[str, Any] = {
    "rules": [
        {"name": "All", "paths": [{"offers": [{"offer_id": 1}]}]},
        {
            "name": "US",
            "conditions": [{"field": "country", "values": ["US"]}],
            "paths": [{"offers": [{"offer_id": 1}]}],
        },
    ],
    "default_paths": [{"offers": [{"offer_id": 1}]}],
}


def found(instance: "Instance", code: str, query: str = "") -> list[Any]:
    """The places of a finding's code."""
    return [one["place"] for one in instance.got(f"check{query}")["findings"] if one["code"] == code]


def test_the_findings_of_a_campaigns_own_flow_are_at_the_campaign(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"flow": CATCH_ALL})
    for query in ("", "?campaign_id=1"):
        (place,) = found(instance, "rule_for_everybody", query)
        assert (place["kind"], place["name"], place["field"]) == ("campaign", "Campaign", "flow.rules[0]")


def test_a_shared_flow_with_its_landings_and_lists_is_checked_once_for_all_campaigns(instance: "Instance") -> None:
    instance.set_up()
    instance.made("landings", {"name": "Quiz", "url": "https://quiz.example/", "buttons": 3, "append_click_id": False})
    instance.made("lists", {"name": "Bad zones"})
    path = {"target": "landing_and_offer", "landings": [{"landing_id": 1}], "offers": [{"offer_id": 1}]}
    rule = {"name": "Zones", "conditions": [{"field": "v1", "op": "not_in", "list_id": 1}], "paths": [path]}
    flow = instance.made("flows", {"name": "Worldwide", "rules": [rule], "default_paths": [path]})
    assert instance.api.patch("/api/v1/campaigns/1", json={"flow_id": flow["id"]}).status_code == 200
    for query in ("", "?campaign_id=1"):
        (place,) = found(instance, "not_in_empty_list", query)
        assert (place["kind"], place["name"], place["field"]) == ("flow", "Worldwide", "rules[0].conditions[0]")
        assert [place["field"] for place in found(instance, "buttons_without_offer", query)] == [
            "rules[0].paths[0]",
            "default_paths[0]",
        ]
        assert [place["name"] for place in found(instance, "landing_loses_click_id", query)] == ["Quiz"]


def test_a_campaign_without_any_destination_has_one_finding_for_it(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"offers": []})
    codes = [one["code"] for one in instance.got("check?campaign_id=1")["findings"]]
    assert "no_live_offers" in codes
    assert not {"paths_missing", "path_empty", "weights_zero"} & set(codes)
