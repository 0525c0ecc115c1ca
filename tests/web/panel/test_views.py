"""Saved views in the panel."""

from typing import TYPE_CHECKING

from clickloop.people.user import Role

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

ADDRESS = (
    "period=30d&group_by=country&filter=campaign%3A1&column=clicks&formula=Share+%3D+clicks+%2F+2"
    "&having=clicks+%3E+0&compare=previous"
)


def test_an_empty_list_says_how_to_save_a_view(panel: "Panel") -> None:
    assert "Save as view" in panel.page("/panel/views").text


def test_a_report_is_saved_opened_and_changed_by_its_address(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit(country="DE")
    report = panel.page(f"/panel/reports?{ADDRESS}")
    assert "Share" in report.text
    assert "Compared with previous" in report.text
    save = report.link("Save as view")
    assert save is not None
    fields = {**panel.page(save).fields, "name": "Countries", "shared": "on"}
    assert panel.done("/panel/views/new", fields) == "/panel/views/1?said=created"
    assert instance.got("views/1")["query"]["formula"] == ["Share = clicks / 2"]
    opened = panel.page("/panel/views").link("Countries")
    assert opened is not None
    page = panel.page(opened)
    assert "Countries" in page.text
    assert page.table.column("Share") == report.table.column("Share") == ["0.5"]


def test_a_view_is_scheduled_shared_archived_and_restored(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    rule = panel.page("/panel/postback-rules/new?trigger=view")
    fields = {**rule.fields, "request.url": "https://team.example/send"}
    panel.done("/panel/postback-rules/new", fields)
    number = str(instance.got("postback-rules")["items"][-1]["id"])
    fields = {
        "name": "Daily",
        "shared": "on",
        "address": "group_by=country",
        "schedule.rule_id": number,
        "schedule.every": "week",
        "schedule.weekday": "5",
        "schedule.at": "09:30",
        "schedule.zone": "Europe/Berlin",
        "schedule.active": "on",
    }
    panel.done("/panel/views/new", fields)
    view = instance.got("views/1")
    assert (view["shared"], view["schedule"]["every"], view["schedule"]["weekday"]) == (True, "week", 5)
    assert view["next_run_at"] == "2026-03-06T08:30:00.000Z"
    assert "Nothing was sent" in panel.page("/panel/views/1/request").text
    page = panel.sent("/panel/views/1", {**fields, "schedule.at": "9"}, 422)
    assert page.errors["schedule.at"]
    panel.done("/panel/views/1", {**fields, "schedule.rule_id": ""})
    assert instance.got("views/1")["schedule"] is None
    panel.done("/panel/views/1/archive")
    assert panel.page("/panel/views?archived=true").table.column("Name") == ["Daily"]
    panel.done("/panel/views/1/restore")
    assert panel.page("/panel/views?q=dai").table.column("Name") == ["Daily"]


def test_reports_begin_with_the_chosen_view(panel: "Panel", instance: "Instance") -> None:
    panel.done("/panel/views/new", {"name": "Start", "address": "group_by=day&period=30d"})
    panel.done("/panel/views/1/home", {"home": "1"})
    assert "first" in panel.page("/panel/views").text
    answer = panel.client.get("/panel/reports")
    assert (answer.status_code, answer.headers["location"]) == (303, "/panel/reports?period=30d&group_by=day&view=1")
    assert "Start" in panel.page(answer.headers["location"]).text
    panel.done("/panel/views/1/home", {"home": ""})
    assert panel.client.get("/panel/reports").status_code == 200


def test_a_viewer_opens_shared_views_and_begins_with_one_but_saves_none(panel: "Panel", instance: "Instance") -> None:
    instance.made("views", {"name": "Shared", "shared": True})
    instance.made("views", {"name": "Private"})
    panel.become(Role.VIEWER)
    page = panel.page("/panel/views")
    assert page.table.column("Name") == ["Shared"]
    assert "Save as view" not in panel.page("/panel/reports").text
    assert panel.post("/panel/views/new", {"name": "Mine"}).status_code == 403
    assert panel.client.get("/panel/views/2").status_code == 404
    panel.done("/panel/views/1/home", {"home": "1"})
