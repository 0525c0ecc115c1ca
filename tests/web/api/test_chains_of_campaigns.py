"""Paths to other campaigns: no loop and no long chain is saved, whether the campaign is new, changed or follows a shared flow."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def leads_to(campaign_id: int) -> dict[str, Any]:
    """Return a flow to another campaign."""
    return {"default_paths": [{"target": "campaign", "campaign_id": campaign_id}]}


def campaign(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "source_id": 1, **more}


@pytest.fixture
def chain(instance: "Instance") -> int:
    """Return the first of four campaigns that lead from one to the next."""
    instance.set_up()
    last = 1
    for name in ("Third", "Second", "First"):
        last = int(instance.made("campaigns", campaign(name, flow=leads_to(last)))["id"])
    return last


def test_a_new_campaign_cannot_make_a_chain_longer_than_visitors_follow(instance: "Instance", chain: int) -> None:
    answer = instance.api.post("/api/v1/campaigns", json=campaign("Zeroth", flow=leads_to(chain)))
    assert answer.status_code == 422
    assert set(instance.faults(answer)) == {"flow.default_paths[0].campaign_id"}


def test_a_new_campaign_cannot_do_so_by_a_shared_flow(instance: "Instance", chain: int) -> None:
    flow = instance.made("flows", {"name": "Deep", **leads_to(chain)})
    answer = instance.api.post("/api/v1/campaigns", json=campaign("Zeroth", flow_id=flow["id"]))
    assert answer.status_code == 422
    assert set(instance.faults(answer)) == {"flow_id"}


def test_a_copy_of_a_campaign_that_leads_on_is_saved(instance: "Instance", chain: int) -> None:
    assert instance.api.post(f"/api/v1/campaigns/{chain}/clone", json={}).status_code == 201


def test_two_saves_at_once_close_no_loop(instance: "Instance") -> None:
    instance.set_up()
    other = instance.made("campaigns", campaign("Other"))["id"]

    def save(pair: tuple[int, int]) -> int:
        return int(instance.api.patch(f"/api/v1/campaigns/{pair[0]}", json={"flow": leads_to(pair[1])}).status_code)

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(save, [(1, other), (other, 1)])) == [200, 422]


def test_the_offers_of_a_campaign_that_follows_a_shared_flow_are_refused_unless_unchanged(instance: "Instance") -> None:
    instance.set_up()
    flow = instance.made("flows", {"name": "Shared", "default_paths": [{"offers": [{"offer_id": 1}]}]})
    before = instance.api.patch("/api/v1/campaigns/1", json={"flow_id": flow["id"]}).json()
    again = {"offers": before["offers"], "notes": "as before"}
    assert instance.api.patch("/api/v1/campaigns/1", json=again).status_code == 200
    refused = instance.api.patch("/api/v1/campaigns/1", json={"offers": [{"offer_id": 1, "weight": 7}]})
    assert refused.status_code == 422
    assert set(instance.faults(refused)) == {"offers"}
    both = {"offers": [{"offer_id": 1, "weight": 7}], "flow_id": None}
    assert instance.api.patch("/api/v1/campaigns/1", json=both).status_code == 200
