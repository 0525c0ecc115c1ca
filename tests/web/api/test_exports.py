"""Exports over the API: what is written, how far it is, what a crash leaves, and who may see it."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.logs.column import csv_heads
from clickloop.logs.log import LOGS
from clickloop.people.user import Role
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.store.ledger.schema.tables import exports
from clickloop.tracking.jobs.export_work import delete_old_export_files
from tests.web.api.ending import converted
from tests.web.api.exporting import export_work, work_off

if TYPE_CHECKING:
    from tests.web.conftest import Instance

DOOR = "/api/v1/exports"
HOUR_MS = 3_600_000


def ordered(instance: "Instance", body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    """The export that was asked for."""
    answer = instance.api.post(DOOR, json=body, headers=headers or {})
    assert answer.status_code == 202, answer.text
    return answer.json()


def lines(instance: "Instance", export_id: str) -> list[str]:
    """The file, line by line."""
    answer = instance.api.get(f"{DOOR}/{export_id}/result")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert int(answer.headers["content-length"]) == len(answer.content)
    return str(answer.text).split("\r\n")[:-1]


def test_an_export_is_taken_at_once_and_written_in_the_background(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    answer = instance.api.post(DOOR, json={"noun": "clicks", "columns": ["click_id", "campaign"]})
    assert answer.status_code == 202
    view = answer.json()
    assert answer.headers["location"] == f"{DOOR}/{view['export_id']}"
    assert (view["state"], view["rows"], view["columns"]) == ("waiting", 0, ["click_id", "campaign"])

    work_off(instance)

    done = instance.got(f"exports/{view['export_id']}")
    assert (done["state"], done["rows"], done["percent"], done["error"]) == ("finished", 1, 100, None)
    assert done["reached_at"] == "2026-03-01T11:59:00.000Z"
    assert done["result_until"] == "2026-03-04T12:00:00.000Z"
    assert lines(instance, view["export_id"]) == ["click_id,campaign_id,campaign", f"{click_id},1,Campaign"]


@pytest.mark.parametrize("noun", ExportNoun)
def test_a_log_is_exported_as_the_stream_of_it(instance: "Instance", noun: ExportNoun) -> None:
    instance.set_up()
    for _ in range(3):
        converted(instance)
    made = ordered(instance, {"noun": noun.value, "filters": {"campaign_id": 1}})
    work_off(instance, rows=2)
    found = lines(instance, made["export_id"])
    assert found[0].split(",") == csv_heads(LOGS[noun].columns)
    assert found == instance.api.get(f"/api/v1/{noun}/export?campaign_id=1").text.split("\r\n")[:-1]
    assert len(found) == 4


FILTERS: dict[str, dict[str, Any]] = {
    "clicks": {"source_id": 2, "external_id": "none", "screening": "test"},
    "conversions": {"status": "hold", "txid": "T-9", "flagged": True, "offer_id": 9, "network_id": 9, "click_id": "x"},
    "notices": {"outcome": "refused", "reason": "forged_click_id", "status_word": "x", "flagged": True},
    "postbacks": {"state": "delivered", "reason": "duplicate", "rule_id": 9, "status": "hold", "conversion_id": "x"},
}


@pytest.mark.parametrize(("noun", "name"), [(noun, name) for noun, found in FILTERS.items() for name in found])
def test_every_filter_narrows_what_is_exported(instance: "Instance", noun: str, name: str) -> None:
    instance.set_up()
    converted(instance)
    made = ordered(instance, {"noun": noun, "filters": {name: FILTERS[noun][name]}})
    assert made["filters"] == {name: FILTERS[noun][name]}
    work_off(instance)
    assert len(lines(instance, made["export_id"])) == 1


def test_a_formula_is_made_harmless_and_a_secret_masked(instance: "Instance") -> None:
    instance.set_up()
    url = "https://receiver.example/?api_key=hush"
    instance.made("postback-rules", {"name": "Own", "request": {"url": url}})
    click_id = instance.visit(external_id="=HYPERLINK(1)")
    answer = instance.api.post("/api/v1/conversions", json={"click_id": click_id, "payout": "1"})
    assert answer.status_code == 201
    clicks = ordered(instance, {"noun": "clicks", "columns": ["external_id"]})
    postbacks = ordered(instance, {"noun": "postbacks", "columns": ["request"]})
    work_off(instance)
    assert lines(instance, clicks["export_id"])[1] == "'=HYPERLINK(1)"
    text = "\n".join(lines(instance, postbacks["export_id"]))
    assert "hush" not in text
    assert "api_key=•••" in text


def test_an_empty_log_is_a_file_with_a_head(instance: "Instance") -> None:
    made = ordered(instance, {"noun": "clicks", "columns": ["at"]})
    work_off(instance)
    assert lines(instance, made["export_id"]) == ["at"]


def test_what_is_under_way_tells_how_far_it_is(instance: "Instance") -> None:
    instance.set_up()
    for _ in range(3):
        instance.visit(at=instance.now - 15 * 60_000)
    made = ordered(instance, {"noun": "clicks", "filters": {"since": "2026-03-01T11:00:00Z"}})
    assert made["percent"] == 0
    work = export_work(instance, rows=1)
    shown = []
    for _ in range(2):
        work.step()
        view = instance.got(f"exports/{made['export_id']}")
        shown.append((view["state"], view["rows"], view["percent"]))
    assert shown == [("running", 1, 25), ("running", 2, 25)]
    assert [one["export_id"] for one in instance.got("health")["exports"]] == [made["export_id"]]
    answer = instance.api.get(f"{DOOR}/{made['export_id']}/result")
    assert answer.status_code == 409


def test_a_period_that_is_open_has_no_percentage(instance: "Instance") -> None:
    assert ordered(instance, {"noun": "clicks"})["percent"] is None


def test_after_a_crash_between_two_pages_an_export_goes_on_where_it_was(instance: "Instance") -> None:
    instance.set_up()
    ids = [instance.visit() for _ in range(7)]
    made = ordered(instance, {"noun": "clicks", "columns": ["click_id"]})
    export_work(instance, rows=2).step()
    work_off(instance, rows=2)
    assert sorted(lines(instance, made["export_id"])[1:]) == sorted(ids)
    assert instance.got(f"exports/{made['export_id']}")["rows"] == 7


def test_what_a_crash_kept_the_ledger_from_hearing_of_is_written_once(instance: "Instance") -> None:
    instance.set_up()
    ids = [instance.visit() for _ in range(7)]
    made = ordered(instance, {"noun": "clicks", "columns": ["click_id"]})
    export_work(instance, rows=2).step()
    path = instance.folder / "exports" / f"{made['export_id']}.csv"
    path.write_bytes(path.read_bytes() + b"a page that the ledger never heard of\r\nand half a li")
    work_off(instance, rows=2)
    assert sorted(lines(instance, made["export_id"])[1:]) == sorted(ids)


def test_an_export_whose_file_is_lost_begins_anew(instance: "Instance") -> None:
    instance.set_up()
    ids = [instance.visit() for _ in range(5)]
    made = ordered(instance, {"noun": "clicks", "columns": ["click_id"]})
    export_work(instance, rows=2).step()
    (instance.folder / "exports" / f"{made['export_id']}.csv").unlink()
    work_off(instance, rows=2)
    found = lines(instance, made["export_id"])
    assert found[0] == "click_id"
    assert sorted(found[1:]) == sorted(ids)
    assert instance.got(f"exports/{made['export_id']}")["rows"] == 5


def test_rows_that_come_meanwhile_double_none(instance: "Instance") -> None:
    instance.set_up()
    ids = [instance.visit() for _ in range(4)]
    made = ordered(instance, {"noun": "clicks", "columns": ["click_id"]})
    work = export_work(instance, rows=2)
    work.step()
    instance.now += 1000
    instance.visit()
    while work.step():
        pass
    assert sorted(lines(instance, made["export_id"])[1:]) == sorted(ids)


def test_a_stopped_export_ends_and_its_file_is_deleted(instance: "Instance") -> None:
    instance.set_up()
    for _ in range(3):
        instance.visit()
    made = ordered(instance, {"noun": "clicks"})
    work = export_work(instance, rows=1)
    work.step()
    answer = instance.api.post(f"{DOOR}/{made['export_id']}/stop")
    assert (answer.status_code, answer.json()["state"], answer.json()["rows"]) == (200, "stopped", 1)
    assert work.step() is False
    assert list((instance.folder / "exports").iterdir()) == []
    again = instance.api.post(f"{DOOR}/{made['export_id']}/stop").json()
    assert again == answer.json()


def test_stopping_what_is_finished_changes_nothing(instance: "Instance") -> None:
    made = ordered(instance, {"noun": "clicks"})
    work_off(instance)
    assert instance.api.post(f"{DOOR}/{made['export_id']}/stop").json()["state"] == "finished"
    assert lines(instance, made["export_id"])


def test_a_status_that_is_gone_meanwhile_fails_the_export_with_its_reason(instance: "Instance") -> None:
    instance.made("statuses", {"key": "odd", "name": "Odd", "counts_as": "pending"})
    made = ordered(instance, {"noun": "conversions", "filters": {"status": "odd"}})
    assert instance.api.delete("/api/v1/statuses/odd").status_code == 200
    work_off(instance)
    done = instance.got(f"exports/{made['export_id']}")
    assert (done["state"], done["result_until"]) == ("failed", None)
    assert "There is no status 'odd'" in done["error"]


def test_filters_of_another_version_fail_the_export(instance: "Instance") -> None:
    made = ordered(instance, {"noun": "clicks"})
    with instance.ledger.write() as tx:
        tx.execute(exports.update().values(filters=b'{"campaign_id":"seven","since":"2026-03-01"}'))
    assert instance.got(f"exports/{made['export_id']}")["percent"] is None
    work_off(instance)
    assert "no longer supported" in instance.got(f"exports/{made['export_id']}")["error"]


def test_files_are_deleted_after_a_while_and_the_export_stays_in_the_list(instance: "Instance") -> None:
    made = ordered(instance, {"noun": "clicks"})
    work_off(instance)
    (instance.folder / "exports" / "of_no_export.csv").write_bytes(b"left over")
    delete_old_export_files(instance.ledger, instance.context.exports, instance.now + HOUR_MS, HOUR_MS)
    assert [path.stem for path in (instance.folder / "exports").iterdir()] == [made["export_id"]]
    delete_old_export_files(instance.ledger, instance.context.exports, instance.now + HOUR_MS + 1, HOUR_MS)
    assert list((instance.folder / "exports").iterdir()) == []
    answer = instance.api.get(f"{DOOR}/{made['export_id']}/result")
    assert answer.status_code == 410
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert [one["export_id"] for one in instance.got("exports")["items"]] == [made["export_id"]]


def test_the_file_of_an_export_under_way_is_never_tidied_away(instance: "Instance") -> None:
    instance.set_up()
    ids = [instance.visit() for _ in range(3)]
    made = ordered(instance, {"noun": "clicks", "columns": ["click_id"]})
    export_work(instance, rows=1).step()
    delete_old_export_files(instance.ledger, instance.context.exports, instance.now * 2, 1)
    work_off(instance)
    assert len(lines(instance, made["export_id"])) == 1 + len(ids)


def test_a_viewer_exports_what_he_may_see(instance: "Instance") -> None:
    viewer = instance.token_of(Role.VIEWER, instance.user(Role.VIEWER, "ben").id)
    made = ordered(instance, {"noun": "clicks"}, viewer)
    work_off(instance)
    assert instance.api.get(f"{DOOR}/{made['export_id']}/result", headers=viewer).status_code == 200
    line = instance.got("changes?limit=1")["items"][0]
    assert (line["actor"], line["action"], line["noun"]) == ("ben, token viewer", "exported", "exports")
    assert (line["record_id"], line["after"]["noun"]) == (made["export_id"], "clicks")


def test_an_export_is_seen_by_who_asked_for_it_and_by_who_administers(instance: "Instance") -> None:
    maker, other, admin = (
        instance.token_of(role, instance.user(role, name).id)
        for role, name in ((Role.VIEWER, "ben"), (Role.WORKER, "cid"), (Role.ADMIN, "dora"))
    )
    unowned = instance.token_of(Role.WORKER)
    made = ordered(instance, {"noun": "clicks"}, maker)
    for path in ("", "/result"):
        place = f"{DOOR}/{made['export_id']}{path}"
        for headers, hidden in ((maker, False), (admin, False), (other, True), (unowned, True)):
            assert (instance.api.get(place, headers=headers).status_code == 404) is hidden
    assert instance.api.post(f"{DOOR}/{made['export_id']}/stop", headers=other).status_code == 404
    for headers, count in ((maker, 1), (admin, 1), (other, 0), (unowned, 0)):
        assert len(instance.api.get(DOOR, headers=headers).json()["items"]) == count
        assert len(instance.api.get("/api/v1/health", headers=headers).json()["exports"]) == count


def test_a_token_of_nobody_sees_its_own_exports(instance: "Instance") -> None:
    unowned = instance.token_of(Role.WORKER)
    made = ordered(instance, {"noun": "clicks"}, unowned)
    ordered(instance, {"noun": "clicks"})
    found = instance.api.get(DOOR, headers=unowned).json()["items"]
    assert [one["export_id"] for one in found] == [made["export_id"]]


def test_exports_are_listed_the_newest_first(instance: "Instance") -> None:
    for _ in range(2):
        ordered(instance, {"noun": "clicks"})
        instance.now += 1000
    first = instance.got("exports?limit=1")
    second = instance.got(f"exports?limit=1&cursor={first['next_cursor']}")
    assert first["items"][0]["created_at"] > second["items"][0]["created_at"]
    assert second["next_cursor"] is None


def test_an_eleventh_export_has_to_wait(instance: "Instance") -> None:
    for _ in range(10):
        ordered(instance, {"noun": "clicks"})
    assert instance.api.post(DOOR, json={"noun": "clicks"}).status_code == 409
    ordered(instance, {"noun": "clicks"}, instance.token_of(Role.WORKER))
    work_off(instance)
    ordered(instance, {"noun": "clicks"})


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"noun": "users"}, {"noun": "not_allowed"}),
        ({}, {"noun": "required"}),
        ({"noun": "clicks", "columns": ["nope"]}, {"columns": "not_found"}),
        ({"noun": "clicks", "filters": {"status": "sale"}}, {"filters.status": "unknown_field"}),
        ({"noun": "clicks", "filters": {"campaign_id": "1"}}, {"filters.campaign_id": "wrong_type"}),
        ({"noun": "clicks", "filters": {"since": "soon"}}, {"filters.since": "not_a_moment"}),
        ({"noun": "conversions", "filters": {"status": "nope"}}, {"filters.status": "not_found"}),
        ({"noun": "postbacks", "filters": {"state": "nope"}}, {"filters.state": "not_allowed"}),
    ],
)
def test_faults_are_told_before_anything_is_written(
    instance: "Instance", body: dict[str, Any], faults: dict[str, str]
) -> None:
    assert instance.faults(instance.api.post(DOOR, json=body)) == faults
    assert instance.got("exports")["items"] == []


def test_an_unknown_export_is_not_found(instance: "Instance") -> None:
    for path in ("x", "x/result"):
        assert instance.api.get(f"{DOOR}/{path}").status_code == 404
    assert instance.api.post(f"{DOOR}/x/stop").status_code == 404
