"""Entered costs over the API: entries, uploads, and where the cost of a group comes from."""

from typing import TYPE_CHECKING, Any

from clickloop.store.ledger.setup.catalog import read_catalog
from clickloop.tracking.costs.working import CostWorker
from clickloop.tracking.settle import settle_facts

if TYPE_CHECKING:
    from tests.web.conftest import Instance

DAY = {"campaign_id": 1, "from": "2026-03-01"}


def work(instance: "Instance") -> None:
    worker = CostWorker(instance.ledger, instance.facts.costs, lambda: instance.now)
    while worker.step():
        pass


def entered(instance: "Instance", amount: str = "3", **fields: Any) -> Any:
    answer = instance.api.post("/api/v1/costs", json=DAY | {"amount": {"amount": amount}} | fields)
    assert answer.status_code == 202, answer.text
    return answer.json()


def cost(instance: "Instance") -> str:
    return str(instance.got("reports?period=today")["totals"]["cost"]["amount"])


def test_an_entry_is_previewed_entered_listed_and_undone(instance: "Instance") -> None:
    instance.set_up()
    instance.visit(v1="a", cost_micros=500_000, cost_currency="USD")
    instance.visit(v1="b", cost_micros=500_000, cost_currency="USD")
    body = DAY | {"amount": {"amount": "3"}, "filters": {"ZONE": ["a"]}}
    preview = instance.api.post("/api/v1/costs/preview", json=body).json()
    assert (preview["clicks"], preview["clicks_bearing"], preview["overlaps"]) == (1, 1, [])
    view = entered(instance, filters={"ZONE": ["a"]}, key="zone a", note="Invoice")
    assert (view["state"], view["filters"], view["amount"]) == (
        "waiting",
        {"v1": ["a"]},
        {"amount": "3", "currency": "USD"},
    )
    assert entered(instance, filters={"zone": ["a"]}, key="zone a") == view
    work(instance)
    assert cost(instance) == "3.5"
    (listed,) = instance.got("costs?campaign_id=1")["items"]
    assert (listed["state"], listed["clicks_covered"], listed["unattributed"]) == ("applied", 1, None)
    assert instance.api.post("/api/v1/costs/1/undo").status_code == 202
    work(instance)
    assert (cost(instance), instance.got("costs/1")["state"]) == ("1", "undone")
    assert instance.api.get("/api/v1/costs/2").status_code == 404
    assert instance.api.post("/api/v1/costs/2/undo").status_code == 404


def test_faults_are_named_by_field(instance: "Instance") -> None:
    instance.set_up()
    body = {"from": "2026-03-01", "zone": "Nowhere", "amount": {"amount": "-1"}, "filters": {"colour": ["x"]}}
    answer = instance.api.post("/api/v1/costs", json=body)
    assert set(instance.faults(answer)) == {"zone", "campaign_id", "amount.amount", "filters.colour"}


def test_unattributed_entries_are_listed(instance: "Instance") -> None:
    instance.set_up()
    instance.visit()
    entered(instance)
    entered(instance, amount="4", **{"from": "2026-02-01"})
    work(instance)
    (listed,) = instance.got("costs?unattributed=true")["items"]
    assert listed["unattributed"] == {"amount": "4", "currency": "USD"}


def test_a_cell_tells_where_its_cost_comes_from(instance: "Instance") -> None:
    instance.set_up()
    rule = "per_click;per_conversion 2000000 USD"
    click_id = instance.visit(country="DE", cost_micros=1_000_000, cost_currency="USD", cost_rule=rule)
    instance.visit(country="FR", cost_micros=1_000_000, cost_currency="USD")
    instance.visit(country="FR", v1="x")
    instance.made("conversions", {"click_id": click_id, "payout": "10"})
    settle_facts(instance.ledger, instance.facts)
    entered(instance, filters={"zone": ["x"]})
    work(instance)
    found = instance.got("costs/origins?period=today&group_by=country")["rows"]
    assert [
        (row["keys"], [(one["origin"], one["certainty"], one["share"]) for one in row["origins"]]) for row in found
    ] == [
        (["DE"], [("model", "estimated", "33.33"), ("model", "estimated", "66.67")]),
        (["FR"], [("link", "measured", "25.00"), ("api", "spread", "75.00")]),
    ]
    assert found[1]["origins"][1]["cost_id"] == 1
    assert cost(instance) == "7"


def test_a_table_is_previewed_entered_and_undone(instance: "Instance") -> None:
    instance.set_up()
    instance.visit(v1="a")
    table = "date;campaign;zone;cost\n2026-03-01;1;a;4\n2026-03-01;1;b;1\n2026-03-01;9;b;1\n"
    csv = {"content-type": "text/csv"}
    address = "/api/v1/costs/uploads?source_id=1&partial=true"
    preview = instance.api.post(f"{address}&preview=true", content=table, headers=csv)
    assert preview.status_code == 200, preview.text
    told = preview.json()
    assert told["counts"] == {"matched": 1, "without_clicks": 1, "unknown_campaign": 1, "unreadable": 0}
    assert (told["upload_id"], told["amounts"]) == (None, [{"amount": "5", "currency": "USD"}])
    answer = instance.api.post(address, content=table, headers=csv)
    assert answer.status_code == 202, answer.text
    work(instance)
    assert cost(instance) == "4"
    undone = instance.api.post(f"/api/v1/costs/uploads/{answer.json()['upload_id']}/undo")
    assert [one["state"] for one in undone.json()] == ["undoing", "undoing"]
    work(instance)
    assert cost(instance) == "0"
    assert instance.api.post(address, content="x", headers=csv).status_code == 422
    assert instance.api.post(address, content="x", headers={"content-type": "image/png"}).status_code == 415


def test_a_campaign_has_models_for_unique_clicks_losses_and_conversions(instance: "Instance") -> None:
    instance.set_up()
    models = {"unique_cost_only": True, "loss_percent": 10, "conversion_cost": {"amount": "1.5", "statuses": ["sale"]}}
    answer = instance.api.patch("/api/v1/campaigns/1", json={"cost": {"amount": "0.9"}} | models)
    assert answer.status_code == 200, answer.text
    assert answer.json()["conversion_cost"] == {"amount": "1.5", "percent": 0, "statuses": ["sale"]}
    with instance.ledger.read() as tx:
        campaign = read_catalog(tx, ()).campaigns[0]
    assert (campaign.cost_micros, campaign.unique_cost_only) == (1_000_000, True)
    assert campaign.cost_rule == "per_unique;per_conversion 1500000 * sale"
    faulty = instance.api.patch("/api/v1/campaigns/1", json={"conversion_cost": {"amount": "x"}})
    assert list(instance.faults(faulty)) == ["conversion_cost.amount"]


def test_a_click_tells_what_it_costs_why_and_what_it_cost_before(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit(v1="a", cost_micros=500_000, cost_currency="USD")
    instance.visit(v1="b")

    def costs() -> list[tuple[str, str, str, int | None]]:
        found = instance.got(f"clicks/{click_id}/costs")
        return [(one["origin"], one["amount"]["amount"], one["state"], one["clicks_bearing"]) for one in found]

    assert costs() == [("link", "0.5", "counts", None)]
    entered(instance, "3")
    entered(instance, "7", filters={"zone": ["a"]})
    work(instance)
    assert costs() == [("link", "0.5", "covered", None), ("api", "1.5", "covered", 2), ("api", "7", "counts", 1)]
    instance.api.post("/api/v1/costs/2/undo")
    work(instance)
    assert costs() == [("link", "0.5", "covered", None), ("api", "1.5", "counts", 2), ("api", "0", "undone", 1)]
    events = [one for one in instance.got(f"clicks/{click_id}/trace")["events"] if one["kind"] == "cost"]
    assert sorted(one["sentence"] for one in events) == [
        "Cost entry 1 was entered: 3 USD over 2 clicks, 1.5 USD of it on this click.",
        "Cost entry 2 was entered: 7 USD over 1 click.",
        "Cost entry 2 was undone.",
    ]
    text = instance.api.get(f"/api/v1/clicks/{click_id}/trace?format=text").text
    assert "cost now: 1.5 USD from cost entry 1 (api): 3 USD over 2 clicks" in text


def test_a_report_tells_of_each_cell_how_much_is_measured_and_how_much_spread(instance: "Instance") -> None:
    instance.set_up()
    instance.visit(v1="a", cost_micros=500_000, cost_currency="USD")
    instance.visit(v1="b", cost_micros=500_000, cost_currency="USD")
    entered(instance, "3", filters={"zone": ["a"]})
    work(instance)
    question = "reports?period=today&group_by=v1&column=cost&sort=key"
    found = instance.got(f"{question}&origins=true")
    rows = [{name: one["amount"] for name, one in row["cost_parts"].items()} for row in found["rows"]]
    nothing = {"measured": "0", "estimated": "0", "manual": "0", "upload": "0", "api": "0"}
    assert rows == [nothing | {"api": "3"}, nothing | {"measured": "0.5"}]
    assert found["totals_cost_parts"]["measured"] == {"amount": "0.5", "currency": "USD"}
    assert "cost_parts" not in instance.got(question)["rows"][0]
    lines = instance.api.get(f"/api/v1/{question}&origins=true&format=csv").text.splitlines()
    assert "Cost measured by links, USD" in lines[0]
    assert "Cost spread from the API, USD" in lines[0]
    assert [line.split(",")[-6:] for line in lines[1:]] == [
        ["0", "0", "0", "0", "3", ""],
        ["0.5", "0", "0", "0", "0", ""],
        ["0.5", "0", "0", "0", "3", ""],
    ]


def test_a_report_states_the_cost_that_no_click_bears_apart_from_its_totals(instance: "Instance") -> None:
    instance.set_up()
    instance.visit(v1="a")
    assert "unattributed" not in instance.got("reports?period=today")
    entered(instance, "3", filters={"zone": ["z"]})
    entered(instance, "4", filters={"zone": ["y"]})
    entered(instance, "5", filters={"zone": ["a"]})
    work(instance)
    found = instance.got("reports?period=today&group_by=campaign&column=cost")
    assert found["totals"]["cost"]["amount"] == "5"
    usd = {"amount": "7", "currency": "USD"}
    assert found["unattributed"] == {"entries": 2, "amount": usd, "not_converted": []}
    assert instance.got("reports?period=today&filter=v1:z")["unattributed"]["amount"]["amount"] == "3"
    assert "unattributed" not in instance.got("reports?period=today&filter=campaign:1&filter=v1:a")
    csv = instance.api.get("/api/v1/reports?period=today&group_by=campaign&column=cost&format=csv").text
    assert [line.split(",")[:2] for line in csv.splitlines()[-2:]] == [["Unattributed cost", "7"], ["Total", "5"]]


def test_cost_in_a_currency_without_a_rate_is_kept_and_listed_apart(instance: "Instance") -> None:
    instance.set_up()
    instance.visit(v1="a")
    for zone in ("a", "z"):
        body = DAY | {"amount": {"amount": "5", "currency": "UAH"}, "filters": {"zone": [zone]}}
        assert instance.api.post("/api/v1/costs", json=body).status_code == 202
    work(instance)
    found = instance.got("reports?period=today&origins=true")
    assert (found["totals"]["cost"]["amount"], found["totals_cost_parts"]["api"]["amount"]) == ("0", "0")
    uah = {"amount": "5", "currency": "UAH"}
    assert [one["cost"] for one in found["totals"]["not_converted"]] == [uah]
    assert found["unattributed"]["not_converted"] == [uah]
