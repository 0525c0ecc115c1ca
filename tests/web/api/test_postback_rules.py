"""Postback rules over the API: every setting can be set, read back and checked, and works when a click converts."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.postback.rule import Schedule

if TYPE_CHECKING:
    from tests.web.conftest import Instance

URL = "https://r.example/?id={externalid}"
EVERYTHING: dict[str, Any] = {
    "name": "Everything",
    "campaign_id": 1,
    "active": False,
    "request": {
        "method": "PUT",
        "url": "https://r.example/{clickid}?n={postback_id}",
        "headers": [{"name": "X-Source", "value": "{trafficsource.name}"}],
        "body_kind": "json",
        "body": '{"payout": {payout}, "rule": "{rule.name}"}',
        "secrets": [],
    },
    "conditions": {
        "statuses": ["hold", "sale"],
        "trigger": "status",
        "only_first": True,
        "minimum_payout": "5",
        "every_nth": 3,
        "delay_seconds": 60,
        "payout_percent": 70,
    },
    "success": {
        "must_contain": "OK",
        "must_not_contain": "ERROR",
        "must_match": "^OK",
        "must_not_match": '"ok"\\s*:\\s*false',
    },
    "waits_seconds": [1, 2, 3],
}


def made(instance: "Instance", **given: Any) -> Any:
    return instance.made("postback-rules", {"name": "R", "request": {"url": URL}} | given)


def converted(instance: "Instance", **said: Any) -> list[Any]:
    """Return the postbacks created or skipped for a new conversion, by rule, without the source's own rule."""
    click_id = said.pop("click_id", None) or instance.visit()
    instance.api.post("/api/v1/conversions", json={"click_id": click_id} | said)
    rows: list[Any] = instance.got(f"postbacks?click_id={click_id}&limit=500")["items"]
    return [row for row in rows if row["rule_id"] != 1]


def test_every_setting_reads_back_as_set(instance: "Instance") -> None:
    instance.set_up()
    rule = instance.made("postback-rules", EVERYTHING)
    assert {name: rule[name] for name in EVERYTHING} == EVERYTHING
    assert instance.got(f"postback-rules/{rule['id']}") == rule


def test_every_setting_can_be_changed(instance: "Instance") -> None:
    instance.set_up()
    number = made(instance, campaign_id=1)["id"]
    changes = {name: value for name, value in EVERYTHING.items() if name != "campaign_id"}
    changed = instance.api.patch(f"/api/v1/postback-rules/{number}", json=changes).json()
    assert {name: changed[name] for name in EVERYTHING} == EVERYTHING


def test_omitted_settings_have_their_defaults(instance: "Instance") -> None:
    rule = made(instance)
    assert (rule["source_id"], rule["campaign_id"], rule["active"]) == (None, None, True)
    assert rule["waits_seconds"] == list(Schedule().waits_seconds)
    assert rule["conditions"] == {
        "statuses": [],
        "trigger": "new",
        "only_first": False,
        "minimum_payout": None,
        "every_nth": 1,
        "delay_seconds": 0,
        "payout_percent": 100,
    }


FAULTS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"name": " "}, {"name": "name_missing"}),
    ({"source_id": 1, "campaign_id": 1}, {"campaign_id": "two_owners"}),
    ({"source_id": 9}, {"source_id": "not_found"}),
    ({"campaign_id": 9}, {"campaign_id": "not_found"}),
    ({"request": {"url": ""}}, {"request.url": "url_missing"}),
    ({"request": {"url": "https://{externalid}.example/"}}, {"request.url": "url_macro_in_authority"}),
    ({"request": {"url": URL, "method": "DELETE"}}, {"request.method": "not_allowed"}),
    ({"request": {"url": URL, "body": "x"}}, {"request.body": "body_without_kind"}),
    ({"request": {"url": URL, "body": "x", "body_kind": "text"}}, {"request.body": "body_with_get"}),
    (
        {"request": {"url": URL, "headers": [{"name": "Host", "value": "x"}]}},
        {"request.headers[0].name": "header_forbidden"},
    ),
    ({"conditions": {"statuses": ["nobody"]}}, {"conditions.statuses[0]": "status_unknown"}),
    ({"conditions": {"trigger": "never"}}, {"conditions.trigger": "not_allowed"}),
    ({"conditions": {"every_nth": 0}}, {"conditions.every_nth": "every_nth_out_of_range"}),
    ({"conditions": {"delay_seconds": -1}}, {"conditions.delay_seconds": "delay_out_of_range"}),
    ({"conditions": {"payout_percent": 101}}, {"conditions.payout_percent": "percent_out_of_range"}),
    ({"conditions": {"minimum_payout": "1e3"}}, {"conditions.minimum_payout": "not_an_amount"}),
    ({"conditions": {"nobody": 1}}, {"conditions.nobody": "unknown_field"}),
    ({"success": {"must_contain": "x" * 1_001}}, {"success.must_contain": "success_too_long"}),
    ({"success": {"must_match": "("}}, {"success.must_match": "success_not_a_pattern"}),
    ({"waits_seconds": [0]}, {"waits_seconds": "schedule_out_of_range"}),
    ({"waits_seconds": [1] * 30}, {"waits_seconds": "schedule_too_long"}),
]


@pytest.mark.parametrize(("given", "faults"), FAULTS)
def test_an_invalid_setting_is_rejected_by_field(
    instance: "Instance", given: dict[str, Any], faults: dict[str, str]
) -> None:
    instance.set_up()
    body = {"name": "R", "request": {"url": URL}} | given
    assert instance.faults(instance.api.post("/api/v1/postback-rules", json=body)) == faults


def test_a_rule_applies_only_to_its_owners_conversions(instance: "Instance") -> None:
    instance.set_up()
    instance.made("traffic-sources", {"name": "Other"})
    instance.made("campaigns", {"name": "Other", "source_id": 2, "offers": [{"offer_id": 1}]})
    numbers = [
        made(instance, **owner)["id"]
        for owner in ({"source_id": 1}, {"source_id": 2}, {"campaign_id": 1}, {"campaign_id": 2}, {})
    ]
    assert sorted(row["rule_id"] for row in converted(instance)) == [numbers[0], numbers[2], numbers[4]]


def test_a_campaign_switches_its_sources_rules_off_and_no_others(instance: "Instance") -> None:
    instance.set_up()
    for owner in ({"source_id": 1}, {"campaign_id": 1}, {}):
        made(instance, **owner)
    instance.api.patch("/api/v1/campaigns/1", json={"source_rules_off": True})
    reasons = {row["rule_id"]: row["reason"] for row in converted(instance)}
    assert list(reasons.values()).count("rule_off") == 1
    assert instance.got("postbacks?rule_id=1")["items"][0]["reason"] == "rule_off"


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({}, {"status": "rejected"}, "status_not_selected"),
    ({"statuses": ["rejected"]}, {"status": "rejected"}, None),
    ({"statuses": ["rejected"]}, {"status": "sale"}, "status_not_selected"),
    ({"minimum_payout": "5"}, {"payout": "4.99"}, "below_minimum"),
    ({"minimum_payout": "5"}, {"payout": "5"}, None),
    ({}, {"disable_postback": True}, "disabled_by_notice"),
]


@pytest.mark.parametrize(("conditions", "said", "reason"), CONDITIONS)
def test_conditions_decide_whether_a_postback_is_created(
    instance: "Instance", conditions: dict[str, Any], said: dict[str, Any], reason: str | None
) -> None:
    instance.set_up()
    made(instance, conditions=conditions)
    (row,) = converted(instance, **said)
    assert row["reason"] == reason


def test_only_first_skips_later_conversions_of_a_click(instance: "Instance") -> None:
    instance.set_up()
    made(instance, conditions={"only_first": True})
    click_id = instance.visit()
    converted(instance, click_id=click_id, txid="a")
    rows = converted(instance, click_id=click_id, txid="b")
    assert sorted(str(row["reason"]) for row in rows) == ["None", "not_unique"]


def test_every_nth_conversion_is_counted(instance: "Instance") -> None:
    instance.set_up()
    made(instance, conditions={"every_nth": 3})
    reasons = [converted(instance)[0]["reason"] for _ in range(7)]
    assert [reason is None for reason in reasons] == [True, False, False, True, False, False, True]


def test_a_rule_for_every_change_of_status_is_sent_at_each(instance: "Instance") -> None:
    instance.set_up()
    made(instance, conditions={"trigger": "status", "statuses": ["hold", "sale", "rejected"]})
    click_id = instance.visit()
    for status in ("lead", "sale", "rejected"):
        rows = converted(instance, click_id=click_id, status=status)
    assert [row["reason"] for row in rows] == [None, None, None]


def test_delay_and_payout_percent_apply_to_created_postbacks(instance: "Instance") -> None:
    instance.set_up()
    request = {"url": "https://r.example/?p={payout}"}
    made(instance, request=request, conditions={"delay_seconds": 3_600, "payout_percent": 70})
    (row,) = converted(instance, payout="12.5")
    assert (row["next_attempt_at"], row["request"]["url"]) == ("2026-03-01T13:00:00.000Z", "https://r.example/?p=8.75")


def test_a_rule_without_external_id_is_sent_for_clicks_without_one(instance: "Instance") -> None:
    instance.set_up()
    made(instance, request={"url": "https://chat.example/?text={payout}"})
    made(instance)
    rows = converted(instance, click_id=instance.visit(external_id=""))
    assert sorted(str(row["reason"]) for row in rows) == ["None", "no_external_id"]


def test_a_global_rule_may_use_the_parameters_of_any_source(instance: "Instance") -> None:
    instance.set_up()
    body = {"name": "All", "request": {"url": "https://r.example/?z={zone}&n={nowhere}"}}
    (warning,) = instance.made("postback-rules", body)["warnings"]
    assert "{nowhere}" in warning["message"]
