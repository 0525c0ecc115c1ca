"""Operations on the logs over the API: exports, corrections, secrets, and lists of jobs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import select

from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.logs.column import csv_heads
from clickloop.logs.columns import CLICK_COLUMNS, CONVERSION_COLUMNS, NOTICE_COLUMNS, POSTBACK_COLUMNS
from clickloop.people.user import Role
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.store.ledger.schema.tables import changes_log, tokens
from clickloop.web.api.logs.log_csv import exported

if TYPE_CHECKING:
    from tests.web.conftest import Instance

COLUMNS = {
    "clicks": CLICK_COLUMNS,
    "conversions": CONVERSION_COLUMNS,
    "notices": NOTICE_COLUMNS,
    "postbacks": POSTBACK_COLUMNS,
}


def reported(instance: "Instance", **fields: Any) -> Any:
    body = {"click_id": instance.visit(), "payout": "12.5"} | fields
    answer = instance.api.post("/api/v1/conversions", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["conversion"]


def lines(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return str(answer.text).split("\r\n")[:-1]


@pytest.mark.parametrize("noun", COLUMNS)
def test_a_log_is_exported_with_every_column(instance: "Instance", noun: str) -> None:
    instance.set_up()
    for _ in range(3):
        reported(instance)
    exported = lines(instance.api.get(f"/api/v1/{noun}/export"))
    assert exported[0].split(",") == csv_heads(COLUMNS[noun])
    assert len(exported) == 4


@pytest.mark.parametrize("noun", COLUMNS)
def test_columns_are_chosen_in_order_and_unknown_ones_named(instance: "Instance", noun: str) -> None:
    first, second = COLUMNS[noun][1].key, COLUMNS[noun][0].key
    chosen = instance.api.get(f"/api/v1/{noun}/export?columns={first},{second},{first}")
    assert lines(chosen) == [f"{first},{second}"]
    unknown = instance.api.get(f"/api/v1/{noun}/export?columns=nope")
    assert instance.faults(unknown) == {"columns": "not_found"}


def test_an_export_goes_on_until_the_list_ends(instance: "Instance") -> None:
    instance.set_up()
    numbers = [reported(instance)["conversion_id"] for _ in range(3)]
    columns = "conversion_id,campaign"
    stream = exported(instance.context, ExportNoun.CONVERSIONS, ConversionFilter(), columns, rows=1)
    text = b"".join(cast("Iterable[bytes]", stream.iterator)).decode()
    assert text.split("\r\n")[1:-1] == [f"{number},1,Campaign" for number in reversed(numbers)]


def test_faults_of_a_filter_are_told_before_the_export_begins(instance: "Instance") -> None:
    assert instance.faults(instance.api.get("/api/v1/clicks/export?since=soon")) == {"since": "not_a_moment"}


def test_clicks_are_listed_by_whether_they_count(instance: "Instance") -> None:
    counted, bot = instance.visit(), instance.visit(screening="preview_bot")
    assert [one["click_id"] for one in instance.got("clicks?screening=counted")["items"]] == [counted]
    assert [one["click_id"] for one in instance.got("clicks?screening=preview_bot")["items"]] == [bot]
    assert len(instance.got("clicks")["items"]) == 2


def test_postbacks_are_listed_by_what_their_conversion_is_now(instance: "Instance") -> None:
    instance.set_up()
    reported(instance)
    reported(instance, status="hold")
    assert len(instance.got("postbacks?status=sale")["items"]) == 1
    assert len(instance.got("postbacks?status=rejected")["items"]) == 0


def test_a_conversion_is_corrected_by_hand(instance: "Instance") -> None:
    instance.set_up()
    number = reported(instance, txid="T-1", payout="12.5", currency="EUR")["conversion_id"]
    instance.now += 1000
    answer = instance.api.patch(f"/api/v1/conversions/{number}", json={"payout": "20"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"] == "changed"
    assert answer.json()["conversion"]["payout"] == {"amount": "20", "currency": "EUR"}
    assert answer.json()["notice"]["channel"] == "hand"
    changed = instance.api.patch(f"/api/v1/conversions/{number}", json={"status": "Declined"})
    assert changed.json()["conversion"]["status"]["key"] == "rejected"
    assert len(instance.got("conversions")["items"]) == 1


def test_a_correction_that_changes_nothing_is_refused(instance: "Instance") -> None:
    number = reported(instance)["conversion_id"]
    path = f"/api/v1/conversions/{number}"
    assert instance.faults(instance.api.patch(path, json={})) == {"": "required"}
    assert instance.faults(instance.api.patch(path, json={"status": "other"})) == {"status": "not_found"}
    assert instance.faults(instance.api.patch(path, json={"currency": "XX"})) == {
        "currency": "not_a_currency",
        "payout": "required",
        "": "required",
    }
    assert instance.api.patch("/api/v1/conversions/nope", json={"payout": "1"}).status_code == 404


def test_a_notice_tells_how_its_parameters_were_understood(instance: "Instance") -> None:
    reported(instance, txid="T-1")
    notice = instance.got("notices")["items"][0]
    parameters = instance.got(f"notices/{notice['notice_id']}")["parameters"]
    assert [one["meaning"] for one in parameters] == ["click_id", "payout", "txid"]


def test_secrets_are_shown_to_who_may_see_them_and_the_log_of_changes_tells(instance: "Instance") -> None:
    instance.set_up()
    url = "https://receiver.example/?api_key=hush&text={payout}"
    instance.made("postback-rules", {"name": "Own", "request": {"url": url}})
    reported(instance)
    one = next(item["postback_id"] for item in instance.got("postbacks")["items"] if item["rule_name"] == "Own")
    assert "hush" not in str(instance.got(f"postbacks/{one}"))
    assert "hush" in str(instance.got(f"postbacks/{one}?secrets=true"))
    with instance.ledger.read() as tx:
        row = tx.execute(select(changes_log).where(changes_log.c.action == "secrets_shown")).one()
    assert (row.noun, row.record_id) == ("postbacks", one)
    with instance.ledger.write() as tx:
        tx.execute(tokens.update().values(role=Role.WORKER))
    assert instance.api.get(f"/api/v1/postbacks/{one}?secrets=true").status_code == 403


def test_jobs_are_listed_the_newest_first(instance: "Instance") -> None:
    for _ in range(2):
        instance.api.post("/api/v1/postbacks/resend", json={"state": "failed"})
        instance.api.post("/api/v1/notices/rerun", json={"outcome": "refused"})
        instance.now += 1000
    for path in ("postbacks/resends", "notices/reruns"):
        first = instance.got(f"{path}?limit=1")
        second = instance.got(f"{path}?limit=1&cursor={first['next_cursor']}")
        assert first["items"][0]["created_at"] > second["items"][0]["created_at"]
        assert second["next_cursor"] is None
