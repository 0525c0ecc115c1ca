"""A newcomer's way: what is told after each step, and pages that need no choosing."""

from typing import TYPE_CHECKING

from clickloop.click.click import Screening
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

OFFER = {"name": "Offer", "url": "https://network.example/?sub1={clickid}"}


def test_after_each_step_the_next_one_is_named(panel: "Panel", instance: "Instance") -> None:
    instance.made("traffic-sources", {"name": "Source"})
    html = panel.get("/panel/traffic-sources/1?said=created")
    assert '<a href="/panel/networks/presets">Next: add a network →</a>' in html
    instance.made("networks", {"name": "Network"})
    assert '<a href="/panel/offers/new">Next: add an offer →</a>' in panel.get("/panel/networks/1?said=created")
    instance.made("offers", OFFER)
    assert '<a href="/panel/campaigns/new">Next: make a campaign →</a>' in panel.get("/panel/offers/1?said=created")
    instance.made("campaigns", {"name": "Campaign", "source_id": 1, "offers": [{"offer_id": 1}]})
    html = panel.get("/panel/campaigns/1?said=created")
    assert '<a href="/panel/try/test?campaign_id=1">Next: test the loop →</a>' in html


def test_who_begins_elsewhere_is_led_to_the_first_step_that_is_left(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "Network"})
    assert "Next: add a traffic source →" in panel.get("/panel/networks/1?said=created")


def test_no_next_step_is_named_once_the_loop_was_tried_or_when_nothing_was_created(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    assert "Next:" not in panel.get("/panel/campaigns/1?said=saved")
    instance.visit(screening=Screening.TEST)
    assert "Next:" not in panel.get("/panel/campaigns/1?said=created")


def test_the_only_campaign_is_chosen_by_itself(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert "What the link brings" in panel.get("/panel/try")
    assert "Make a test click" in panel.get("/panel/try/test")


def test_of_several_campaigns_one_is_to_be_chosen(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("campaigns", {"name": "Second", "source_id": 1, "offers": [{"offer_id": 1}]})
    html = panel.get("/panel/try")
    assert "What the link brings" not in html
    assert "Choose a campaign, a click or a conversion above" in html
    assert "Choose a campaign to make one" in panel.get("/panel/try/test")


def test_without_a_campaign_the_first_step_that_is_left_is_named(panel: "Panel", instance: "Instance") -> None:
    assert "Add a traffic source first" in panel.page("/panel/try").text
    instance.made("traffic-sources", {"name": "Source"})
    html = panel.get("/panel/try/test")
    assert "Add a network first" in Page(html).text
    assert 'href="/panel/networks/presets"' in html
