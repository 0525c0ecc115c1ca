"""Black, white and watch lists over the API: values with the figures of the moment, their history, and what still arrives."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from clickloop.tracking.settle import settle_facts

if TYPE_CHECKING:
    from tests.web.conftest import Instance

HOUR_MS = 3_600_000
COST = {"cost_micros": 1_500_000, "cost_currency": "USD"}
ROWS = [
    {"parameter": "external_id", "placeholder": "{id}"},
    {"parameter": "z", "name": "Spot"},
]


@pytest.fixture
def sold(instance: "Instance") -> "Instance":
    """A source with the parameter Spot: three clicks of zone a, and one of b that converts."""
    instance.set_up()
    instance.made("traffic-sources", {"name": "Other", "parameters": ROWS})
    instance.made("campaigns", {"name": "Second", "source_id": 2, "offers": [{"offer_id": 1}]})
    for _ in range(3):
        visit(instance, "a", instance.now - 1)
    instance.made("conversions", {"click_id": visit(instance, "b", instance.now - 1), "payout": "10"})
    instance.visit(v1="a", **COST)  # another source's
    settle_facts(instance.ledger, instance.facts)
    return instance


def visit(instance: "Instance", zone: str, at: int) -> str:
    return instance.visit(campaign_id=2, source_id=2, v1=zone, at=at, **COST)


def black(instance: "Instance", **others: Any) -> int:
    body = {"name": "Cut", "kind": "black", "source_id": 2, "dimension": "spot"} | others
    return int(instance.made("lists", body)["id"])


def add(instance: "Instance", number: int, *values: str, **others: Any) -> Any:
    return instance.api.post(f"/api/v1/lists/{number}/entries", json={"values": values, "period": "today"} | others)


def faults(answer: Any) -> list[tuple[str, str]]:
    return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


def test_a_value_is_added_with_the_figures_of_its_source_and_keeps_them(sold: "Instance") -> None:
    number = black(sold)
    assert add(sold, number, "a", "b", "a", "c").json() == {"changed": 3, "unchanged": 1, "entries": 3}
    visit(sold, "a", sold.now)
    settle_facts(sold.ledger, sold.facts)
    assert add(sold, number, "a").json() == {"changed": 0, "unchanged": 1, "entries": 3}
    items = {item["value"]: item for item in sold.got(f"lists/{number}/entries")["items"]}
    figures = {
        value: (item["clicks"], item["conversions"], item["cost"]["amount"], item["revenue"]["amount"])
        for value, item in items.items()
    }
    assert figures == {"a": (3, 0, "4.5", "0"), "b": (1, 1, "1.5", "10"), "c": (0, 0, "0", "0")}
    assert sold.got(f"lists/{number}")["entries"] == ["a", "b", "c"]


def test_a_removed_value_keeps_its_history_and_can_be_added_again(sold: "Instance") -> None:
    number = black(sold)
    add(sold, number, "a")
    gone = sold.api.post(f"/api/v1/lists/{number}/entries/remove", json={"values": ["a", "x"]})
    assert gone.json() == {"changed": 1, "unchanged": 1, "entries": 0}
    add(sold, number, "a")
    items = sold.got(f"lists/{number}/entries")["items"]
    assert [(item["value"], item["removed_at"] is None) for item in items] == [("a", True), ("a", False)]


def test_a_value_added_by_several_at_once_is_in_the_list_once(sold: "Instance") -> None:
    number = black(sold)
    with ThreadPoolExecutor(4) as threads:
        answers = [made.result().json() for made in [threads.submit(add, sold, number, "a", "b") for _ in range(4)]]
    assert sum(answer["changed"] for answer in answers) == 2
    assert sorted(sold.got(f"lists/{number}")["entries"]) == ["a", "b"]
    assert len(sold.got(f"lists/{number}/entries")["items"]) == 2


def test_what_arrives_after_the_grace_of_a_value_is_told_with_its_cost(sold: "Instance") -> None:
    number = black(sold)
    add(sold, number, "a", "b")
    added_at = sold.now
    for late in (HOUR_MS - 1, HOUR_MS, 2 * HOUR_MS):
        visit(sold, "a", added_at + late)
    visit(sold, "free", added_at + 2 * HOUR_MS)
    sold.now = added_at + 3 * HOUR_MS
    settle_facts(sold.ledger, sold.facts)
    told = sold.got(f"lists/{number}/arriving")
    assert [(row["value"], row["clicks"], row["cost"]["amount"]) for row in told["rows"]] == [("a", 2, "3")]
    assert (told["clicks"], told["cost"]["amount"]) == (2, "3")
    assert sold.got(f"lists/{number}/arriving?grace_hours=0")["clicks"] == 3
    assert sold.got(f"lists/{number}/arriving?grace_hours=3")["rows"] == []


def test_each_value_has_its_own_moment_from_which_clicks_count(sold: "Instance") -> None:
    number = black(sold)
    add(sold, number, "a")
    first = sold.now
    sold.now = first + 2 * HOUR_MS
    add(sold, number, "b")
    for zone in ("a", "b"):
        visit(sold, zone, first + 2 * HOUR_MS + 1)
        visit(sold, zone, first + 4 * HOUR_MS)
    sold.now = first + 5 * HOUR_MS
    settle_facts(sold.ledger, sold.facts)
    rows = sold.got(f"lists/{number}/arriving")["rows"]
    assert {row["value"]: row["clicks"] for row in rows} == {"a": 2, "b": 1}


def test_a_list_of_records_and_of_countries_takes_their_names(sold: "Instance") -> None:
    offers = black(sold, name="Offers", dimension="offer", kind="watch")
    assert add(sold, offers, "1").json()["changed"] == 1
    countries = black(sold, name="Countries", dimension="country", kind="white")
    add(sold, countries, "germany", "DE", "de")
    assert sold.got(f"lists/{countries}")["entries"] == ["DE"]


@pytest.mark.parametrize("name", ["germany", "de", "DE"])
def test_values_are_removed_by_the_names_that_they_are_added_by(sold: "Instance", name: str) -> None:
    countries = black(sold, dimension="country")
    add(sold, countries, "germany", "FR")
    gone = sold.api.post(f"/api/v1/lists/{countries}/entries/remove", json={"values": [name]})
    assert gone.json() == {"changed": 1, "unchanged": 0, "entries": 1}


def test_a_value_whose_parameter_is_gone_can_be_removed(sold: "Instance") -> None:
    number = black(sold)
    add(sold, number, "a")
    assert sold.got(f"lists/{number}")["dimension"] == "Spot"
    assert sold.api.patch("/api/v1/traffic-sources/2", json={"parameters": ROWS[:1]}).status_code == 200
    gone = sold.api.post(f"/api/v1/lists/{number}/entries/remove", json={"values": ["a"]})
    assert gone.json()["changed"] == 1


def test_against_a_white_list_arrives_what_is_not_on_it(sold: "Instance") -> None:
    number = black(sold, kind="white")
    assert sold.got(f"lists/{number}/arriving")["rows"] == []
    add(sold, number, "a")
    for late, zone in ((HOUR_MS - 1, "b"), (HOUR_MS, "a"), (HOUR_MS, "b"), (2 * HOUR_MS, "free")):
        visit(sold, zone, sold.now + late)
    sold.now += 3 * HOUR_MS
    settle_facts(sold.ledger, sold.facts)
    rows = sold.got(f"lists/{number}/arriving")["rows"]
    assert {row["value"]: (row["clicks"], row["added_at"]) for row in rows} == {"b": (1, None), "free": (1, None)}
    add(sold, number, "b")
    assert sold.got(f"lists/{number}/arriving")["rows"] == []


def test_a_list_is_exported_as_lines_as_csv_and_as_json(sold: "Instance") -> None:
    number = black(sold)
    add(sold, number, "a", "=b")
    path = f"/api/v1/lists/{number}/export"
    assert sold.api.get(path).text == "a\n=b\n"
    assert sold.api.get(f"{path}?format=json").json() == ["a", "=b"]
    head, first, second = sold.api.get(f"{path}?format=csv").text.splitlines()
    assert head.lstrip("\ufeff").split(",")[:2] == ["value", "added_at"]
    assert first.endswith(",3,0,4.5,0,USD")
    assert second.startswith("'=b,")  # a spreadsheet would calculate it


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"dimension": "nowhere"}, ("dimension", "not_found")),
        ({"source_id": 1}, ("dimension", "not_found")),
        ({"source_id": 99}, ("source_id", "not_found")),
        ({"source_id": None}, ("source_id", "required")),
        ({"dimension": ""}, ("dimension", "required")),
        ({"dimension": "day"}, ("dimension", "not_allowed")),
        ({"dimension": "status"}, ("dimension", "not_allowed")),
        ({"kind": "plain"}, ("kind", "not_allowed")),
        ({"entries": ["a"]}, ("entries", "not_allowed")),
    ],
)
def test_a_list_without_a_suitable_source_and_dimension_is_refused(
    sold: "Instance", given: dict[str, Any], fault: tuple[str, str]
) -> None:
    body = {"name": "Cut", "kind": "black", "source_id": 2, "dimension": "spot"} | given
    answer = sold.api.post("/api/v1/lists", json=body)
    assert answer.status_code == 422, answer.text
    assert faults(answer) == [fault]


def test_values_that_cannot_be_added_are_named(sold: "Instance") -> None:
    number = black(sold)
    assert faults(add(sold, number)) == [("values", "required")]
    assert faults(sold.api.post(f"/api/v1/lists/{number}/entries/remove", json={})) == [("values", "required")]
    assert faults(add(sold, number, "x" * 65_536)) == [("values[0]", "too_long")]
    assert faults(add(sold, number, *map(str, range(10_001)))) == [("values", "too_many")]
    assert add(sold, number, *map(str, range(10_000))).status_code == 200
    assert faults(add(sold, number, "one more")) == [("entries", "too_many")]
    assert len(sold.got(f"lists/{number}")["entries"]) == 10_000
    changed = sold.api.patch(f"/api/v1/lists/{number}", json={"entries": ["x"]})
    assert faults(changed) == [("entries", "not_allowed")]
    offers = black(sold, name="Offers", dimension="offer")
    assert faults(add(sold, offers, "nobody")) == [("values[0]", "not_found")]


def test_plain_and_archived_lists_take_no_values_with_figures(sold: "Instance") -> None:
    plain = int(sold.made("lists", {"name": "Plain", "entries": ["a"]})["id"])
    assert faults(add(sold, plain, "b")) == [("", "not_allowed")]
    archived = black(sold)
    add(sold, archived, "a")
    sold.api.delete(f"/api/v1/lists/{archived}")
    assert faults(add(sold, archived, "b")) == [("", "archived")]
    gone = sold.api.post(f"/api/v1/lists/{archived}/entries/remove", json={"values": ["a"]})
    assert faults(gone) == [("", "archived")]
    assert add(sold, 99, "b").status_code == 404
