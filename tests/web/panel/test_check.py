"""The findings of the check as a page."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.web.panel.conftest import Panel


def test_findings_stand_with_severity_remedy_and_the_way_to_where_it_is_mended(panel: "Panel") -> None:
    panel.instance.set_up()
    panel.instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": ""})
    page = panel.get("/panel/check")
    assert 'href="/panel/traffic-sources/1#postback_url"' in page
    assert "error" in panel.words(page)


def test_a_campaigns_own_findings_can_be_asked_for(panel: "Panel") -> None:
    panel.instance.set_up()
    words = panel.words(panel.get("/panel/check?campaign_id=1"))
    assert "Seen lately" in words
    assert "Campaign" in words
    panel.get("/panel/check?campaign_id=99", status=404)


def test_recent_clicks_without_an_external_id_are_counted(panel: "Panel") -> None:
    panel.instance.set_up()
    panel.instance.visit(external_id="")
    assert "1 100 %" in panel.words(panel.get("/panel/check"))


def test_an_empty_instance_leads_to_the_first_campaign(panel: "Panel") -> None:
    assert "/panel/campaigns/new" in panel.get("/panel/check")
