"""Postback rules from presets over the API, and secrets that are never returned."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.store.ledger.setup.postback_rules import find_stored_rule

if TYPE_CHECKING:
    from tests.web.conftest import Instance

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
TELEGRAM = {"preset": "telegram", "fill": {"bot_token": TOKEN, "chat_id": "-100123"}}
SHOWN_URL = "https://api.telegram.org/bot•••/sendMessage"


def test_rule_presets_can_be_listed_and_read(instance: "Instance") -> None:
    listed = instance.got("presets/postback-rules")["items"]
    assert [preset["key"] for preset in listed] == ["telegram", "slack", "discord", "webhook"]
    assert instance.got("presets/postback-rules/slack") == listed[1]
    assert instance.api.get("/api/v1/presets/postback-rules/none").status_code == 404


def test_a_rule_from_a_preset_never_shows_its_token_again(instance: "Instance") -> None:
    made = instance.api.post("/api/v1/postback-rules", json=TELEGRAM)
    rule = made.json()
    assert (rule["name"], rule["request"]["url"], rule["request"]["secrets"]) == (
        "Telegram message",
        SHOWN_URL,
        ["•••"],
    )
    assert rule["success"]["must_match"] == r'"ok"\s*:\s*true'
    assert TOKEN not in made.text + instance.api.get("/api/v1/postback-rules").text


def test_postbacks_and_traces_do_not_show_the_token(instance: "Instance") -> None:
    instance.set_up()
    instance.made("postback-rules", TELEGRAM)
    click_id = instance.visit()
    instance.made("conversions", {"click_id": click_id, "payout": "12.5"})
    for path in ("postbacks", f"clicks/{click_id}/trace", f"clicks/{click_id}/trace?format=text"):
        text = instance.api.get(f"/api/v1/{path}").text
        assert SHOWN_URL in text
        assert TOKEN not in text


def test_saving_a_masked_value_keeps_the_secret(instance: "Instance") -> None:
    rule = instance.made("postback-rules", TELEGRAM)
    body = rule["request"] | {"body": '{"chat_id": 7, "text": "{payout}"}'}
    changed = instance.api.patch(f"/api/v1/postback-rules/{rule['id']}", json={"request": body})
    assert changed.status_code == 200, changed.text
    with instance.ledger.read() as tx:
        kept = find_stored_rule(tx, rule["id"])
    assert kept is not None
    assert kept.rule.request.url == f"https://api.telegram.org/bot{TOKEN}/sendMessage"
    assert kept.rule.request.secrets == (TOKEN,)


def test_a_mask_is_not_saved_as_a_secret(instance: "Instance") -> None:
    rule = instance.made("postback-rules", TELEGRAM)
    body = rule["request"] | {"url": SHOWN_URL + "2"}
    answer = instance.api.patch(f"/api/v1/postback-rules/{rule['id']}", json={"request": body})
    assert instance.faults(answer) == {"request.url": "masked"}


def test_a_source_masks_the_token_in_its_postback_url_and_keeps_it(instance: "Instance") -> None:
    url = "https://source.example/pb?token=s3cret&id={externalid}"
    source = instance.made("traffic-sources", {"name": "Source", "postback_url": url})
    assert source["postback_url"] == "https://source.example/pb?token=•••&id={externalid}"
    path = f"/api/v1/traffic-sources/{source['id']}"
    assert instance.api.patch(path, json={"postback_url": source["postback_url"]}).status_code == 200
    with instance.ledger.read() as tx:
        kept = find_stored_rule(tx, source["postback_rule_id"])
    assert kept is not None
    assert kept.rule.request.url == url
    answer = instance.api.patch(path, json={"postback_url": "https://other.example/?token=•••"})
    assert instance.faults(answer) == {"postback_url": "masked"}


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"name": "required", "request": "required"}),
        ({"preset": "none"}, {"preset": "not_found"}),
        ({"preset": "slack"}, {"fill.webhook_url": "required"}),
        (
            {"preset": "slack", "fill": {"webhook_url": "x", "y": "z"}},
            {"fill.webhook_url": "not_allowed", "fill.y": "unknown_field"},
        ),
        ({"name": "x", "request": {"url": "https://a.example/"}, "fill": {"y": "z"}}, {"fill": "not_allowed"}),
        (
            {"name": "x", "request": {"url": "https://a.example/"}, "success": {"must_match": "("}},
            {"success.must_match": "success_not_a_pattern"},
        ),
    ],
)
def test_missing_and_wrong_values_are_named(instance: "Instance", body: Any, faults: dict[str, str]) -> None:
    assert instance.faults(instance.api.post("/api/v1/postback-rules", json=body)) == faults


def test_fields_given_with_a_preset_override_it(instance: "Instance") -> None:
    rule = instance.made("postback-rules", TELEGRAM | {"name": "My bot", "conditions": {"statuses": ["sale"]}})
    assert (rule["name"], rule["conditions"]["statuses"]) == ("My bot", ["sale"])
