"""The page of a black list: its values with their figures, what still arrives, and history."""

from typing import TYPE_CHECKING

from clickloop.tracking.settle import settle_facts

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

FIELDS = {"name": "Cut", "kind": "black", "source_id": "1", "dimension": "country", "entries": "", "notes": ""}


def test_a_value_is_added_seen_arriving_and_removed_on_the_page_of_a_list(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit(country="DE", cost_micros=2_000_000, cost_currency="USD", at=instance.now - 1)
    settle_facts(instance.ledger, instance.facts)
    assert panel.done("/panel/lists/new", FIELDS) == "/panel/lists/1?said=created"
    assert "No values yet" in panel.page("/panel/lists/1").text
    panel.done("/panel/lists/1/entries", {"values": "germany\r\nFR"})
    page = panel.page("/panel/lists/1")
    assert (page.table.column("Value"), page.table.column("Cost")) == (["FR", "DE"], ["0 USD", "2 USD"])
    assert "Still arriving" not in page.text
    instance.visit(country="DE", at=instance.now + 3_600_000)
    instance.now += 7_200_000
    settle_facts(instance.ledger, instance.facts)
    assert "Still arriving after the cut" in panel.page("/panel/lists/1").text
    panel.done("/panel/lists/1", {"name": "Cut zones", "notes": "x"})
    panel.done("/panel/lists/1/entries/remove", {"value": "DE"})
    assert instance.got("lists/1")["entries"] == ["FR"]


def test_what_is_wrong_with_added_values_stands_on_the_page(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.done("/panel/lists/new", FIELDS)
    page = panel.sent("/panel/lists/1/entries", {"values": ""}, 422)
    assert "Give at least one value." in page.text
    page = panel.sent("/panel/lists/new", FIELDS | {"name": "Other", "dimension": "nowhere"}, 422)
    assert "nowhere" in page.text
