"""Replacing and cancelling what waits, stopping jobs, and what may not overtake a newer change, over the API."""

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from clickloop.clock import iso_text
from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.receiver_queue import ReceiverCondition
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.queue.receivers import save_condition
from clickloop.store.ledger.schema.tables import bulk_jobs, postbacks
from clickloop.tracking.jobs.bulk_work import run_next_batch
from clickloop.tracking.resending import BATCH
from tests.web.api.ending import converted, ended, work_off
from tests.web.api.test_resends import bulk, resent, rows, stored_request

if TYPE_CHECKING:
    from tests.web.conftest import Instance

FIXED = "https://other.example/?id={externalid}&n={postback_id}"
PAUSE = Pause(opened_at=1, probe_at=2)


def cancel(instance: "Instance", key: str = "", **body: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    return instance.api.post("/api/v1/postbacks/cancel", json=body, headers=headers)


def correct(instance: "Instance") -> None:
    instance.api.patch("/api/v1/postback-rules/1", json={"request": {"url": FIXED}})


def states(instance: "Instance") -> list[str]:
    return sorted(row["state"] for row in rows(instance))


def changed(instance: "Instance", first: str, second: str) -> tuple[str, str]:
    """The postbacks of two changes of a conversion, the older one first, in these states."""
    instance.api.patch("/api/v1/postback-rules/1", json={"conditions": {"trigger": "status"}})
    click_id = instance.visit()
    for status in ("hold", "sale"):
        instance.api.post("/api/v1/conversions", json={"click_id": click_id, "status": status})
    newer, older = instance.got(f"postbacks?click_id={click_id}")["items"]
    for postback, state in ((older, first), (newer, second)):
        if state != "waiting":
            ended(instance, postback, state)
    return older["postback_id"], newer["postback_id"]


# Replacing ------------------------------------------------------------------------------------------------------------


def test_what_waits_is_replaced_in_bulk_by_what_is_built_anew(instance: "Instance") -> None:
    instance.set_up()
    waiting = [converted(instance)["postback_id"] for _ in range(3)]
    ended(instance, converted(instance))
    correct(instance)

    preview = bulk(instance, state="waiting", request="anew", preview=True).json()
    number = bulk(instance, state="waiting", request="anew").json()["resend_id"]
    work_off(instance)

    assert (preview["matched"], preview["matched_by_state"]) == (3, {"waiting": 3})
    job = instance.got(f"postbacks/resends/{number}")
    assert (job["done"], job["made"], job["left_out"]) == (3, 3, {})
    assert states(instance) == ["cancelled"] * 3 + ["failed"] + ["waiting"] * 3
    new = [row for row in rows(instance) if row["state"] == "waiting"]
    assert {row["original_id"] for row in new} == set(waiting)
    assert {row["receiver"] for row in new} == {"other.example:443"}


def test_one_that_waits_is_replaced_when_it_is_asked_for_anew(instance: "Instance") -> None:
    instance.set_up()
    waiting = converted(instance)["postback_id"]
    correct(instance)
    made = resent(instance, waiting, "anew")
    assert made.status_code == 201
    assert (
        stored_request(instance, made.json()["postback_id"]).url == f"https://other.example/?id=w9Xk2-7fA&n={waiting}"
    )
    assert states(instance) == ["cancelled", "waiting"]


def test_one_that_was_tried_leaves_at_once_and_one_that_was_not_keeps_its_delay(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/postback-rules/1", json={"conditions": {"delay_seconds": 60}})
    tried, delayed = converted(instance)["postback_id"], converted(instance)["postback_id"]
    with instance.ledger.write() as tx:
        values = {"attempts": 3, "next_attempt_at": instance.now + 86_400_000}
        tx.execute(update(postbacks).where(postbacks.c.postback_id == tried).values(values))
    bulk(instance, rule_id=1, state="waiting", request="anew")
    work_off(instance)
    with instance.ledger.read() as tx:
        columns = (postbacks.c.original_id, postbacks.c.next_attempt_at)
        found = dict(tx.execute(select(*columns).where(postbacks.c.state == "waiting")).all())
    due = instance.now - 60_000 + 60_000
    assert found == {tried: instance.now, delayed: found[delayed]}
    assert due <= found[delayed] <= instance.now + 60_000


def test_what_is_paused_is_told_from_what_is_not(instance: "Instance") -> None:
    instance.set_up()
    converted(instance)
    with instance.ledger.write() as tx:
        save_condition(tx, "source.example:443", ReceiverCondition(pause=PAUSE))
    counts = [
        bulk(instance, state=state, request="anew", preview=True).json()["matched"] for state in ("waiting", "paused")
    ]
    assert counts == [0, 1]


def test_what_waits_leaves_at_once_when_it_is_asked_for_by_its_state(instance: "Instance") -> None:
    instance.set_up()
    converted(instance)
    later = instance.now + 86_400_000
    with instance.ledger.write() as tx:
        tx.execute(update(postbacks).values(next_attempt_at=later, attempts=1))
    bulk(instance, state="waiting")
    work_off(instance)
    states = sorted((row["state"], row["next_attempt_at"]) for row in rows(instance))
    assert states == [("cancelled", None), ("waiting", iso_text(instance.now))]


def test_what_is_being_sent_is_left_alone(instance: "Instance") -> None:
    instance.set_up()
    converted(instance)
    LedgerPostbacks(instance.ledger).claim(instance.now, 10, 60_000)
    assert bulk(instance, rule_id=1, state="waiting", request="anew", preview=True).json()["matched"] == 0
    assert resent(instance, rows(instance)[0]["postback_id"], "anew").status_code == 409


# Cancelling -----------------------------------------------------------------------------------------------------------


def test_all_that_match_and_wait_are_cancelled(instance: "Instance") -> None:
    instance.set_up()
    for _ in range(3):
        converted(instance)
    ended(instance, converted(instance), "delivered")

    preview = cancel(instance, source_id=1, preview=True)
    answer = cancel(instance, source_id=1)
    work_off(instance)

    assert (preview.status_code, preview.json()["matched"], preview.json()["cancel_id"]) == (200, 3, None)
    assert (answer.status_code, answer.json()["matched"], answer.json()["finished"]) == (202, 3, False)
    job = instance.got(f"postbacks/cancels/{answer.json()['cancel_id']}")
    assert (job["done"], job["made"], job["finished"], job["stopped"]) == (3, 3, True, False)
    assert states(instance) == ["cancelled"] * 3 + ["delivered"]
    assert instance.got("postbacks/cancels")["items"] == [job]


def test_cancelling_is_noted_in_the_log_of_changes(instance: "Instance") -> None:
    instance.set_up()
    converted(instance)
    cancel(instance, rule_id=1)
    newest = instance.got("changes")["items"][0]
    assert (newest["noun"], newest["action"]) == ("postbacks/cancels", "cancelled")


def test_what_stood_behind_a_cancelled_one_is_due_at_once(instance: "Instance") -> None:
    instance.set_up()
    older, newer = changed(instance, "waiting", "waiting")
    work = LedgerPostbacks(instance.ledger)
    with instance.ledger.write() as tx:
        later = update(postbacks).where(postbacks.c.postback_id == older)
        tx.execute(later.values(next_attempt_at=instance.now + 86_400_000))
    assert work.claim(instance.now, 10, 60_000).jobs == ()
    instance.api.post(f"/api/v1/postbacks/{older}/cancel")
    assert [job.postback_id for job in work.claim(instance.now, 10, 60_000).jobs] == [newer]


@pytest.mark.parametrize(
    ("wanted", "matched"), [({"state": "paused"}, 0), ({"state": "waiting"}, 1), ({"rule_id": 2}, 0)]
)
def test_each_field_narrows_what_is_cancelled(instance: "Instance", wanted: dict[str, Any], matched: int) -> None:
    instance.set_up()
    converted(instance)
    assert cancel(instance, preview=True, **wanted).json()["matched"] == matched


def test_cancelling_everything_has_to_be_narrowed_and_final_states_cannot_be_cancelled(instance: "Instance") -> None:
    assert instance.faults(cancel(instance)) == {"": "required"}
    assert set(instance.faults(cancel(instance, state="failed"))) == {"state"}
    assert instance.api.get(f"/api/v1/postbacks/cancels/{'0' * 26}").status_code == 404


def test_the_same_key_cancels_once(instance: "Instance") -> None:
    instance.set_up()
    converted(instance)
    answers = [cancel(instance, "k-1", rule_id=1) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-repeated"] == "true"


# Stopping -------------------------------------------------------------------------------------------------------------


def test_a_job_that_is_stopped_stays_where_it_is(instance: "Instance") -> None:
    instance.set_up()
    for _ in range(BATCH + 5):
        ended(instance, converted(instance))
    number = bulk(instance, state="failed").json()["resend_id"]
    run_next_batch(instance.context.intake(), instance.now)

    for _ in range(2):
        stopped = instance.api.post(f"/api/v1/postbacks/resends/{number}/stop").json()
        assert (stopped["stopped"], stopped["finished"], stopped["made"]) == (True, True, BATCH)
    work_off(instance)

    assert states(instance).count("waiting") == BATCH
    with instance.ledger.read() as tx:
        assert tx.scalar(select(bulk_jobs.c.state)) == "stopped"


def test_a_finished_job_is_not_stopped_any_more(instance: "Instance") -> None:
    instance.set_up()
    converted(instance)
    number = cancel(instance, rule_id=1).json()["cancel_id"]
    work_off(instance)
    stopped = instance.api.post(f"/api/v1/postbacks/cancels/{number}/stop").json()
    assert (stopped["stopped"], stopped["finished"], stopped["made"]) == (False, True, 1)


# What may not overtake ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newer", ["waiting", "delivered"])
@pytest.mark.parametrize("older", ["cancelled", "failed", "delivered"])
def test_an_older_change_does_not_overtake_a_newer_one_unless_it_is_forced(
    instance: "Instance", older: str, newer: str
) -> None:
    instance.set_up()
    postback_id, _ = changed(instance, older, newer)

    refused = resent(instance, postback_id)
    forced = instance.api.post(f"/api/v1/postbacks/{postback_id}/resend", json={"force": True})

    assert (refused.status_code, "newer change" in refused.json()["detail"]) == (409, True)
    assert forced.status_code == 201


def test_older_changes_are_left_out_in_bulk_and_the_newest_is_sent(instance: "Instance") -> None:
    instance.set_up()
    _, newer = changed(instance, "delivered", "delivered")
    preview = bulk(instance, state="delivered", preview=True).json()
    number = bulk(instance, state="delivered").json()["resend_id"]
    work_off(instance)

    assert (preview["matched"], preview["left_out"]) == (2, {"superseded": 1})
    job = instance.got(f"postbacks/resends/{number}")
    assert (job["made"], job["left_out"]) == (1, {"superseded": 1})
    assert [row["original_id"] for row in rows(instance) if row["resend"]] == [newer]


def test_when_no_newer_change_was_sent_both_are_sent_again_in_order(instance: "Instance") -> None:
    instance.set_up()
    older, newer = changed(instance, "failed", "failed")
    bulk(instance, state="failed")
    work_off(instance)
    work = LedgerPostbacks(instance.ledger)
    originals = {row["postback_id"]: row["original_id"] for row in rows(instance)}
    (first,) = work.claim(instance.now, 10, 60_000).jobs
    assert originals[first.postback_id] == older
    assert {row["original_id"] for row in rows(instance) if row["resend"]} == {older, newer}
