"""Copies of landings, and the links and code to paste into their pages."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.web.conftest import Instance

LANDING = {
    "name": "Quiz",
    "url": "https://pages.example/?z={v1}",
    "buttons": 2,
    "append_click_id": False,
    "tags": ["us"],
}


def test_a_copy_has_everything_but_the_name(instance: "Instance") -> None:
    instance.made("landings", LANDING)
    copy = instance.made("landings/1/clone", {})
    named = instance.made("landings/1/clone", {"name": "Quiz B"})
    assert (copy["id"], copy["name"]) == (2, "Quiz (copy)")
    assert (named["id"], named["name"]) == (3, "Quiz B")
    assert {name: copy[name] for name in LANDING if name != "name"} == {
        name: value for name, value in LANDING.items() if name != "name"
    }
    assert instance.api.post("/api/v1/landings/9/clone", json={}).status_code == 404
    assert instance.faults(instance.api.post("/api/v1/landings/1/clone", json={"name": ""})) == {"name": "required"}


def test_a_copy_of_an_archived_landing_is_live(instance: "Instance") -> None:
    instance.made("landings", LANDING)
    instance.api.delete("/api/v1/landings/1")
    assert instance.made("landings/1/clone", {})["archived_at"] is None


def test_the_code_has_the_domain_and_key_of_a_campaign(instance: "Instance") -> None:
    instance.set_up()
    instance.made("landings", LANDING)
    base = instance.context.base_url
    assert instance.got("landings/1/codes") == {
        "links": [f"{base}/click/1", f"{base}/click/2"],
        "script": f'<script src="{base}/track.js" async></script>',
    }
    instance.api.patch("/api/v1/campaigns/1", json={"domain": "go.example.com"})
    key = instance.got("campaigns/1")["key"]
    scheme = base.partition("://")[0]
    found = instance.got("landings/1/codes?campaign_id=1")
    assert found["links"][1] == f"{scheme}://go.example.com/click/2"
    assert found["script"] == f'<script src="{scheme}://go.example.com/track.js" data-campaign="{key}" async></script>'
    assert instance.api.get("/api/v1/landings/1/codes?campaign_id=9").status_code == 404
