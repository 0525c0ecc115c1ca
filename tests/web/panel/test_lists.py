"""Named lists in the panel."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

NEW = "/panel/lists/new"


def test_an_empty_list_of_lists_says_what_to_do(panel: "Panel") -> None:
    page = panel.page("/panel/lists")
    assert "one per line" in page.text
    assert page.link("New list") == NEW


def test_a_list_is_pasted_one_value_per_line(panel: "Panel", instance: "Instance") -> None:
    fields = {"name": "Bad zones", "entries": "1001\r\n 1002 \r\n\r\n1001\r\na,b", "notes": "Since\r\nMay"}
    assert panel.done(NEW, fields) == "/panel/lists/1?said=created"
    made = instance.got("lists/1")
    assert made["entries"] == ["1001", "1002", "a,b"]
    assert made["notes"] == "Since\nMay"
    assert "3 values" in panel.page("/panel/lists/1").text
    assert panel.page("/panel/lists").table.column("Values") == ["3"]


def test_ten_thousand_values_fit_and_one_more_is_refused_with_what_was_typed(
    panel: "Panel", instance: "Instance"
) -> None:
    lines = [f"zone-{number}" for number in range(10_001)]
    panel.done(NEW, {"name": "Long", "entries": "\r\n".join(lines[:10_000])})
    assert len(instance.got("lists/1")["entries"]) == 10_000
    page = panel.sent(NEW, {"name": "Too long", "entries": "\r\n".join(lines)}, 422)
    assert "10,000" in page.errors["entries"][0]
    assert page.fields["entries"].splitlines()[-1] == "zone-10000"


def test_a_faulty_value_is_named_beside_the_field(panel: "Panel") -> None:
    page = panel.sent(NEW, {"name": "L", "entries": f"good\n{'x' * 1001}"}, 422)
    assert any("1000" in sentence or "1,000" in sentence for sentence in page.errors[""])


def test_values_are_changed_and_the_list_archived_and_restored(panel: "Panel", instance: "Instance") -> None:
    instance.made("lists", {"name": "Zones", "entries": ["1"]})
    panel.done("/panel/lists/1", {"name": "Zones", "entries": "2", "notes": ""})
    assert instance.got("lists/1")["entries"] == ["2"]
    panel.done("/panel/lists/1/archive")
    assert panel.page("/panel/lists?archived=true").table.column("Name") == ["Zones"]
    panel.done("/panel/lists/1/restore")
    assert panel.page("/panel/lists?q=zon").table.column("Name") == ["Zones"]
