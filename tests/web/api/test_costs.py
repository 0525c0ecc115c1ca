"""The cost models of a campaign, over the API and as the edge applies them."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.store.ledger.setup.catalog import read_catalog

if TYPE_CHECKING:
    from tests.web.conftest import Instance

AMOUNT = {"amount": "1.5"}
SHOWN = {"amount": "1.5", "currency": "USD"}


def of_a_click(instance: "Instance") -> int | None:
    """Return the cost per click that the edge applies to the campaign; None: the cost in the link."""
    with instance.ledger.read() as tx:
        return read_catalog(tx, ()).campaigns[0].cost_micros


@pytest.mark.parametrize(
    ("given", "shown", "micros"),
    [
        ({}, ("link", None), None),
        ({"cost": None}, ("link", None), None),
        ({"cost": AMOUNT}, ("per_click", SHOWN), 1_500_000),
        ({"cost_model": "per_click", "cost": AMOUNT}, ("per_click", SHOWN), 1_500_000),
        ({"cost_model": "per_thousand", "cost": AMOUNT}, ("per_thousand", SHOWN), 1_500),
        ({"cost_model": "per_thousand", "cost": {"amount": "0.0015"}}, ("per_thousand", None), 2),
        ({"cost_model": "none"}, ("none", None), 0),
        ({"cost_model": "link", "cost": None}, ("link", None), None),
    ],
)
def test_a_campaign_has_the_cost_that_it_is_given(
    instance: "Instance", given: dict[str, Any], shown: tuple[str, dict[str, str] | None], micros: int | None
) -> None:
    instance.set_up()
    answer = instance.api.patch("/api/v1/campaigns/1", json=given)
    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert view["cost_model"] == shown[0]
    assert view["cost"] == (shown[1] or (given.get("cost") and {"amount": "0.0015", "currency": "USD"}))
    assert of_a_click(instance) == micros


def test_another_model_keeps_the_amount_and_one_without_drops_it(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"cost": AMOUNT})
    changed = instance.api.patch("/api/v1/campaigns/1", json={"cost_model": "per_thousand"}).json()
    assert (changed["cost_model"], changed["cost"]) == ("per_thousand", SHOWN)
    assert instance.api.patch("/api/v1/campaigns/1", json={"name": "Other"}).json()["cost_model"] == "per_thousand"
    changed = instance.api.patch("/api/v1/campaigns/1", json={"cost_model": "none"}).json()
    assert (changed["cost_model"], changed["cost"]) == ("none", None)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"cost_model": "per_click"}, "required"),
        ({"cost_model": "per_thousand", "cost": None}, "required"),
        ({"cost_model": "link", "cost": AMOUNT}, "not_allowed"),
        ({"cost_model": "none", "cost": AMOUNT}, "not_allowed"),
        ({"cost_model": "per_thousand", "cost": {"amount": "-1"}}, "out_of_range"),
    ],
)
def test_a_model_and_an_amount_that_do_not_fit_are_refused(
    instance: "Instance", given: dict[str, Any], code: str
) -> None:
    instance.set_up()
    assert instance.faults(instance.api.patch("/api/v1/campaigns/1", json=given)) == {"cost": code}


def test_a_copy_costs_the_same(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"cost_model": "per_thousand", "cost": AMOUNT})
    copy = instance.api.post("/api/v1/campaigns/1/clone", json={}).json()
    assert (copy["cost_model"], copy["cost"]) == ("per_thousand", SHOWN)
