"""Each network's own words for statuses, which take precedence over the common ones on every channel."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.web.api.ending import work_off

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def status_of(instance: "Instance", click_id: str) -> str:
    (found,) = instance.got(f"conversions?click_id={click_id}")["items"]
    return str(found["status"]["key"])


def test_a_network_gets_the_words_of_its_preset(instance: "Instance") -> None:
    network = instance.made("networks", {"name": "N", "preset": "affise"})
    assert network["status_words"] == {"1": "sale", "2": "hold", "3": "rejected", "5": "hold"}


def test_a_presets_word_for_a_missing_status_is_left_out(instance: "Instance") -> None:
    assert instance.api.delete("/api/v1/statuses/hold").status_code == 200
    network = instance.made("networks", {"name": "N", "preset": "affise"})
    assert network["status_words"] == {"1": "sale", "3": "rejected"}


def test_given_words_replace_those_of_the_preset(instance: "Instance") -> None:
    network = instance.made("networks", {"name": "N", "preset": "affise", "status_words": {"2": "rejected"}})
    assert network["status_words"] == {"2": "rejected"}


def test_a_word_can_mean_something_else_for_each_network(instance: "Instance") -> None:
    instance.set_up()
    instance.made("networks", {"name": "Wall", "status_words": {"2": "rejected"}})
    instance.api.patch("/api/v1/networks/1", json={"status_words": {"2": "hold"}})
    held, charged = instance.visit(), instance.visit(network_id=2)
    for click_id in (held, charged):
        instance.made("conversions", {"click_id": click_id, "payout": "5", "status": " 2 "})
    assert (status_of(instance, held), status_of(instance, charged)) == ("hold", "rejected")


def test_a_networks_word_takes_precedence_over_the_common_one(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"status_words": {"Approved": "hold"}})
    click_id = instance.visit()
    instance.made("conversions", {"click_id": click_id, "payout": "5", "status": "APPROVED"})
    assert status_of(instance, click_id) == "hold"


def test_a_status_entered_by_hand_is_not_a_networks_word(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"status_words": {"hold": "sale"}})
    click_id = instance.visit()
    instance.made("conversions", {"click_id": click_id, "payout": "5", "status": "hold", "by_hand": True})
    assert status_of(instance, click_id) == "hold"


def test_a_correction_may_use_a_word_of_the_network(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"status_words": {"9": "rejected"}})
    made = instance.made("conversions", {"click_id": instance.visit(), "payout": "5"})["conversion"]
    answer = instance.api.patch(f"/api/v1/conversions/{made['conversion_id']}", json={"status": "9"})
    assert answer.json()["conversion"]["status"]["key"] == "rejected"


def test_notices_from_before_a_word_was_mapped_can_be_reprocessed(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    instance.made("conversions", {"click_id": click_id, "payout": "5", "status": "7"})
    (word,) = instance.got("statuses")["unmapped_words"]
    assert word["networks"] == [{"id": 1, "name": "Network", "mapped_to": None}]
    instance.api.patch("/api/v1/networks/1", json={"status_words": {"7": "sale"}})
    assert instance.got("statuses")["unmapped_words"][0]["networks"][0]["mapped_to"] == "sale"
    instance.api.post("/api/v1/notices/rerun", json={"status_word": "7", "network_id": 1})
    work_off(instance)
    assert status_of(instance, click_id) == "sale"
    assert instance.got("statuses")["unmapped_words"] == []


@pytest.mark.parametrize(
    ("words", "field", "code"),
    [
        ({"A": "sale", " a": "hold"}, "status_words. a", "duplicate"),
        ({"1": "gone"}, "status_words.1", "not_found"),
        ({"1": "other"}, "status_words.1", "not_allowed"),
        ({" ": "sale"}, "status_words. ", "required"),
        ({"x" * 201: "sale"}, f"status_words.{'x' * 50}", "too_long"),
        ({"a\nb": "sale"}, "status_words.a\nb", "character"),
        ({str(number): "sale" for number in range(201)}, "status_words", "too_many"),
    ],
)
def test_invalid_words_are_rejected(instance: "Instance", words: dict[str, Any], field: str, code: str) -> None:
    answer = instance.api.post("/api/v1/networks", json={"name": "N", "status_words": words})
    assert answer.status_code == 422
    assert [(fault["field"], fault["code"]) for fault in answer.json()["errors"]] == [(field, code)]


def test_a_status_that_a_networks_word_is_mapped_to_is_not_removed(instance: "Instance") -> None:
    instance.made("networks", {"name": "Wall", "status_words": {"2": "hold"}})
    answer = instance.api.delete("/api/v1/statuses/hold")
    assert answer.status_code == 409
    assert "'Wall'" in answer.json()["detail"]


def test_the_check_knows_the_words_of_the_networks(instance: "Instance") -> None:
    instance.set_up()
    instance.made("statuses", {"key": "deposit", "name": "Deposit", "counts_as": "confirmed"})
    rule = {"name": "R", "request": {"url": "https://s.example/?id={externalid}"}, "campaign_id": 1}
    instance.made("postback-rules", {**rule, "conditions": {"statuses": ["deposit"]}})
    assert "status_without_words" in {one["code"] for one in instance.got("check")["findings"]}
    instance.api.patch("/api/v1/networks/1", json={"status_words": {"ftd": "deposit"}})
    assert "status_without_words" not in {one["code"] for one in instance.got("check")["findings"]}
