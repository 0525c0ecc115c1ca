"""Landings in the panel: the editor, the code to paste, copies."""

from typing import TYPE_CHECKING

from clickloop.people.user import Role

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

URL = "https://pages.example/quiz?zone={v1}"


def form(**fields: str) -> dict[str, str]:
    """The fields of a landing's form."""
    return {"name": "Quiz", "url": URL, "buttons": "2", "append_click_id": "on", "tags": "us, mobile"} | fields


def test_an_empty_list_says_what_a_landing_is_and_leads_to_a_new_one(panel: "Panel") -> None:
    page = panel.page("/panel/landings")
    assert "your own page between the ad and the offer" in page.text
    assert page.link("New landing") == "/panel/landings/new"


def test_a_landing_is_made_as_the_form_says(panel: "Panel", instance: "Instance") -> None:
    assert panel.done("/panel/landings/new", form()) == "/panel/landings/1?said=created"
    made = instance.got("landings/1")
    assert (made["name"], made["url"], made["buttons"], made["append_click_id"]) == ("Quiz", URL, 2, True)
    assert made["tags"] == ["us", "mobile"]
    assert panel.page("/panel/landings").table.column("Name") == ["Quiz"]


def test_a_fault_stands_beside_its_field_and_what_was_typed_stays(panel: "Panel") -> None:
    page = panel.sent("/panel/landings/new", form(url="nowhere", buttons="77"), 422)
    assert set(page.errors) == {"url", "buttons"}
    assert page.fields["url"] == "nowhere"
    assert page.fields["buttons"] == "77"


def test_the_code_to_paste_has_a_link_for_each_button_and_the_script(panel: "Panel", instance: "Instance") -> None:
    instance.made("landings", {"name": "Quiz", "url": URL, "buttons": 2})
    copied = panel.page("/panel/landings/1").to_copy
    base = instance.context.base_url
    assert copied["link-1"] == f"{base}/click/1"
    assert copied["link-2"] == f"{base}/click/2"
    assert copied["script"] == f'<script src="{base}/track.js" async></script>'


def test_the_code_of_a_campaign_has_its_domain_and_key(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"domain": "go.example.com"})
    instance.made("landings", {"name": "Quiz", "url": URL})
    page = panel.page("/panel/landings/1?campaign_id=1")
    key = instance.got("campaigns/1")["key"]
    assert page.to_copy["link-1"].endswith("://go.example.com/click/1")
    assert f'//go.example.com/track.js" data-campaign="{key}"' in page.to_copy["script"]
    assert panel.page("/panel/landings/1?campaign_id=77").to_copy["link-1"].startswith(instance.context.base_url)


def test_macros_of_the_url_are_marked_and_unknown_ones_too(panel: "Panel") -> None:
    page = panel.sent("/panel/macro-preview/landing", {"field": "url", "url": "https://p.example/?a={country}&b={no}"})
    assert [one.text for one in page.root.all("mark", class_="known")] == ["{country}"]
    assert [one.text for one in page.root.all("mark", class_="unknown")] == ["{no}"]


def test_a_landing_is_copied_archived_and_restored(panel: "Panel", instance: "Instance") -> None:
    instance.made("landings", {"name": "Quiz", "url": URL, "buttons": 3})
    assert panel.done("/panel/landings/1/clone") == "/panel/landings/2?said=copied"
    copy = instance.got("landings/2")
    assert (copy["name"], copy["url"], copy["buttons"]) == ("Quiz (copy)", URL, 3)
    panel.done("/panel/landings/1/archive")
    assert panel.page("/panel/landings?archived=true").table.column("Name") == ["Quiz"]
    panel.done("/panel/landings/1/restore")
    assert panel.page("/panel/landings").table.column("Name") == ["Quiz", "Quiz (copy)"]


def test_the_list_is_narrowed_by_name_and_tag(panel: "Panel", instance: "Instance") -> None:
    instance.made("landings", {"name": "Quiz", "url": URL, "tags": ["us"]})
    instance.made("landings", {"name": "Story", "url": URL})
    assert panel.page("/panel/landings?q=sto").table.column("Name") == ["Story"]
    assert panel.page("/panel/landings?tag=us").table.column("Name") == ["Quiz"]
    assert "No landing matches" in panel.page("/panel/landings?q=none").text


def test_a_viewer_gets_no_buttons_that_change_anything(panel: "Panel", instance: "Instance") -> None:
    instance.made("landings", {"name": "Quiz", "url": URL})
    panel.become(Role.VIEWER)
    assert not {"Save", "Archive", "Duplicate"} & {*panel.page("/panel/landings/1").buttons}


def test_a_landing_is_offered_no_macro_that_is_always_empty(panel: "Panel", instance: "Instance") -> None:
    assert "city" in instance.context.empty_macros()
    page = panel.page("/panel/landings/new")
    assert "{country}" in page.text
    assert "{city}" not in page.text
