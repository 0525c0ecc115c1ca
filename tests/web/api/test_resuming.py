"""Resuming a rule paused by a 410: waiting postbacks are sent unchanged or rebuilt, one first, each when due."""

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from clickloop.clock import HOUR_MS
from clickloop.postback.delivery.ending import ended_of
from clickloop.postback.delivery.work import Job, RecordingResult
from clickloop.postback.retry import AttemptOutcome
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.schema.tables import postbacks
from tests.web.api.ending import work_off
from tests.web.api.test_resends import rows, stored_request

if TYPE_CHECKING:
    from tests.web.conftest import Instance

FIXED = "https://other.example/fixed?id={externalid}&n={postback_id}&c={conversion.key}"


class Held:
    """An instance whose rule 1 is paused by a 410, with a delivery that is stepped by hand."""

    def __init__(self, instance: "Instance", conversions: int = 3) -> None:
        self.instance = instance
        self.work = LedgerPostbacks(instance.ledger)
        instance.set_up()
        self.convert()
        (first,) = self.claim()
        self.end(first, 410)
        for _ in range(conversions):
            self.convert()
        assert self.claim() == ()

    def convert(self, click_id: str = "", **given: Any) -> str:
        click_id = click_id or self.instance.visit()
        answer = self.instance.api.post("/api/v1/conversions", json={"click_id": click_id, "payout": "12.5"} | given)
        assert answer.status_code < 300, answer.text
        return click_id

    def claim(self, later_ms: int = 0) -> tuple[Job, ...]:
        return self.work.claim(self.instance.now + later_ms, 100, 60_000).jobs

    def end(self, job: Job, code: int = 200) -> RecordingResult:
        recorded = self.work.record([ended_of(job, AttemptOutcome(status_code=code), self.instance.now, lambda: 0.5)])
        while recorded.resumed and self.work.wake_resumed():
            pass
        return recorded

    def correct(self) -> None:
        answer = self.instance.api.patch("/api/v1/postback-rules/1", json={"request": {"url": FIXED}})
        assert answer.status_code == 200, answer.text

    def resume(self, held: str | None = None) -> Any:
        body = None if held is None else {"held": held}
        answer = self.instance.api.post("/api/v1/postback-rules/1/resume", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def url(self, job: Job) -> str:
        return stored_request(self.instance, job.postback_id).url

    def rule(self) -> Any:
        return self.instance.got("postback-rules/1")


@pytest.fixture
def held(instance: "Instance") -> Held:
    return Held(instance)


def test_postbacks_that_waited_for_a_wrong_url_are_sent_by_the_corrected_rule(held: Held) -> None:
    held.correct()

    resumed = held.resume()

    assert (resumed["held"], resumed["waiting"], resumed["paused_at"] is None) == ("anew", 3, False)
    work_off(held.instance)
    (probe,) = held.claim()
    held.end(probe)
    others = held.claim()
    assert len(others) == 2
    assert all(held.url(job).startswith("https://other.example/fixed?id=w9Xk2-7fA&n=") for job in (probe, *others))
    assert {job.receiver for job in (probe, *others)} == {"other.example:443"}
    assert (held.rule()["paused_at"], held.rule()["resuming_since"]) == (None, None)


def test_a_replaced_postback_is_cancelled_and_its_successor_refers_to_it(held: Held) -> None:
    before = {row["postback_id"] for row in rows(held.instance) if row["state"] == "paused"}
    held.correct()
    job_id = held.resume()["resend_id"]
    work_off(held.instance)

    job = held.instance.got(f"postbacks/resends/{job_id}")
    assert (job["matched"], job["made"], job["finished"], job["resumes_rule"]) == (3, 3, True, 1)
    after = rows(held.instance)
    assert {row["postback_id"] for row in after if row["state"] == "cancelled"} == before
    new = [row for row in after if row["state"] == "waiting"]
    assert {row["original_id"] for row in new} == before
    assert all(f"n={row['original_id']}" in row["request"]["url"] for row in new)


def test_nothing_is_sent_to_the_old_url_while_the_job_runs(held: Held) -> None:
    held.correct()
    held.resume()

    assert held.claim() == ()
    assert held.claim(2 * HOUR_MS) == ()
    assert held.rule()["paused_at"] is not None


def test_an_unchanged_rule_is_resumed_with_unchanged_requests_one_first(held: Held) -> None:
    resumed = held.resume()

    assert (resumed["held"], resumed["resend_id"], resumed["paused_at"]) == ("as_it_was", None, None)
    assert resumed["resuming_since"] is not None
    (probe,) = held.claim()
    assert held.url(probe).startswith("https://source.example/postback?")
    assert held.end(probe, 410).paused == (1,)
    assert [row["state"] for row in rows(held.instance)].count("failed") == 2
    assert [row["state"] for row in rows(held.instance)].count("paused") == 2


def test_a_changed_rule_can_be_resumed_with_unchanged_requests(held: Held) -> None:
    held.correct()
    assert held.resume("as_it_was")["held"] == "as_it_was"
    (probe,) = held.claim()
    assert held.url(probe).startswith("https://source.example/postback?")


def test_a_change_outside_the_request_does_not_rebuild_requests(held: Held) -> None:
    held.instance.api.patch("/api/v1/postback-rules/1", json={"name": "Another name"})
    assert held.resume()["held"] == "as_it_was"


def test_postbacks_created_after_the_correction_are_not_rebuilt(instance: "Instance") -> None:
    held = Held(instance, conversions=0)
    instance.now += 1_000
    held.correct()
    instance.now += 1_000
    held.convert()
    assert held.resume()["held"] == "as_it_was"


@pytest.mark.parametrize("mode", ["anew", "as_it_was"])
def test_a_delay_is_not_overridden_by_resuming(instance: "Instance", mode: str) -> None:
    held = Held(instance, conversions=0)
    instance.api.patch("/api/v1/postback-rules/1", json={"conditions": {"delay_seconds": 3600}})
    held.convert()
    held.resume(mode)
    work_off(instance)

    assert held.claim() == ()
    assert held.claim(HOUR_MS - 1) == ()
    assert len(held.claim(HOUR_MS)) == 1


@pytest.mark.parametrize("mode", ["anew", "as_it_was"])
def test_a_scheduled_attempt_is_not_overridden_by_resuming(held: Held, mode: str) -> None:
    with held.instance.ledger.write() as tx:
        newest = held.instance.got("postbacks?limit=1")["items"][0]["postback_id"]
        tx.execute(
            update(postbacks)
            .where(postbacks.c.postback_id == newest)
            .values(attempts=2, held_from=None, next_attempt_at=held.instance.now + HOUR_MS)
        )
    held.resume(mode)
    work_off(held.instance)
    (probe,) = held.claim()
    held.end(probe)

    assert len(held.claim()) == 1
    with held.instance.ledger.read() as tx:
        assert tx.scalar(select(postbacks.c.next_attempt_at).where(postbacks.c.state == "waiting")) == (
            held.instance.now + HOUR_MS
        )


def test_rebuilding_keeps_the_order_of_a_conversions_changes(instance: "Instance") -> None:
    held = Held(instance, conversions=0)
    instance.api.patch("/api/v1/postback-rules/1", json={"conditions": {"trigger": "status"}})
    click_id = held.convert(status="hold")
    held.convert(click_id, status="sale")
    held.correct()
    held.resume("anew")
    work_off(instance)

    (first,) = held.claim(HOUR_MS)
    held.end(first)
    (second,) = held.claim(HOUR_MS)

    assert [held.url(job).rpartition("=")[2] for job in (first, second)] == ["hold", "sale"]


def test_a_stopped_job_leaves_the_rule_paused_and_resuming_starts_another(held: Held) -> None:
    held.correct()
    first = held.resume()["resend_id"]
    assert held.resume()["resend_id"] == first

    stopped = held.instance.api.post(f"/api/v1/postbacks/resends/{first}/stop").json()
    work_off(held.instance)

    assert (stopped["stopped"], stopped["finished"], stopped["made"]) == (True, True, 0)
    assert held.rule()["paused_at"] is not None
    assert held.resume()["resend_id"] != first


def test_an_archived_rule_can_be_resumed_and_archiving_warns_of_waiting_postbacks(held: Held) -> None:
    (warning,) = held.instance.api.delete("/api/v1/postback-rules/1").json()["warnings"]

    assert (warning["code"], "3 postbacks" in warning["message"]) == ("archived_rule_holds", True)
    held.resume()
    (probe,) = held.claim()
    held.end(probe)
    assert len(held.claim()) == 2


def test_a_rule_that_is_not_paused_has_nothing_to_resume(instance: "Instance") -> None:
    instance.set_up()
    answer = instance.api.post("/api/v1/postback-rules/1/resume")
    assert (answer.status_code, answer.json()["held"]) == (200, None)
    assert instance.api.delete("/api/v1/postback-rules/1").json()["warnings"] == []


def test_an_invalid_mode_is_reported(held: Held) -> None:
    answer = held.instance.api.post("/api/v1/postback-rules/1/resume", json={"held": "later", "x": 1})
    assert set(held.instance.faults(answer)) == {"held", "x"}
