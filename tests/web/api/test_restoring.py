"""The set-up over the API: restoring, cloning, search by name and tag, and the code to paste."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.store.ledger.setup.postback_rules import find_stored_rule

if TYPE_CHECKING:
    from tests.web.conftest import Instance

NOUNS: dict[str, dict[str, Any]] = {
    "traffic-sources": {"name": "Another"},
    "networks": {"name": "Another"},
    "offers": {"name": "Another", "url": "https://network.example/?s={clickid}"},
    "campaigns": {"name": "Another", "source_id": 1},
    "postback-rules": {"name": "Another", "request": {"url": "https://receiver.example/?p={payout}"}},
}
KEPT = ("updated_at", "version")


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the record without fields that always differ."""
    return {name: value for name, value in record.items() if name not in names}


@pytest.mark.parametrize("noun", NOUNS)
def test_a_restored_record_is_unchanged(instance: "Instance", noun: str) -> None:
    instance.set_up()
    made = instance.made(noun, NOUNS[noun])
    instance.api.delete(f"/api/v1/{noun}/{made['id']}")
    answer = instance.api.post(f"/api/v1/{noun}/{made['id']}/restore")
    assert answer.status_code == 200, answer.text
    assert without(answer.json(), *KEPT) == without(made, *KEPT)
    assert made["id"] in [one["id"] for one in instance.got(noun)["items"]]


@pytest.mark.parametrize("noun", NOUNS)
def test_restoring_a_live_record_changes_nothing(instance: "Instance", noun: str) -> None:
    instance.set_up()
    made = instance.made(noun, NOUNS[noun])
    instance.now += 5000
    assert instance.api.post(f"/api/v1/{noun}/{made['id']}/restore").json() == made
    assert instance.api.post(f"/api/v1/{noun}/77/restore").status_code == 404


def test_a_campaign_is_not_restored_while_its_source_is_archived(instance: "Instance") -> None:
    instance.set_up()
    instance.api.delete("/api/v1/campaigns/1")
    instance.api.delete("/api/v1/traffic-sources/1")
    answer = instance.api.post("/api/v1/campaigns/1/restore")
    assert instance.faults(answer)["source_id"] == "archived"


def test_a_sources_first_rule_is_not_restored_without_a_url(instance: "Instance") -> None:
    instance.made("traffic-sources", {"name": "Source"})
    assert instance.faults(instance.api.post("/api/v1/postback-rules/1/restore")) == {"request.url": "url_missing"}


def test_a_cloned_campaign_has_a_new_key_and_copies_of_its_rules(instance: "Instance") -> None:
    instance.set_up()
    changes = {"tags": ["us"], "notes": "Until Friday.", "active": False, "cost": {"amount": "0.01"}}
    before = instance.api.patch("/api/v1/campaigns/1", json=changes).json()
    instance.made("postback-rules", NOUNS["postback-rules"] | {"campaign_id": 1})
    answer = instance.api.post("/api/v1/campaigns/1/clone", json={})
    assert answer.status_code == 201, answer.text
    copy = answer.json()
    own = ("id", "key", "name", "link", "version", "flow")
    assert without(copy, *own) == without(before, *own)
    assert (copy["name"], copy["key"] != before["key"]) == ("Campaign (copy)", True)
    paths = [one["flow"]["default_paths"][0] for one in (before, copy)]
    assert without(paths[0], "id") == without(paths[1], "id")
    assert paths[0]["id"] != paths[1]["id"]
    rules = instance.got(f"postback-rules?campaign_id={copy['id']}")["items"]
    assert [rule["name"] for rule in rules] == ["Another"]
    assert instance.api.post("/api/v1/campaigns/1/clone", json={"name": "Mine"}).json()["name"] == "Mine"


def test_a_cloned_rule_is_off_and_keeps_its_secrets(instance: "Instance") -> None:
    request = {"url": "https://receiver.example/", "headers": [{"name": "Authorization", "value": "Bearer abcdef"}]}
    instance.made("postback-rules", {"name": "R", "request": request})
    copy = instance.api.post("/api/v1/postback-rules/1/clone").json()
    assert (copy["name"], copy["active"]) == ("R (copy)", False)
    assert copy["request"]["headers"] == [{"name": "Authorization", "value": "•••"}]
    with instance.ledger.read() as tx:
        kept = find_stored_rule(tx, copy["id"])
    assert kept is not None
    assert kept.rule.request.headers[0].value == "Bearer abcdef"


def test_the_longest_name_can_be_copied(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"name": "x" * 200})
    assert len(instance.api.post("/api/v1/campaigns/1/clone", json={}).json()["name"]) == 200


@pytest.mark.parametrize("noun", ["networks", "offers", "campaigns", "postback-rules"])
def test_records_are_found_by_part_of_their_name_in_any_case(instance: "Instance", noun: str) -> None:
    instance.set_up()
    for name in ("Größe 100%", "Grape_1", "grapex1"):
        instance.made(noun, NOUNS[noun] | {"name": name})
    names = {
        q: [one["name"] for one in instance.got(f"{noun}?q={q}")["items"]]
        for q in ("Größe", "100%25", "GRAPE", "grape_")
    }
    assert names == {
        "Größe": ["Größe 100%"],
        "100%25": ["Größe 100%"],
        "GRAPE": ["Grape_1", "grapex1"],
        "grape_": ["Grape_1"],
    }


@pytest.mark.parametrize("noun", ["offers", "campaigns"])
def test_records_are_found_by_a_whole_tag(instance: "Instance", noun: str) -> None:
    instance.set_up()
    instance.made(noun, NOUNS[noun] | {"name": "A", "tags": [" US ", "us", "mobil%", "Größe"]})
    instance.made(noun, NOUNS[noun] | {"name": "B", "tags": ["usa"]})
    found = {
        tag: [one["name"] for one in instance.got(f"{noun}?tag={tag}")["items"]]
        for tag in ("us", "mobil%25", "Größe", "%25", "s")
    }
    assert found == {"us": ["A"], "mobil%25": ["A"], "Größe": ["A"], "%25": [], "s": []}
    assert instance.got(f"{noun}?tag=us")["items"][0]["tags"] == ["US", "mobil%", "Größe"]


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        (["x" * 51], "too_long"),
        (["a,b"], "character"),
        (["a\x00"], "character"),
        ([str(n) for n in range(21)], "too_many"),
    ],
)
def test_invalid_tags_are_rejected(instance: "Instance", tags: list[str], code: str) -> None:
    answer = instance.api.post("/api/v1/offers", json=NOUNS["offers"] | {"tags": tags})
    assert set(instance.faults(answer).values()) == {code}


@pytest.mark.parametrize(("notes", "code"), [("x" * 10_001, "too_long"), ("a\x00b", "character")])
def test_invalid_notes_are_rejected(instance: "Instance", notes: str, code: str) -> None:
    instance.set_up()
    assert instance.faults(instance.api.patch("/api/v1/campaigns/1", json={"notes": notes})) == {"notes": code}


def test_campaigns_are_filtered_by_offer_and_state(instance: "Instance") -> None:
    instance.set_up()
    instance.made("campaigns", {"name": "Paused", "source_id": 1, "active": False})
    found = {
        query: [one["id"] for one in instance.got(f"campaigns?{query}")["items"]]
        for query in ("offer_id=1", "active=true", "active=false")
    }
    assert found == {"offer_id=1": [1], "active=true": [1], "active=false": [2]}


def test_a_campaigns_codes_cover_each_of_its_networks(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"domain": "go2.example"})
    codes = instance.got("campaigns/1/codes")
    assert codes["link"] == instance.got("campaigns/1")["link"]
    (network,) = codes["networks"]
    assert (network["network_id"], network["name"]) == (1, "Network")
    assert network["postback_url"] == "https://go.example.com/postback?cid={sub1}&payout={payout}"
    assert 'src="https://go2.example/pixel.gif?cid={sub1}&amp;payout={payout}"' in network["pixel_code"]


def test_the_first_rule_of_a_source_is_marked_as_its_postback_url(instance: "Instance") -> None:
    instance.set_up()
    instance.made("postback-rules", NOUNS["postback-rules"] | {"source_id": 1})
    rules = instance.got("postback-rules?source_id=1")["items"]
    assert [rule["is_source_postback"] for rule in rules] == [True, False]
    assert instance.got("postback-rules?of_instance=true")["items"] == []


def test_a_networks_template_is_filled_in_with_an_offers_link(instance: "Instance") -> None:
    instance.made("networks", {"name": "N", "offer_url_template": "{url}&s1={clickid}"})
    answer = instance.api.post("/api/v1/networks/1/offer-url", json={"url": " https://n.example/c?o=1 "})
    assert answer.json() == {"url": "https://n.example/c?o=1&s1={clickid}"}
