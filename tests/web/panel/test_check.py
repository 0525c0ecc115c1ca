"""The findings of the check as a page."""

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.receiver_queue import ReceiverCondition
from clickloop.store.ledger.queue.receivers import save_condition
from clickloop.web.panel.diagnosis.check import in_zone
from tests.web.conftest import NOW
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.panel.conftest import Panel


def test_findings_stand_with_severity_remedy_and_the_way_to_where_it_is_mended(panel: "Panel") -> None:
    panel.instance.set_up()
    panel.instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": ""})
    page = panel.get("/panel/check")
    assert 'href="/panel/traffic-sources/1#postback_url"' in page
    assert "error" in Page(page).text


def test_a_campaigns_own_findings_can_be_asked_for(panel: "Panel") -> None:
    panel.instance.set_up()
    words = panel.page("/panel/check?campaign_id=1").text
    assert "Recent activity" in words
    assert "Campaign" in words
    panel.get("/panel/check?campaign_id=99", status=404)


def test_recent_clicks_without_an_external_id_are_counted(panel: "Panel") -> None:
    panel.instance.set_up()
    panel.instance.visit(external_id="")
    assert "1 100%" in panel.words(panel.get("/panel/check"))


def test_a_mark_that_hits_many_clicks_leads_to_the_marks_of_the_campaign(panel: "Panel") -> None:
    panel.instance.set_up()
    for _ in range(100):
        panel.instance.visit(marks="repeat")
    assert "/panel/campaigns/1/marks" in panel.page("/panel/check").addresses


def test_an_empty_instance_leads_to_the_first_campaign(panel: "Panel") -> None:
    assert "/panel/campaigns/new" in panel.get("/panel/check")


def test_the_moments_of_a_finding_are_shown_in_the_readers_zone_and_all_else_as_text() -> None:
    at = "2026-11-28T00:57:00.000Z"
    shown = in_zone(
        "<b> refused, the last at 2026-11-28 00:57 UTC. Once at 2026-11-27 00:00 UTC.", [at], ZoneInfo("Asia/Tokyo")
    )
    assert "&lt;b&gt; refused, the last at <time" in shown
    assert shown.endswith(">2026-11-28 09:57</time>. Once at 2026-11-27 00:00 UTC.")


def test_a_paused_receiver_is_told_of_with_its_moments(panel: "Panel") -> None:
    panel.instance.set_up()
    standing = ReceiverCondition(pause=Pause(opened_at=NOW, probe_at=NOW + 60_000, probes=1, why="It failed."))
    with panel.instance.ledger.write() as tx:
        save_condition(tx, "r.example:443", standing)
    (finding,) = [one for one in panel.instance.got("check")["findings"] if one["code"] == "receiver_paused"]
    assert finding["moments"] == ["2026-03-01T12:00:00.000Z"]
    assert "paused since 2026-03-01 12:00 UTC" in finding["sentence"]
    assert "The receiver has been paused since <time" in panel.get("/panel/check")


def test_a_correction_of_the_set_up_is_seen_at_once_on_check_and_dashboard(panel: "Panel") -> None:
    instance = panel.instance
    instance.set_up()
    instance.visit()
    instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": ""})
    pages = ("/panel/check", "/panel")
    assert all("no postback" in panel.page(path).text.lower() for path in pages)
    instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": "https://s.example/?id={externalid}"})
    assert not any("no postback" in panel.page(path).text.lower() for path in pages)
