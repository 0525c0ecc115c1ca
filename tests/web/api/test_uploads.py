"""Uploads over the API: what is taken, how far it is, what the result tells, and what is refused."""

import csv
import dataclasses
import errno
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from clickloop.store.upload_files import ArrivingFile, UploadFiles
from clickloop.tracking.jobs.upload_work import UploadWorker, tidy_uploads
from clickloop.tracking.notices import recheck_due
from clickloop.web.api.application import create_api
from tests.web.conftest import application

if TYPE_CHECKING:
    from tests.web.conftest import Instance

CSV = {"content-type": "text/csv"}
DOOR = "/api/v1/conversions/uploads"
FORGED = "0123456789abcdefghjkmnpqrs"


def upload(instance: "Instance", content: str | bytes | Iterator[bytes], query: str = "", headers: Any = CSV) -> Any:
    """The answer to an upload."""
    return instance.api.post(f"{DOOR}{query}", content=content, headers=headers)


def taken(instance: "Instance", content: str | bytes, query: str = "") -> Any:
    """An upload at its end, as the API tells it."""
    answer = upload(instance, content, query)
    assert answer.status_code == 202, answer.text
    work(instance)
    return instance.got(f"conversions/uploads/{answer.json()['upload_id']}")


def work(instance: "Instance") -> None:
    """Does what the background does."""
    uploading = UploadWorker(instance.context.intake(), instance.context.uploads, lambda: instance.now)
    while uploading.step().more:
        pass
    uploading.close()


def table(instance: "Instance", upload_id: str) -> list[dict[str, str]]:
    """The result as a spreadsheet reads it."""
    answer = instance.api.get(f"{DOOR}/{upload_id}/result")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert upload_id in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_a_file_is_accepted_at_once_and_registered_in_the_background(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    answer = upload(instance, f"clickid,payout,status,txid\n{click_id},12.5,sale,T-1\n", "?name=june.csv")
    assert answer.status_code == 202
    view = answer.json()
    assert answer.headers["location"] == f"{DOOR}/{view['upload_id']}"
    assert (view["state"], view["format"], view["lines"], view["name"]) == ("waiting", "csv", 0, "june.csv")
    work(instance)
    done = instance.got(f"conversions/uploads/{view['upload_id']}")
    assert (done["state"], done["lines"], done["counts"]["new"]) == ("finished", 1, 1)
    assert done["octets_read"] == done["octets"]
    notice = instance.got("notices")["items"][0]
    assert (notice["channel"], notice["outcome"], notice["click_id"]) == ("upload", "new", click_id)
    assert instance.got("conversions")["items"][0]["payout"] == {"amount": "12.5", "currency": "USD"}
    assert [postback["state"] for postback in instance.got("postbacks")["items"]] == ["waiting"]


def test_postbacks_held_back_stand_in_the_log_with_their_reason(instance: "Instance") -> None:
    instance.set_up()
    taken(instance, instance.visit(), "?postbacks=0")
    postback = instance.got("postbacks")["items"][0]
    assert (postback["state"], postback["reason"]) == ("skipped", "disabled_by_notice")


def test_a_line_cannot_switch_on_the_postbacks_that_are_held_back(instance: "Instance") -> None:
    instance.set_up()
    taken(instance, f"cid,disable_postback\n{instance.visit()},0\n", "?postbacks=0")
    assert instance.got("postbacks")["items"][0]["reason"] == "disabled_by_notice"


def test_a_preview_tells_every_verdict_and_registers_nothing(instance: "Instance") -> None:
    instance.set_up()
    known, fresh = instance.visit(), instance.visit()
    taken(instance, f"{known}:5:sale\n")
    instance.now += 1000
    unsettled = instance.click_ids.new(instance.now)
    lines = [f"{known}:5:sale", f"{known}:7", f"{fresh}:1", f"{fresh}:1", f"{fresh}:2", unsettled, FORGED, "a:b:c:d"]
    done = taken(instance, "\n".join(lines), "?preview=1")
    assert done["counts"] == {"new": 1, "changed": 2, "repeated": 2, "waiting": 1, "refused": 1, "unreadable": 1}
    assert done["reasons"] == {"forged_click_id": 1, "too_many_cells": 1}
    shown = instance.got(f"conversions/uploads/{done['upload_id']}/lines?limit=500")["items"]
    verdicts = ["repeated", "changed", "new", "repeated", "changed", "waiting", "refused", "unreadable"]
    assert [line["verdict"] for line in shown] == verdicts
    assert [line["text"] for line in shown] == lines
    assert shown[7]["message"].endswith("Line 8, character 7.")
    assert [row["clickloop_verdict"] for row in table(instance, done["upload_id"])] == verdicts
    assert len(instance.got("notices")["items"]) == 1
    assert len(instance.got("conversions")["items"]) == 1
    assert len(instance.got("postbacks")["items"]) == 1


def test_what_was_previewed_is_what_is_registered(instance: "Instance") -> None:
    instance.set_up()
    clicks = [instance.visit() for _ in range(3)]
    content = (
        "cid;payout;txid\n" + "".join(f"{cid};{n % 2};t{n % 4}\n" for n in range(9) for cid in clicks) + "bad;1;\n"
    )
    foreseen, done = taken(instance, content, "?preview=true"), taken(instance, content)
    assert (foreseen["counts"], foreseen["reasons"]) == (done["counts"], done["reasons"])


def test_lines_about_which_something_is_odd_are_counted(instance: "Instance") -> None:
    instance.set_up()
    clicks = [instance.visit() for _ in range(3)]
    content = f"{clicks[0]}:2026-11-23:sale\n{clicks[1]}:5:wurst\n{clicks[2]}:5:sale\n{clicks[2]}:x:wurst\n"
    for query in ("?preview=1", ""):
        done = taken(instance, content, query)
        assert done["flagged"] == 3
        assert done["flags"] == {"payout_unreadable": 2, "same_click_again": 1, "unknown_status": 2}


def test_the_same_file_again_comes_to_repeats_and_owes_nothing(instance: "Instance") -> None:
    instance.set_up()
    content = "".join(f"{instance.visit()}:5\n" for _ in range(3))
    assert taken(instance, content)["counts"]["new"] == 3
    instance.now += 1
    assert taken(instance, content)["counts"]["repeated"] == 3
    assert len(instance.got("conversions")["items"]) == 3
    assert len(instance.got("postbacks")["items"]) == 3


def test_the_result_runs_no_formula_and_keeps_numbers(instance: "Instance") -> None:
    instance.set_up()
    note = '=HYPERLINK("http://evil.example")'
    content = 'cid,payout,note\n{},-3,"{}"\n@SUM(A1),+1.5,-x\n'.format(instance.visit(), note.replace('"', '""'))
    done = taken(instance, content, "?incomplete=1")
    first, second = table(instance, done["upload_id"])
    assert (first["payout"], first["note"], first["clickloop_verdict"]) == ("-3", "'" + note, "new")
    assert (second["cid"], second["payout"], second["note"]) == ("'@SUM(A1)", "+1.5", "'-x")
    assert (second["clickloop_line"], second["clickloop_reason"]) == ("3", "malformed_click_id")
    assert first["clickloop_conversion_id"] == instance.got("conversions")["items"][0]["conversion_id"]


def test_a_result_that_is_corrected_can_be_uploaded_again(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    done = taken(instance, f"cid,txid\n{click_id},-a\n{click_id[:-1]},=b\n")
    corrected = instance.api.get(f"{DOOR}/{done['upload_id']}/result").text.replace(f"{click_id[:-1]},", f"{click_id},")
    instance.now += 1
    again = taken(instance, corrected)
    assert (again["counts"]["repeated"], again["counts"]["new"]) == (1, 1)
    assert {found["txid"] for found in instance.got("conversions")["items"]} == {"-a", "=b"}
    assert set(table(instance, again["upload_id"])[0]) == set(table(instance, done["upload_id"])[0])


def test_a_line_that_waited_is_told_as_it_stands_now(instance: "Instance") -> None:
    unsettled = instance.click_ids.new(instance.now)
    done = taken(instance, unsettled)
    assert done["counts"]["waiting"] == 1
    recheck_due(instance.context.intake(), instance.now + 600_000)
    assert table(instance, done["upload_id"])[0]["clickloop_reason"] == "unknown_click"
    tidy_uploads(instance.ledger, instance.context.uploads, instance.now + 900_000, 3_600_000)
    counted = instance.got(f"conversions/uploads/{done['upload_id']}")
    assert (counted["counts"]["waiting"], counted["counts"]["refused"]) == (0, 1)
    assert counted["reasons"] == {"unknown_click": 1}


def test_what_is_odd_about_a_line_that_waited_is_counted_when_its_click_has_come(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.click_ids.new(instance.now)
    done = taken(instance, f"{click_id}:5:wurst\n")
    instance.visit(click_id=click_id)
    instance.now += 660_001
    recheck_due(instance.context.intake(), instance.now)
    tidy_uploads(instance.ledger, instance.context.uploads, instance.now, 3_600_000)
    counted = instance.got(f"conversions/uploads/{done['upload_id']}")
    assert (counted["counts"]["waiting"], counted["flagged"], counted["flags"]) == (0, 1, {"unknown_status": 1})


def test_a_result_is_gone_after_its_time(instance: "Instance") -> None:
    done = taken(instance, "abc")
    tidy_uploads(instance.ledger, instance.context.uploads, instance.now + 3_600_001, 3_600_000)
    for part in ("result", "lines"):
        answer = instance.api.get(f"{DOOR}/{done['upload_id']}/{part}")
        assert answer.status_code == 410
        assert answer.headers["content-type"].startswith("application/problem+json")
    assert list((instance.folder / "uploads").iterdir()) == []


def test_a_stopped_upload_takes_no_further_line(instance: "Instance") -> None:
    upload_id = upload(instance, "a\nb\n").json()["upload_id"]
    assert instance.api.post(f"{DOOR}/{upload_id}/cancel").json()["state"] == "stopped"
    work(instance)
    assert instance.got(f"conversions/uploads/{upload_id}")["lines"] == 0
    assert instance.got("notices")["items"] == []
    done = taken(instance, "a\n")
    assert instance.api.post(f"{DOOR}/{done['upload_id']}/cancel").json()["state"] == "finished"


def test_uploads_are_listed_with_the_newest_first(instance: "Instance") -> None:
    made = [upload(instance, name).json()["upload_id"] for name in "abc"]
    page = instance.got("conversions/uploads?limit=2")
    assert [found["upload_id"] for found in page["items"]] == [made[2], made[1]]
    page = instance.got(f"conversions/uploads?limit=2&cursor={page['next_cursor']}")
    assert [found["upload_id"] for found in page["items"]] == [made[0]]


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"", "empty", ""),
        (b"\n \n", "empty", ""),
        (b"name,payout\nx,5\n", "no_header", "Line 1."),
        (b"PK\x03\x04workbook", "not_text", ""),
        ("cid\nabc".encode("utf-16-be"), "encoding", ""),
        (b'"cid\n', "header_unreadable", "Line 1, character 1."),
        (b"\ncid,payout,Click ID,click-id\n", "repeated_column", "Line 2, character 21."),
        (b"cid" + b",x" * 99, "too_many_columns", "Line 1."),
    ],
)
def test_a_file_of_no_known_form_is_refused_with_its_place(
    instance: "Instance", content: bytes, code: str, place: str
) -> None:
    answer = upload(instance, content)
    assert instance.faults(answer) == {"": code}
    assert answer.json()["detail"].endswith(place)
    assert list((instance.folder / "uploads").iterdir()) == []
    assert instance.got("conversions/uploads")["items"] == []


def test_utf_16_with_its_mark_is_read(instance: "Instance") -> None:
    instance.set_up()
    done = taken(instance, f"cid\tnote\r\n{instance.visit()}\tпривет\r\n".encode("utf-16"), "?incomplete=1")
    assert (done["format"], done["encoding"], done["counts"]["new"]) == ("tsv", "utf-16", 1)
    assert table(instance, done["upload_id"])[0]["note"] == "привет"


def pieces(head: bytes, piece: bytes, count: int) -> Iterator[bytes]:
    """A body whose length is not announced."""
    yield head
    for _ in range(count):
        yield piece


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large_is_refused(instance: "Instance", announced: bool) -> None:
    line = b"0123456789abcdefghjkmnpqrs\n" * 4000
    body = pieces(b"cid\n", line, 60)
    answer = upload(instance, b"".join(body) if announced else body)
    assert answer.status_code == 413
    assert "4 MiB" in answer.json()["detail"]
    assert list((instance.folder / "uploads").glob("*")) == []


def test_a_long_file_of_no_known_form_is_refused_at_its_beginning(instance: "Instance") -> None:
    given = 0

    def counted() -> Iterator[bytes]:
        nonlocal given
        for piece in pieces(b"a,b\n", b"1,2\n" * 20_000, 40):
            given += 1
            yield piece

    assert instance.faults(upload(instance, counted())) == {"": "no_header"}


def test_a_full_disk_refuses_a_file(instance: "Instance") -> None:
    full = UploadFiles(instance.folder / "uploads", min_free_bytes=1 << 60)
    context = dataclasses.replace(instance.context, uploads=full)
    with TestClient(application(create_api, context), raise_server_exceptions=False) as api:
        answer = api.post(DOOR, content="abc", headers=CSV | {"authorization": "Bearer clk_local"})
    assert answer.status_code == 507
    assert answer.headers["content-type"].startswith("application/problem+json")


class FullDisk(ArrivingFile):
    """A file for which there is no room any more when it arrives."""

    def write(self, piece: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FillingUp(UploadFiles):
    """A folder whose disk fills up while a file arrives."""

    def receive(self, upload_id: str) -> ArrivingFile:
        folder = super().receive(upload_id)
        folder.abandon()
        part = self.drafts_path(upload_id).with_suffix(".part")
        return FullDisk(self, upload_id, part, part.with_suffix(".text"))


def test_a_disk_that_fills_up_while_a_file_arrives_refuses_it_and_keeps_none_of_it(instance: "Instance") -> None:
    context = dataclasses.replace(instance.context, uploads=FillingUp(instance.folder / "uploads", min_free_bytes=0))
    with TestClient(application(create_api, context), raise_server_exceptions=False) as api:
        answer = api.post(DOOR, content="abc", headers=CSV | {"authorization": "Bearer clk_local"})
    assert answer.status_code == 507
    assert "full" in answer.json()["detail"]
    assert list((instance.folder / "uploads").iterdir()) == []


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", ""])
def test_a_body_of_another_kind_is_refused(instance: "Instance", kind: str) -> None:
    assert upload(instance, "abc", headers={"content-type": kind}).status_code == 415


@pytest.mark.parametrize("query", ["?name=" + "x" * 201, "?name=a%00b", "?preview=perhaps", "?postback=0"])
def test_a_faulty_parameter_is_refused(instance: "Instance", query: str) -> None:
    assert upload(instance, "abc", query).status_code == 422


def test_an_unknown_upload_is_not_found(instance: "Instance") -> None:
    for path in ("x", "x/lines", "x/result"):
        assert instance.api.get(f"{DOOR}/{path}").status_code == 404
    assert instance.api.post(f"{DOOR}/x/cancel").status_code == 404


def test_a_networks_export_is_understood_by_its_own_columns(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    done = taken(instance, f"cid;Payout (EUR);Order Number\n{click_id};5;A\n{click_id};6;B\n")
    assert (done["counts"]["new"], done["flagged"], done["unused_columns"], done["missing_values"]) == (2, 0, [], [])
    payouts = [(one["txid"], one["payout"]) for one in instance.got("conversions")["items"]]
    assert payouts == [("B", {"amount": "6", "currency": "EUR"}), ("A", {"amount": "5", "currency": "EUR"})]


def test_a_table_whose_money_is_not_understood_is_refused_before_anything_is_registered(instance: "Instance") -> None:
    instance.set_up()
    content = f"cid;Geld;Nummer\n{instance.visit()};5;7\n"
    answer = upload(instance, content)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (422, "columns_not_understood")
    assert "Unused columns: Geld, Nummer" in error["message"]
    assert instance.got("conversions/uploads")["items"] == []
    preview = taken(instance, content, "?preview=1")
    assert (preview["unused_columns"], preview["missing_values"]) == (["Geld", "Nummer"], ["payout", "txid"])
    assert preview["incomplete"] is True
    registered = instance.api.post(f"{DOOR}/{preview['upload_id']}/register")
    assert registered.json()["unused_columns"] == ["Geld", "Nummer"]
    assert taken(instance, content, "?incomplete=1")["counts"]["repeated"] == 1


def test_a_table_without_other_columns_is_taken_as_it_is(instance: "Instance") -> None:
    instance.set_up()
    done = taken(instance, f"cid,status\n{instance.visit()},sale\n")
    assert (done["counts"]["new"], done["missing_values"], done["incomplete"]) == (1, ["payout", "txid"], False)


def test_two_lines_of_one_click_without_a_txid_are_flagged(instance: "Instance") -> None:
    instance.set_up()
    click_id, other = instance.visit(), instance.visit()
    content = f"cid,payout\n{click_id},5\n{other},5\n{click_id},6\n{click_id},6\n"
    for query in ("?preview=1", ""):
        done = taken(instance, content, query)
        assert (done["counts"]["new"], done["flags"]) == (2, {"same_click_again": 2})


def test_lines_of_two_uploads_do_not_count_as_one_file(instance: "Instance") -> None:
    instance.set_up()
    content = f"cid,payout\n{instance.visit()},5\n"
    taken(instance, content)
    instance.now += 1  # of the same millisecond, either may count as the later one
    assert taken(instance, content)["flags"] == {}


def test_a_table_in_windows_1252_is_read_and_said_to_be(instance: "Instance") -> None:
    instance.set_up()
    content = f"cid;payout;txid\n{instance.visit()};12,50 €;Zürich\n"
    assert taken(instance, content.encode("cp1252"))["encoding"] == "windows-1252"
    (made,) = instance.got("conversions")["items"]
    assert (made["payout"], made["txid"], made["flags"]) == ({"amount": "12.5", "currency": "EUR"}, "Zürich", [])
    assert taken(instance, content)["encoding"] == "utf-8"


def test_a_rounded_id_is_told_with_its_place_and_registers_nothing(instance: "Instance") -> None:
    instance.set_up()
    done = taken(instance, f"cid;payout;txid\n{instance.visit()};5;1,23457E+14\n")
    assert (done["counts"]["unreadable"], done["reasons"]) == (1, {"damaged_id": 1})
    assert instance.got("conversions")["items"] == []
    (line,) = instance.got(f"conversions/uploads/{done['upload_id']}/lines")["items"]
    assert line["message"].endswith("Line 2, character 30.")
