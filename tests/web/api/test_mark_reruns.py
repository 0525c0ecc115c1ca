"""Reruns of marks over the API: previewed, applied, undone, and refused with the id of the other one."""

from typing import TYPE_CHECKING, Any

from clickloop.tracking.marks.rerun_work import MarkRerunWorker
from clickloop.tracking.marks.rules import rules_reader

if TYPE_CHECKING:
    from tests.web.conftest import Instance

API = "/api/v1/marks/reruns"


def work_off(instance: "Instance") -> None:
    context = instance.context
    worker = MarkRerunWorker(
        context.ledger, instance.facts, rules_reader(context.ledger, context.started), lambda: instance.now
    )
    while worker.step():
        pass


def posted(instance: "Instance", path: str, body: dict[str, Any] | None = None, status: int = 202) -> Any:
    answer = instance.api.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer


def clean_clicks(instance: "Instance") -> int:
    return int(instance.got("reports?from=2020-01-01&to=2029-12-31")["totals"]["clean_clicks"])


def corrections(instance: "Instance", click_id: str) -> list[dict[str, Any]]:
    return [event for event in instance.got(f"clicks/{click_id}/trace")["events"] if event["kind"] == "marks"]


def order(**fields: object) -> dict[str, Any]:
    return {"since": "2020-01-01", "marks": ["datacenter"]} | fields


def test_a_rerun_is_previewed_applied_and_undone_over_the_api(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit(asn="24940", ip="192.0.2.1")
    instance.visit(asn="21928", ip="192.0.2.2")
    answer = posted(instance, API, order())
    path = answer.headers["location"]
    assert path == f"{API}/{answer.json()['rerun_id']}"
    running = posted(instance, API, order(), 409)
    assert answer.json()["rerun_id"] in running.json()["detail"]
    assert running.headers["location"] == path
    work_off(instance)
    view = instance.got(path.removeprefix("/api/v1/"))
    assert (view["stage"], view["state"], view["can_apply"]) == ("preview", "finished", True)
    assert view["result"]["marks"] == [{"mark": "datacenter", "before": 0, "gained": 1, "lost": 0}]
    assert view["result"]["campaigns"][0]["campaign"] == instance.got("campaigns/1")["name"]
    assert clean_clicks(instance) == 2
    posted(instance, f"{path}/apply")
    work_off(instance)
    assert clean_clicks(instance) == 1
    assert len(instance.got("clicks?mark=datacenter")["items"]) == 1
    (correction,) = corrections(instance, click_id)
    assert correction["sentence"] == "Judged anew: gained data center."
    assert correction["id"] == answer.json()["rerun_id"]
    assert "Judged anew: gained data center." in instance.api.get(f"/api/v1/clicks/{click_id}/trace?format=text").text
    posted(instance, f"{path}/apply", status=409)
    posted(instance, f"{path}/undo")
    work_off(instance)
    assert clean_clicks(instance) == 2
    assert corrections(instance, click_id) == []
    assert [one["stage"] for one in instance.got("marks/reruns")["items"]] == ["undo"]
    assert [entry["action"] for entry in instance.got("changes?noun=marks/reruns")["items"]] == ["undone", "rerun"]


def test_a_request_without_marks_or_time_is_refused_by_field(instance: "Instance") -> None:
    for body, field in ((order(marks=[]), "marks"), (order(since="soon"), "since"), (order(marks=["x"]), "marks[0]")):
        faults = posted(instance, API, body, 422).json()["errors"]
        assert [fault["field"] for fault in faults] == [field]
    posted(instance, f"{API}/{'0' * 26}/apply", status=404)
