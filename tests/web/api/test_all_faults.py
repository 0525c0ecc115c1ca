"""Every field's fault is named at once: those of reading the body and those of the checks that follow."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Instance

CASES: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "campaign": (
        "campaigns",
        {
            "name": "C",
            "source_id": 1,
            "cost": {"amount": "x"},
            "domain": "evil/",
            "fallback_url": "javascript:alert(1)",
            "offers": [{"offer_id": "x"}, {"offer_id": 1, "weight": -1}],
        },
        {"cost.amount", "domain", "fallback_url", "offers[0].offer_id", "offers[1].weight"},
    ),
    "campaign without what it must have": (
        "campaigns",
        {"domain": "evil/", "cost": {"amount": "1", "currency": "XXX"}, "more": 1},
        {"name", "source_id", "domain", "cost.currency", "more"},
    ),
    "offer": (
        "offers",
        {"name": 5, "url": "ftp://x/", "payout": {"amount": "?"}, "currency": "EURO"},
        {"name", "url", "payout.amount", "currency"},
    ),
    "network": (
        "networks",
        {"name": "", "addresses": ["x"], "click_lifetime_days": "ten"},
        {"name", "addresses[0]", "click_lifetime_days"},
    ),
    "source": (
        "traffic-sources",
        {
            "name": "",
            "cost_model": "free",
            "parameters": [{"parameter": "a", "number": 1}, {"parameter": "b", "number": 1}],
        },
        {"name", "cost_model", "parameters[1].number"},
    ),
    "rule": (
        "postback-rules",
        {
            "name": "R",
            "request": {"url": "https://a.example/"},
            "conditions": {"delay_seconds": "x", "minimum_payout": "abc", "every_nth": 0},
            "success": {"must_match": "(["},
            "waits_seconds": ["x"],
        },
        {
            "conditions.delay_seconds",
            "conditions.minimum_payout",
            "conditions.every_nth",
            "success.must_match",
            "waits_seconds[0]",
        },
    ),
    "status": ("statuses", {"key": "Not A Key", "name": "", "counts_as": "maybe"}, {"key", "name", "counts_as"}),
    "user": ("users", {"name": "", "role": "king"}, {"name", "role"}),
}


@pytest.mark.parametrize("what", CASES)
def test_what_cannot_be_read_and_what_is_refused_are_named_together(instance: "Instance", what: str) -> None:
    instance.set_up()
    noun, body, fields = CASES[what]
    before = len(instance.got(noun)["items"])
    assert set(instance.faults(instance.api.post(f"/api/v1/{noun}", json=body))) == fields
    assert len(instance.got(noun)["items"]) == before


def test_a_change_names_them_together_too_and_saves_nothing(instance: "Instance") -> None:
    instance.set_up()
    before = instance.got("campaigns/1")
    told = instance.setup_changes
    body = {"name": "New name", "cost": {"amount": "x"}, "fallback_url": "javascript:alert(1)"}
    answer = instance.api.patch("/api/v1/campaigns/1", json=body)
    assert set(instance.faults(answer)) == {"cost.amount", "fallback_url"}
    assert instance.got("campaigns/1") == before
    assert instance.setup_changes == told
    assert not [line for line in instance.got("changes")["items"] if line["action"] == "changed"]


def test_where_only_reading_finds_faults_nothing_is_saved_either(instance: "Instance") -> None:
    instance.set_up()
    answer = instance.api.patch("/api/v1/offers/1", json={"name": "New name", "tags": 5})
    assert instance.faults(answer) == {"tags": "wrong_type"}
    assert instance.got("offers/1")["name"] == "Offer"


def test_settings_name_them_together(instance: "Instance") -> None:
    body = {"currency": "EURO", "click_keep_days": "ten", "time_zone": "Moon/Base"}
    answer = instance.api.patch("/api/v1/settings", json=body)
    assert set(instance.faults(answer)) == {"currency", "click_keep_days", "time_zone"}
