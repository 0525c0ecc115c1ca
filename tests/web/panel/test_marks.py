"""Marks in the panel: the instance's page and a campaign's."""

from typing import TYPE_CHECKING

from clickloop.setup.mark import Mark

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

PATH = "/panel/marks"


def test_every_mark_is_shown_with_its_switch_and_threshold(panel: "Panel") -> None:
    page = panel.page(PATH)
    assert page.fields["switch.datacenter"] == "on"
    assert page.fields["switch.no_referrer"] == "off"
    assert page.fields["threshold.frequent_ip"] == ""
    assert all(mark.sentence in page.text for mark in Mark)
    assert "crawler-user-agents 1." in page.text
    assert "iCloud Private Relay is not among them" in page.text


def test_without_a_base_of_as_numbers_the_page_says_that_no_click_is_of_a_data_center(panel: "Panel") -> None:
    assert "No geo base has AS numbers, so no click gets this mark" in panel.page(PATH).text


def test_a_campaigns_marks_lead_to_its_report_and_to_its_past_clicks(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    page = panel.page("/panel/campaigns/1/marks")
    assert {"/panel/marks/reruns?campaign_id=1", "/panel/reports?group_by=mark&filter=campaign:1"} <= {*page.addresses}
    assert panel.page("/panel/marks/reruns?campaign_id=1").fields["campaign_id"] == "1"


def test_only_what_differs_from_the_defaults_is_saved(panel: "Panel", instance: "Instance") -> None:
    fields = panel.page(PATH).fields | {"threshold.frequent_ip": "100", "switch.repeat": "off"}
    panel.done(PATH, fields)
    assert instance.got("settings")["marks"] == [
        {"mark": "frequent_ip", "on": True, "threshold": 100},
        {"mark": "repeat", "on": False, "threshold": 0},
    ]
    page = panel.page(PATH)
    assert (page.fields["threshold.frequent_ip"], page.fields["switch.repeat"]) == ("100", "off")


def test_a_faulty_threshold_is_named_in_its_row_and_stays_as_typed(panel: "Panel") -> None:
    page = panel.sent(PATH, {"switch.repeat": "on", "threshold.repeat": "5", "threshold.no_view": "soon"}, 422)
    assert page.errors["threshold.repeat"] == ["Enter 100 to 60,000, or leave it out to use the default."]
    assert "threshold.no_view" in page.errors
    assert page.fields["threshold.repeat"] == "5"


def test_lists_are_chosen_by_name(panel: "Panel", instance: "Instance") -> None:
    number = instance.made("lists", {"name": "Bad addresses", "entries": ["192.0.2.0/24"]})["id"]
    assert "Bad addresses" in panel.page(PATH).text
    panel.done(PATH, {"ip_lists": str(number)})
    assert instance.got("settings")["ip_lists"] == [number]
    panel.done(PATH, {})
    assert instance.got("settings")["ip_lists"] == []


def test_a_list_with_a_number_too_long_to_read_is_a_fault_of_the_field(panel: "Panel") -> None:
    panel.sent(PATH, {"ip_lists": "9" * 5_000}, 422)


def test_a_campaign_shows_what_the_instance_has_and_saves_what_differs(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.done(PATH, {"threshold.frequent_ip": "100", "switch.datacenter": "off"})
    page = panel.page("/panel/campaigns/1/marks")
    assert {page.fields[f"switch.{mark.value}"] for mark in Mark} == {""}
    assert "as the instance (off)" in page.html
    panel.done("/panel/campaigns/1/marks", {"switch.datacenter": "on", "threshold.frequent_ip": "5"})
    assert instance.got("campaigns/1")["marks"] == [
        {"mark": "datacenter", "on": True, "threshold": 0},
        {"mark": "frequent_ip", "on": True, "threshold": 5},
    ]
    panel.done("/panel/campaigns/1/marks", {})
    assert instance.got("campaigns/1")["marks"] == []


def test_saving_the_setup_of_a_campaign_leaves_its_marks(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"marks": [{"mark": "no_referrer"}]})
    panel.done("/panel/campaigns/1", {**panel.page("/panel/campaigns/1").fields, "name": "Renamed"})
    assert instance.got("campaigns/1")["marks"] == [{"mark": "no_referrer", "on": True, "threshold": 0}]
