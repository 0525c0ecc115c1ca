"""Scheduled views: one postback for each run, whatever happens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clickloop.postback.due import SkipReason
from clickloop.postback.postback_log import Postback, PostbackFilter
from clickloop.postback.state import PostbackState
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.audit.rows import count_faulty_rows, scan_newest_postbacks
from clickloop.store.ledger.logs.postbacks import postbacks_before
from clickloop.tracking.views.file import ViewSettings
from clickloop.tracking.views.sending import ViewSender
from tests.web.conftest import SECRET, Instance

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RULE: dict[str, Any] = {
    "name": "To the team",
    "conditions": {"trigger": "view"},
    "request": {
        "method": "POST",
        "url": "https://team.example/send",
        "body_kind": "multipart",
        "body": "chat_id=-100&caption={view} {view.remark}&document=@{view.csv}",
    },
}


class ViewInstance(Instance):
    """A tracker with clicks, a rule for views and a daily view, due tomorrow at 8."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.api.headers["authorization"] = f"Bearer {SECRET}"
        self.set_up()
        self.settings = ViewSettings(zone="UTC", currency="USD")
        self.rule = self.made("postback-rules", RULE)["id"]
        self.visit(country="DE")
        query = {"group_by": ["country"], "period": "yesterday", "column": ["clicks"]}
        schedule = {"rule_id": self.rule, "at": "08:00", "zone": "UTC"}
        self.view = self.made("views", {"name": "Daily", "query": query, "schedule": schedule})["id"]

    def sender(self, facts: Any = None) -> ViewSender:
        return ViewSender(
            self.ledger,
            facts or self.facts,
            self.context.guard,
            lambda: self.settings,
            self.context.record_ids,
            lambda: self.now,
            self._postbacks_owed,
        )

    def run(self) -> None:
        sender = self.sender()
        while sender.step():
            pass

    def sent(self) -> list[Postback]:
        with self.ledger.read() as tx:
            return postbacks_before(tx, PostbackFilter(), None, 100)

    def body(self, at: int = 0) -> str:
        request = self.sent()[at].request
        assert request is not None
        return request.body


@pytest.fixture
def sending(tmp_path: Path) -> Iterator[ViewInstance]:
    made = ViewInstance(tmp_path)
    yield made
    made.facts.close()
    made.ledger.close()


def test_a_view_is_sent_once_when_it_is_due(sending: ViewInstance) -> None:
    sending.run()
    assert not sending.sent()
    sending.now += 20 * HOUR_MS + 1_000
    sending.run()
    sending.run()
    (sent,) = sending.sent()
    assert (sent.state, sent.trigger, sent.conversion_id, sent.version) == (PostbackState.WAITING, "view", "view-1", 1)
    assert "Country,Clicks" in sending.body()
    assert "Germany,1" in sending.body()
    assert "Late" not in sending.body()
    assert 'filename="view-1-2026-03-02.csv"' in sending.body()
    view = sending.got("views/1")
    assert (view["next_run_at"], view["last_postback_id"]) == ("2026-03-03T08:00:00.000Z", sent.postback_id)
    assert (view["last_run_late"], sending.owed) == (False, 1)


def test_missed_runs_are_sent_once_and_say_that_they_are_late(sending: ViewInstance) -> None:
    sending.now += 20 * HOUR_MS + 3 * DAY_MS + 6 * HOUR_MS
    sending.run()
    (sent,) = sending.sent()
    assert "Late: it was due 2026-03-05T08:00:00.000Z." in sending.body()
    assert "Late" in sent.findings[-1].detail
    view = sending.got("views/1")
    assert (view["last_run_late"], view["next_run_at"]) == (True, "2026-03-06T08:00:00.000Z")


def test_two_workers_at_once_send_it_once(sending: ViewInstance) -> None:
    sending.now += DAY_MS
    first, second = sending.sender(), sending.sender()

    class Between:
        """Facts that let the other worker finish while this one reads them."""

        def report(self, *arguments: Any) -> Any:
            second.step()
            return sending.facts.report(*arguments)

    first._facts = Between()
    first.step()
    assert len(sending.sent()) == 1


def test_a_view_waits_while_the_facts_are_away(sending: ViewInstance) -> None:
    sending.now += DAY_MS

    class Away:
        def report(self, *_: Any) -> Any:
            raise FactsError("away")

    assert not sending.sender(Away()).step()
    assert not sending.sent()
    sending.run()
    assert len(sending.sent()) == 1


@pytest.mark.parametrize("change", ["off", "archived"])
def test_a_rule_that_is_off_is_the_reason_why_nothing_is_sent(sending: ViewInstance, change: str) -> None:
    path = f"/api/v1/postback-rules/{sending.rule}"
    answer = sending.api.delete(path) if change == "archived" else sending.api.patch(path, json={"active": False})
    assert answer.status_code == 200
    sending.now += DAY_MS
    sending.run()
    (sent,) = sending.sent()
    assert (sent.state, sent.reason) == (PostbackState.SKIPPED, SkipReason.RULE_OFF)
    assert sending.got(f"postbacks/{sent.postback_id}")["postback"]["view_id"] == 1
    found = [finding for finding in sending.got("check")["findings"] if finding["code"] == "view_not_sent"]
    assert [(finding["place"]["kind"], finding["place"]["id"]) for finding in found] == [("view", 1)]


def test_a_view_that_no_longer_fits_the_set_up_says_so_and_goes_on(sending: ViewInstance) -> None:
    sending.api.patch("/api/v1/views/1", json={"query": {"group_by": ["zone"], "period": "7d"}})
    rows = [{"parameter": "external_id", "placeholder": "${SUBID}"}, {"parameter": "spot", "placeholder": "{zone}"}]
    assert sending.api.patch("/api/v1/traffic-sources/1", json={"parameters": rows}).status_code == 200
    answer = sending.api.get("/api/v1/views/1/report")
    assert sending.faults(answer) == {"group_by": "not_found"}
    sending.now += DAY_MS
    sending.run()
    (sent,) = sending.sent()
    assert sent.reason is SkipReason.VIEW_FAULT
    assert "zone" in sent.findings[-1].detail
    assert sending.got("views/1")["next_run_at"] == "2026-03-03T08:00:00.000Z"


def test_a_filter_by_a_record_stays_right_when_it_is_renamed_and_archived(sending: ViewInstance) -> None:
    sending.api.patch(
        "/api/v1/views/1", json={"query": {"period": "7d", "filter": ["campaign:campaign", "status:Hold"]}}
    )
    assert sending.got("views/1")["query"]["filter"] == ["campaign:1", "status:hold"]
    sending.api.patch("/api/v1/campaigns/1", json={"name": "Other"})
    sending.api.delete("/api/v1/campaigns/1")
    assert sending.got("views/1/report?format=json")["totals"]["clicks"] == 1


def test_a_large_view_is_cut_and_says_so(sending: ViewInstance) -> None:
    sending.settings = msgspec.structs.replace(sending.settings, max_rows=2)
    for country in ("FR", "IT"):
        sending.visit(country=country)
    sending.now += DAY_MS
    sending.run()
    assert "Cut: the first 2 of 3 rows." in sending.body()
    assert "Total,3" in sending.body()
    sending.settings = ViewSettings(zone="UTC", currency="USD", max_bytes=45)
    sending.now += DAY_MS
    sending.api.patch(
        "/api/v1/views/1", json={"query": {"group_by": ["country"], "period": "7d", "column": ["clicks"]}}
    )
    sending.run()
    assert "Cut: the first" in sending.body()


def test_text_of_strangers_does_not_run_as_a_formula_nor_ends_a_part(sending: ViewInstance) -> None:
    sending.visit(v1="=cmd()", v2="\r\n--clickloop-x--\r\n@")
    sending.api.patch(
        "/api/v1/views/1", json={"query": {"group_by": ["v1", "v2"], "period": "7d", "column": ["clicks"]}}
    )
    sending.now += DAY_MS
    sending.run()
    assert "'=cmd()" in sending.body()
    boundary = next(line for line in sending.body().split("\r\n") if line.startswith("--clickloop-"))
    assert sending.body().count(boundary) == 4


def test_an_archived_view_is_not_sent_and_not_made_up_for(sending: ViewInstance) -> None:
    sending.api.delete("/api/v1/views/1")
    sending.now += 3 * DAY_MS
    sending.run()
    sending.api.post("/api/v1/views/1/restore")
    sending.run()
    assert not sending.sent()
    assert sending.got("views/1")["next_run_at"] == "2026-03-05T08:00:00.000Z"


def test_the_audit_of_rows_finds_nothing_wrong_with_postbacks_of_views(sending: ViewInstance) -> None:
    sending.now += DAY_MS
    sending.run()
    with sending.ledger.read() as tx:
        assert not scan_newest_postbacks(tx, 10).faulty
        assert not any(count_faulty_rows(tx).values())


def test_a_dry_run_shows_the_request_and_sends_nothing(sending: ViewInstance) -> None:
    told = sending.got("views/1/request")
    assert told["receiver"] == "team.example:443"
    assert "Country,Clicks" in told["request"]["body"]
    assert not sending.sent()
