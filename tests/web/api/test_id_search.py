"""Finding a story by any of its IDs, over the API."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.clock import DAY_MS
from clickloop.text import escape_bytes

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def found(instance: "Instance", text: str, **more: Any) -> list[tuple[str, str]]:
    """The kind of record that an id was found to be, and the trace it belongs to."""
    answer = instance.api.get("/api/v1/clicks/find", params={"id": text} | more)
    assert answer.status_code == 200, answer.text
    return [(item["matched"], item["click_id"]) for item in answer.json()["items"]]


def test_a_story_is_found_by_each_of_its_ids(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit(external_id="Ext")
    body = {"click_id": click_id, "txid": "T-1"}
    made = instance.api.post("/api/v1/conversions", json=body).json()
    postback = instance.got("postbacks")["items"][0]
    assert found(instance, click_id.upper()) == [("click_id", click_id)]
    assert found(instance, "Ext") == [("external_id", click_id)]
    assert found(instance, "T-1") == [("txid", click_id)]
    assert found(instance, made["conversion"]["conversion_id"]) == [("conversion", click_id)]
    assert found(instance, made["notice"]["notice_id"]) == [("notice", click_id)]
    assert found(instance, postback["postback_id"]) == [("postback", click_id)]


def test_an_external_id_is_found_as_it_came_and_in_no_other_case(instance: "Instance") -> None:
    click_id = instance.visit(external_id=escape_bytes("Käse +&%".encode()))
    assert found(instance, "Käse +&%") == [("external_id", click_id)]
    assert found(instance, "käse +&%") == []


def test_an_id_that_is_both_finds_both(instance: "Instance") -> None:
    first, second = instance.visit(external_id="same"), instance.visit()
    instance.api.post("/api/v1/conversions", json={"click_id": second, "txid": "same"})
    assert found(instance, "same") == [("txid", second), ("external_id", first)]


def test_older_clicks_are_looked_through_where_no_new_one_matches_or_it_is_asked_for(instance: "Instance") -> None:
    old = instance.visit(external_id="x", at=instance.now - 20 * DAY_MS)
    assert found(instance, "x") == [("external_id", old)]
    new = instance.visit(external_id="x")
    answer = instance.got("clicks/find?id=x")
    assert [item["click_id"] for item in answer["items"]] == [new]
    assert answer["looked_back_to"] == "2026-02-22T12:00:00.000Z"
    assert len(found(instance, "x", everything=True)) == 2


@pytest.mark.parametrize(
    ("text", "hint"), [("0" * 26, "but is not valid"), ("[CID]", "a macro"), ("abc", "not one of our IDs"), ("", "")]
)
def test_what_is_not_found_is_told_with_what_it_looks_like(instance: "Instance", text: str, hint: str) -> None:
    answer = instance.api.get("/api/v1/clicks/find", params={"id": text}).json()
    assert answer["items"] == []
    assert hint in answer["hint"]
