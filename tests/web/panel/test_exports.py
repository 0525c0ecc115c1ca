"""Exports in the panel: starting from a log, progress, download and stopping."""

from typing import TYPE_CHECKING

import pytest

from clickloop.people.user import Role
from tests.web.api.ending import converted
from tests.web.api.exporting import export_work, work_off

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel


def export_path(panel: "Panel", log: str) -> str:
    """Press the export button of a log and return the path of the export."""
    fields = panel.page(log).form("/panel/exports").fields
    return panel.done("/panel/exports", [(name, value) for name, value in fields if name != "csrf"])


def table(panel: "Panel", place: str) -> list[str]:
    """The file, line by line."""
    answer = panel.client.get(f"{place}/result")
    assert answer.status_code == 200, answer.text
    return str(answer.text).split("\r\n")[:-1]


def test_the_export_holds_what_the_filter_shows_with_formulas_made_harmless(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    instance.visit(external_id="=HYPERLINK(1)", cost_micros=1_500_000, cost_currency="USD")
    instance.visit(campaign_id=2)
    place = export_path(panel, "/panel/clicks?campaign_id=1&columns=external_id&columns=cost&columns=campaign")
    work_off(instance)
    answer = panel.client.get(f"{place}/result")
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="clickloop-clicks.csv"' in answer.headers["content-disposition"]
    assert table(panel, place) == [
        "campaign_id,campaign,external_id,cost,cost_currency",
        "1,Campaign,'=HYPERLINK(1),1.5,USD",
    ]


def test_the_export_holds_the_columns_that_this_browser_remembers(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    converted(instance)
    panel.get("/panel/conversions?columns=payout&columns=offer")
    place = export_path(panel, "/panel/conversions")
    work_off(instance)
    assert table(panel, place) == ["payout,payout_currency,offer_id,offer", "12.5,USD,1,Offer"]


@pytest.mark.parametrize("noun", ["clicks", "conversions", "notices", "postbacks"])
def test_each_log_is_exported(panel: "Panel", instance: "Instance", noun: str) -> None:
    instance.set_up()
    converted(instance)
    place = export_path(panel, f"/panel/{noun}?period=7d&campaign_id=1")
    work_off(instance)
    assert len(table(panel, place)) == 2
    assert "finished" in panel.page(place).text


@pytest.mark.parametrize(
    "query", ["flagged=true", "status=rejected", "txid=T-9", "since=2026-03-02T00:00", "network_id=7", "click_id=x"]
)
def test_a_filter_of_the_log_narrows_its_export(panel: "Panel", instance: "Instance", query: str) -> None:
    instance.set_up()
    converted(instance)
    place = export_path(panel, f"/panel/conversions?{query}")
    work_off(instance)
    assert len(table(panel, place)) == 1


def test_secrets_of_requests_are_masked(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("postback-rules", {"name": "Own", "request": {"url": "https://receiver.example/?api_key=hush"}})
    converted(instance)
    place = export_path(panel, "/panel/postbacks")
    work_off(instance)
    text = "\n".join(table(panel, place))
    assert "api_key=•••" in text
    assert "hush" not in text


def test_an_export_shows_how_far_it_is_and_itself_again(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    for _ in range(3):
        instance.visit()
    place = export_path(panel, "/panel/clicks?period=today&columns=click_id")
    page = panel.page(place)
    assert page.refreshes[0] == place
    assert len(page.refreshes) == 2
    assert [bar.get("value") for bar in page.main.all("progress")] == ["0"]
    work = export_work(instance, rows=2)
    work.step()
    words = panel.page(place).text
    assert "running" in words
    assert "You can close this page; the export continues." in words
    assert "Rows 2" in words
    assert "Oldest row 2026-03-01 11:59:00" in words
    assert panel.page("/panel/exports").refreshes
    work.step()
    page = panel.page(place)
    assert page.refreshes == []
    assert f"{place}/result" in page.addresses
    assert "The file is available until 2026-03-04 12:00" in page.text


def test_an_export_under_way_stands_on_the_health_page(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit()
    place = export_path(panel, "/panel/clicks")
    assert panel.page("/panel/health").link("Export of Clicks") == place
    work_off(instance)
    assert place not in panel.page("/panel/health").addresses


def test_the_list_leads_to_exports_and_logs_lead_to_the_list(panel: "Panel", instance: "Instance") -> None:
    assert "No exports yet." in panel.page("/panel/exports").text
    place = export_path(panel, "/panel/postbacks")
    work_off(instance)
    page = panel.page("/panel/exports")
    assert {place, f"{place}/result"} <= {*page.addresses}
    assert "Conversions - Out" in page.text
    assert "/panel/exports" in panel.page("/panel/notices").addresses


def test_an_export_can_be_stopped(panel: "Panel", instance: "Instance") -> None:
    place = export_path(panel, "/panel/clicks")
    again = panel.done(f"{place}/stop")
    assert again == f"{place}?said=export-stopped"
    words = panel.page(again).text
    assert "Stopped. The unfinished file was deleted." in words
    assert export_work(instance).step() is False
    assert panel.client.get(f"{place}/result").status_code == 409


def test_a_file_that_is_not_kept_any_more_is_told(panel: "Panel", instance: "Instance") -> None:
    place = export_path(panel, "/panel/clicks")
    work_off(instance)
    instance.context.exports.delete(place.rpartition("/")[2])
    assert "has been deleted" in panel.page(place).text
    assert "file deleted" in panel.page("/panel/exports").text
    assert panel.client.get(f"{place}/result").status_code == 410


def test_why_an_export_failed_is_told(panel: "Panel", instance: "Instance") -> None:
    instance.made("statuses", {"key": "odd", "name": "Odd", "counts_as": "pending"})
    place = export_path(panel, "/panel/conversions?status=odd")
    assert instance.api.delete("/api/v1/statuses/odd").status_code == 200
    work_off(instance)
    words = panel.page(place).text
    assert "failed" in words
    assert "There is no status" in words


def test_somebody_who_may_only_look_exports_what_he_sees_and_nobody_else_like_him_finds_it(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    instance.visit()
    panel.become(Role.VIEWER)
    place = export_path(panel, "/panel/clicks")
    work_off(instance)
    assert len(table(panel, place)) == 2
    instance.now += 1000
    panel.become(Role.WORKER)
    panel.get(place, 404)
    assert panel.client.get(f"{place}/result").status_code == 404
    assert panel.post(f"{place}/stop").status_code == 404
    assert place not in panel.page("/panel/exports").addresses
    panel.become(Role.ADMIN)
    assert place in panel.page("/panel/exports").addresses
    assert len(table(panel, place)) == 2


def test_a_form_without_its_word_or_with_faults_exports_nothing(panel: "Panel", instance: "Instance") -> None:
    assert panel.client.post("/panel/exports", data={"noun": "clicks"}).status_code == 403
    for fields in ({"noun": "users"}, {}, {"noun": "clicks", "since": "soon"}, {"noun": "clicks", "campaign_id": "x"}):
        assert panel.post("/panel/exports", fields).status_code == 422
    assert instance.got("exports")["items"] == []


def test_what_somebody_filtered_by_is_shown_as_text(panel: "Panel", instance: "Instance") -> None:
    place = export_path(panel, "/panel/clicks?external_id=%3Cscript%3Ealert(1)%3C/script%3E")
    assert panel.page(place).main.all("script") == []
    assert "<script>alert(1)</script>" in panel.page(place).text
    assert "<script>alert(1)</script>" in instance.got("exports")["items"][0]["filters"]["external_id"]
