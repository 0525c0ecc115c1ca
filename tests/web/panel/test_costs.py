"""The page of entered costs: preview, enter, and undo."""

from typing import TYPE_CHECKING

from clickloop.tracking.costs.working import CostWorker

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

ENTRY = {"campaign_id": "1", "from": "2026-03-01", "amount.amount": "2.50", "spread": "clicks", "filter": "v1"}


def work(instance: "Instance") -> None:
    worker = CostWorker(instance.ledger, instance.facts.costs, lambda: instance.now)
    while worker.step():
        pass


def test_an_amount_is_previewed_entered_and_undone(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit(v1="a")
    instance.visit(v1="b")
    fields = ENTRY | {"values": "a\r\nc"}
    page = panel.sent("/panel/costs", fields | {"preview": "1"}, 200)
    assert "1 of 1 clicks would bear the amount" in " ".join(page.text.split())
    assert page.fields["amount.amount"] == "2.50"
    assert panel.done("/panel/costs", fields) == "/panel/costs?said=cost-entered"
    assert panel.page("/panel/costs").refreshes
    work(instance)
    page = panel.page("/panel/costs")
    assert (page.table.column("State"), page.table.column("Clicks"), page.refreshes) == (["applied"], ["1"], [])
    panel.done("/panel/costs/1/undo")
    work(instance)
    assert panel.page("/panel/costs").table.column("State") == ["undone"]


def test_what_is_wrong_stands_beside_its_field_with_what_was_typed(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    page = panel.sent("/panel/costs", ENTRY | {"amount.amount": "much", "from": "today", "values": "a"}, 422)
    assert set(page.errors) >= {"amount.amount", "from"}
    assert page.fields["from"] == "today"
    assert "amount.amount" in panel.sent("/panel/costs", ENTRY | {"amount.amount": ""}, 422).errors


def test_a_table_is_previewed_entered_and_undone_as_one(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit()
    table = "date,campaign,zone,cost,colour\n2026-03-01,1,,4,red\n2026-03-01,Nobody's,,1,red\n"
    fields = {"table": table, "table_source": "1"}
    page = panel.sent("/panel/costs/table", fields | {"preview": "1"}, 200)
    assert page.tables[0].column("Result")[0].startswith("unknown campaign: There is no campaign")
    assert "Not used: colour" in page.text
    assert panel.sent("/panel/costs/table", fields, 422).errors["table"]
    panel.done("/panel/costs/table", fields | {"partial": "on"})
    work(instance)
    assert panel.page("/panel/costs").table.column("State") == ["applied"]
    upload_id = instance.got("costs")["items"][0]["upload_id"]
    panel.done(f"/panel/costs/tables/{upload_id}/undo")
    work(instance)
    assert panel.page("/panel/costs").table.column("State") == ["undone"]


def test_a_report_shows_where_cost_comes_from_and_what_is_unattributed(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit(v1="a", cost_micros=1_000_000, cost_currency="USD")
    instance.visit(v1="b")
    for amount, zone in (("3", "b"), ("7", "z")):
        body = {"campaign_id": 1, "from": "2026-03-01", "amount": {"amount": amount}, "filters": {"v1": [zone]}}
        assert instance.api.post("/api/v1/costs", json=body).status_code == 202
    work(instance)
    words = panel.words(panel.get("/panel/reports?period=today"))
    assert "Unattributed: 7.00 USD of cost in 1 entry that no click bears." in words
    assert "measured" not in words
    assert "75 % spread from the API" in panel.words(panel.get("/panel/reports?period=today&origins=true"))
    listed = panel.words(panel.get("/panel/costs?unattributed=true"))
    assert "v1: z" in listed
    assert "v1: b" not in listed


def test_the_page_of_a_click_says_what_it_costs_and_what_is_covered(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit(cost_micros=1_000_000, cost_currency="USD")
    body = {"campaign_id": 1, "from": "2026-03-01", "amount": {"amount": "3"}}
    instance.api.post("/api/v1/costs", json=body)
    work(instance)
    words = panel.words(panel.get(f"/panel/clicks/{click_id}"))
    assert "3 USD from cost entry 1 (api): 3 USD over 1 click covered: 1 USD from its link" in words
