"""The walkthrough: messages after each step, and preselected records."""

import re
from typing import TYPE_CHECKING

from clickloop.click.click import Screening
from clickloop.people.user import Role
from tests.web.api.ending import deliver_all
from tests.web.panel.forms import forms_of
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

OFFER = {"name": "Offer", "url": "https://network.example/?sub1={clickid}"}


def test_after_each_step_the_next_one_is_named(panel: "Panel", instance: "Instance") -> None:
    instance.made("traffic-sources", {"name": "Source"})
    html = panel.get("/panel/traffic-sources/1?said=created")
    assert '<a class="button main" href="/panel/networks/presets">Step 2 of 5: add a network →</a>' in html
    instance.made("networks", {"name": "Network"})
    assert 'href="/panel/offers/new">Step 3 of 5: add an offer →</a>' in panel.get("/panel/networks/1?said=created")
    instance.made("offers", OFFER)
    assert 'href="/panel/campaigns/new">Step 4 of 5: create a campaign →</a>' in panel.get(
        "/panel/offers/1?said=created"
    )
    instance.made("campaigns", {"name": "Campaign", "source_id": 1, "offers": [{"offer_id": 1}]})
    html = panel.get("/panel/campaigns/1?said=created")
    assert 'href="/panel/try/test?campaign_id=1">Step 5 of 5: test the loop →</a>' in html


def test_who_begins_elsewhere_is_led_to_the_first_step_that_is_left(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "Network"})
    assert "Step 1 of 5: add a traffic source →" in panel.get("/panel/networks/1?said=created")


def test_no_next_step_is_named_once_the_loop_was_tried_or_when_nothing_was_created(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    assert "of 5:" not in panel.get("/panel/campaigns/1?said=saved")
    instance.visit(screening=Screening.TEST)
    assert "of 5:" not in panel.get("/panel/campaigns/1?said=created")


def test_the_only_campaign_is_chosen_by_itself(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert "Link parameters" in panel.get("/panel/try")
    assert "Open the test link" in panel.get("/panel/try/test")


def test_of_several_campaigns_one_is_to_be_chosen(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("campaigns", {"name": "Second", "source_id": 1, "offers": [{"offer_id": 1}]})
    html = panel.get("/panel/try")
    assert "Link parameters" not in html
    assert "Choose a campaign, a click or a conversion above" in html
    assert "Choose a campaign to get a test link" in panel.get("/panel/try/test")


def test_without_a_campaign_the_first_step_that_is_left_is_named(panel: "Panel", instance: "Instance") -> None:
    assert "Add a traffic source first" in panel.page("/panel/try").text
    instance.made("traffic-sources", {"name": "Source"})
    html = panel.get("/panel/try/test")
    assert "Add a network first" in Page(html).text
    assert 'href="/panel/networks/presets"' in html


def test_each_form_of_the_walk_says_which_step_it_is_until_that_is_done(panel: "Panel", instance: "Instance") -> None:
    pages = ("traffic-sources/presets", "traffic-sources/new", "networks/presets", "networks/new", "offers/new")
    steps = [re.findall(r"Step (\d) of 5", panel.words(panel.get(f"/panel/{path}"))) for path in pages]
    assert steps == [["1"], ["1"], ["2"], ["2"], ["3"]]
    assert "Step 4 of 5" in panel.words(panel.get("/panel/campaigns/new"))
    assert "Step 5 of 5" in panel.words(panel.get("/panel/try/test"))
    instance.set_up()
    for path in (*pages, "campaigns/new"):
        assert "of 5" not in panel.words(panel.get(f"/panel/{path}"))
    assert "Step 5 of 5" in panel.words(panel.get("/panel/try/test"))


def test_who_may_only_look_is_led_through_no_walk(panel: "Panel") -> None:
    panel.become(Role.VIEWER)
    assert "of 5" not in panel.words(panel.get("/panel/traffic-sources/presets"))


def test_the_only_source_and_the_only_offer_are_chosen_in_a_new_campaign(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    (form,) = (one for one in forms_of(panel.get("/panel/campaigns/new"), "") if one.action == "/panel/campaigns/new")
    assert dict(form.fields)["source_id"] == "1"
    assert dict(form.fields)["offers[0].offer_id"] == "1"
    instance.made("traffic-sources", {"name": "Second"})
    instance.made("offers", OFFER | {"name": "Second"})
    (form,) = (one for one in forms_of(panel.get("/panel/campaigns/new"), "") if one.action == "/panel/campaigns/new")
    assert dict(form.fields).get("source_id", "") == ""
    assert dict(form.fields).get("offers[0].offer_id", "") == ""


def test_most_of_the_menu_is_folded_away_until_there_is_a_campaign(panel: "Panel", instance: "Instance") -> None:
    assert '<details class="more"><summary>More</summary>' in panel.get("/panel")
    assert '<details class="more" open>' in panel.get("/panel/health")
    instance.set_up()
    assert 'class="more"' not in panel.get("/panel")


def test_the_dashboard_says_that_the_loop_works_until_the_first_visitor_comes(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    click_id = instance.visit(screening=Screening.TEST)
    instance.made("conversions", {"click_id": click_id, "payout": "1"})
    words = panel.words(panel.get("/panel"))
    assert "Test the loop" in words
    assert "Your loop works" not in words
    deliver_all(instance)
    words = panel.words(panel.get("/panel"))
    assert "Your loop works" in words
    assert "Paste the campaign link into your traffic source" in words
    assert "Put the tracker on a domain" not in words
    assert "Test the loop" not in words
    instance.visit()
    words = panel.words(panel.get("/panel"))
    assert "Your loop works" not in words
    assert "Test the loop" not in words


def test_a_test_click_says_what_became_of_the_loop(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit(screening=Screening.TEST)
    html = panel.get(f"/panel/try/test/{click_id}")
    assert "Report a test conversion" in html
    assert 'class="sheet works' not in html
    instance.made("conversions", {"click_id": click_id, "payout": "1"})
    assert "The postback is on its way" in panel.get(f"/panel/try/test/{click_id}")
    deliver_all(instance)
    words = panel.words(panel.get(f"/panel/try/test/{click_id}"))
    assert "Your loop works" in words
    assert "What comes next" in words


def test_a_loop_that_does_not_close_is_explained_with_the_place_to_correct_it(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    click_id = instance.visit(screening=Screening.TEST, external_id="")
    instance.made("conversions", {"click_id": click_id, "payout": "1"})
    words = panel.words(panel.get(f"/panel/try/test/{click_id}"))
    assert "The loop is not closed yet" in words
    assert "The click came without the source's click ID" in words
    instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": ""})
    html = panel.get(f"/panel/try/test/{click_id}")
    assert "its traffic source has no postback URL" in panel.words(html)
    assert '<a href="/panel/traffic-sources/1">Add a postback URL</a>' in html


def test_a_test_link_is_there_as_soon_as_a_campaign_is_chosen_and_none_of_an_archived_one(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    assert "clickloop_test=" in panel.get("/panel/try/test?campaign_id=1")
    instance.api.delete("/api/v1/campaigns/1")
    assert "clickloop_test=" not in panel.get("/panel/try/test?campaign_id=1")
    panel.become(Role.VIEWER)
    assert "clickloop_test=" not in panel.get("/panel/try/test?campaign_id=1")
