"""Reruns of marks in the panel: a form, progress without JavaScript, the preview, and buttons for what can be done."""

from typing import TYPE_CHECKING

from tests.web.api.test_mark_reruns import work_off

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

PATH = "/panel/marks/reruns"


def test_the_panel_shows_progress_the_preview_and_what_can_be_done(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit(asn="24940", ip="192.0.2.1", cost_micros=20_000, cost_currency="USD")
    own = panel.done(PATH, {"marks": "datacenter", "days": "365"})
    page = panel.page(own)
    assert "Preview: waiting" in page.text
    assert '<noscript><meta http-equiv="refresh"' in page.html
    refused = panel.sent(PATH, {"marks": "repeat"}, 409)
    assert "is not finished" in refused.text
    work_off(instance)
    page = panel.page(own)
    assert "Nothing has changed yet." in page.text
    assert "0.02 USD" in page.text
    panel.done(f"{own}/apply", {})
    work_off(instance)
    assert "Applied: finished" in panel.page(own).text
    trace = panel.page(f"/panel/clicks/{click_id}")
    assert "Judged anew: gained data center." in trace.text
    assert f'href="{own}"' in trace.html
    panel.done(f"{own}/undo", {})
    assert own in panel.page("/panel/changes").addresses
    stopped = panel.page(panel.done(f"{own}/stop", {}))
    assert "Stopped. Marks changed so far stay until you undo them." in stopped.text
    assert "Undone: stopped" in stopped.text
    assert panel.sent(f"{own}/apply", {}, 409).text.count("has been undone") >= 1


def test_the_panel_names_what_is_missing(panel: "Panel") -> None:
    page = panel.sent(PATH, {"days": "7"}, 422)
    assert page.errors["marks"] == ["Choose at least one mark."]


def test_a_campaign_with_a_number_too_long_to_read_is_a_fault(panel: "Panel") -> None:
    panel.sent(PATH, {"marks": "repeat", "campaign_id": "9" * 5_000}, 422)
