"""Trace in the panel: any ID leads to its click's timeline."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.clock import DAY_MS
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel


def converted(instance: "Instance", click_id: str, **fields: Any) -> Any:
    answer = instance.api.post("/api/v1/conversions", json={"click_id": click_id, "payout": "12.5"} | fields)
    return answer.json()


@pytest.mark.parametrize("by", ["click ID", "external id", "txid", "conversion", "notice", "postback"])
def test_every_id_of_a_story_leads_to_it(panel: "Panel", instance: "Instance", by: str) -> None:
    instance.set_up()
    click_id = instance.visit(external_id="Ext-9")
    made = converted(instance, click_id, txid="T-77")
    ids = {
        "click ID": f" {click_id.upper()} ",
        "external id": "Ext-9",
        "txid": "T-77",
        "conversion": made["conversion"]["conversion_id"],
        "notice": made["notice"]["notice_id"],
        "postback": instance.got("postbacks")["items"][0]["postback_id"],
    }
    answer = panel.client.get("/panel/trace", params={"q": ids[by]})
    words = Page(answer.text).text
    assert f"Click {click_id}" in words
    for told in (
        "A visitor followed the campaign link.",
        "An API request registered a conversion",
        "A conversion was registered: Sale, 12.5 USD.",
        "is queued.",
    ):
        assert told in words


def test_several_clicks_with_one_external_id_are_to_be_chosen_from(panel: "Panel", instance: "Instance") -> None:
    ids = [instance.visit(external_id="twice"), instance.visit(external_id="twice")]
    html = panel.get("/panel/trace?q=twice")
    assert all(f'href="/panel/trace?q={click_id}"' in html for click_id in ids)


def test_old_clicks_with_an_external_id_are_found_when_no_new_one_has_it(panel: "Panel", instance: "Instance") -> None:
    old = instance.visit(external_id="again", at=instance.now - 30 * DAY_MS)
    assert f"Click {old}" in panel.page("/panel/trace?q=again").text
    new = instance.visit(external_id="again")
    assert f"Click {new}" in panel.page("/panel/trace?q=again").text
    everything = panel.get("/panel/trace?q=again&all=true")
    assert old in everything
    assert new in everything


def test_a_refused_notice_without_a_click_leads_to_its_own_page(panel: "Panel", instance: "Instance") -> None:
    instance.api.post("/api/v1/conversions", json={"click_id": "abc"})
    notice_id = instance.got("notices")["items"][0]["notice_id"]
    answer = panel.client.get(f"/panel/trace?q={notice_id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/panel/notices/{notice_id}")


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        ("0" * 26, "looks like one of our IDs but is not valid"),
        ("{clickid}", "a macro that was not replaced"),
        ("nothing", "not one of our IDs"),
    ],
)
def test_what_is_not_found_is_told_with_what_it_looks_like(panel: "Panel", pasted: str, told: str) -> None:
    assert told in panel.page(f"/panel/trace?q={pasted}").text


def test_a_genuine_id_of_which_nothing_has_come_is_told_so(panel: "Panel", instance: "Instance") -> None:
    click_id = instance.click_ids.new(instance.now)
    assert "nor anything else with this ID has arrived" in panel.page(f"/panel/trace?q={click_id}").text


def test_a_click_on_its_way_is_told_by_its_notices(panel: "Panel", instance: "Instance") -> None:
    click_id = instance.click_ids.new(instance.now)
    converted(instance, click_id)
    html = panel.get(f"/panel/trace?q={click_id}")
    assert "waits for its click to arrive" in html
    assert f'data-refresh="/panel/clicks/{click_id}"' in html


def test_an_empty_trace_is_a_form(panel: "Panel") -> None:
    assert "Paste any of its IDs, or search the setup by name." in panel.words(panel.get("/panel/trace"))


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("campaign", "/panel/campaigns/1"),
        ("OFFE", "/panel/offers/1"),
        ("Network", "/panel/networks/1"),
        ("Traffic source post", "/panel/postback-rules/1"),
    ],
)
def test_a_name_leads_to_its_record(panel: "Panel", instance: "Instance", wanted: str, place: str) -> None:
    instance.set_up()
    answer = panel.client.get("/panel/trace", params={"q": wanted})
    assert (answer.status_code, answer.headers["location"]) == (303, place)


def test_the_key_of_a_campaign_link_leads_to_the_campaign(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    key = instance.got("campaigns/1")["key"]
    answer = panel.client.get("/panel/trace", params={"q": key})
    assert (answer.status_code, answer.headers["location"]) == (303, "/panel/campaigns/1")


def test_several_names_and_ids_are_all_listed_with_archived_ones_last(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("campaigns", {"name": "Older source test", "source_id": 1, "offers": [{"offer_id": 1}]})
    instance.api.delete("/api/v1/campaigns/2")
    instance.made("campaigns", {"name": "The source again", "source_id": 1, "offers": [{"offer_id": 1}]})
    click_id = instance.visit(external_id="source")
    html = panel.get("/panel/trace?q=source")
    places = [html.index(f'href="/panel/{place}"') for place in ("campaigns/3", "campaigns/2", "traffic-sources/1")]
    assert places == sorted(places)
    assert f'href="/panel/trace?q={click_id}"' in html


@pytest.mark.parametrize("wanted", ["%", "_", "%%", "__", "o", "\\", "\x00\x00"])
def test_signs_of_patterns_and_single_letters_match_no_names(panel: "Panel", instance: "Instance", wanted: str) -> None:
    instance.set_up()
    assert "Nothing found." in panel.words(panel.client.get("/panel/trace", params={"q": wanted}).text)


def test_the_page_of_a_click_says_what_its_marks_mean_and_where_a_cap_sent_it(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    instance.made("offers", {"name": "Full", "url": "https://network.example/?s={clickid}"})
    seen = "none;unseen;;;;3;1;4"
    click_id = instance.visit(marks="datacenter,repeat", unique=False, offer_id=1, instead_of=2, seen=seen)
    page = panel.page(f"/panel/trace?q={click_id}")
    assert "data center: The address belongs to a hosting company." in page.text
    assert "Unique no" in page.text
    assert "instead of Full, whose cap was reached" in page.text
    assert "none;unseen" not in page.text
