"""Sending postbacks again, one or many, over the API."""

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import select, update

from clickloop.clock import iso_text
from clickloop.postback.rule import PostbackRequest
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.schema.tables import bulk_jobs, kept_answers, postbacks
from clickloop.tracking.jobs.bulk_work import delete_expired_responses, run_next_batch
from clickloop.tracking.resending import BATCH, NotResentReason
from tests.web.api.ending import converted, ended, work_off

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def resent(instance: "Instance", postback_id: str, mode: str = "as_it_was", **headers: str) -> Any:
    return instance.api.post(f"/api/v1/postbacks/{postback_id}/resend", json={"request": mode}, headers=headers)


def bulk(instance: "Instance", key: str = "", **body: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    return instance.api.post("/api/v1/postbacks/resend", json=body, headers=headers)


def stored_request(instance: "Instance", postback_id: str) -> PostbackRequest:
    with instance.ledger.read() as tx:
        octets = tx.scalar(select(postbacks.c.request).where(postbacks.c.postback_id == postback_id))
    return msgspec.json.decode(octets or b"", type=PostbackRequest)


def rows(instance: "Instance") -> list[Any]:
    items: list[Any] = instance.got("postbacks?limit=500")["items"]
    return items


# One ------------------------------------------------------------------------------------------------------------------


def test_a_resend_as_it_was_is_a_new_row_with_the_same_request(instance: "Instance") -> None:
    instance.set_up()
    first = ended(instance, converted(instance))
    instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": "https://other.example/?id={externalid}"})

    answer = resent(instance, first)

    assert answer.status_code == 201
    made = answer.json()
    assert (made["resend"], made["original_id"], made["trigger"], made["state"]) == (1, first, "resend", "waiting")
    assert made["receiver"] == "source.example:443"
    before, after = stored_request(instance, first), stored_request(instance, made["postback_id"])
    assert msgspec.structs.replace(after, earlier_attempts=0) == before
    assert after.earlier_attempts == 3
    assert instance.owed == 2


def test_a_resend_anew_is_built_from_todays_rule_and_names_the_original(instance: "Instance") -> None:
    instance.set_up()
    first = ended(instance, converted(instance))
    url = "https://other.example/?id={externalid}&n={postback_id}"
    instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": url})

    made = resent(instance, first, "anew").json()

    assert made["request"]["url"] == f"https://other.example/?id=w9Xk2-7fA&n={first}"
    assert made["receiver"] == "other.example:443"


def test_a_resend_of_a_resend_goes_on_naming_the_original_and_counting_its_attempts(instance: "Instance") -> None:
    instance.set_up()
    first = ended(instance, converted(instance))
    second = ended(instance, resent(instance, first).json(), "delivered", attempts=2)

    third = resent(instance, first).json()

    assert (third["resend"], third["original_id"]) == (2, first)
    assert stored_request(instance, third["postback_id"]).earlier_attempts == 5
    assert [row["postback_id"] for row in rows(instance)] == [third["postback_id"], second, first]


def test_a_postback_under_way_is_not_sent_again(instance: "Instance") -> None:
    instance.set_up()
    made = converted(instance)
    LedgerPostbacks(instance.ledger).claim(instance.now, 10, 60_000)
    answer = resent(instance, made["postback_id"])
    assert answer.status_code == 409
    assert answer.json()["detail"] == NotResentReason.UNDER_WAY.sentence


def test_a_postback_that_waits_is_sent_at_once_as_it_was(instance: "Instance") -> None:
    instance.set_up()
    waiting = converted(instance)
    later = instance.now + 86_400_000
    with instance.ledger.write() as tx:
        tx.execute(update(postbacks).values(next_attempt_at=later, attempts=1))
    made = resent(instance, waiting["postback_id"]).json()
    assert made["request"] == waiting["request"]
    assert made["next_attempt_at"] == iso_text(instance.now)
    assert instance.got(f"postbacks/{waiting['postback_id']}")["postback"]["state"] == "cancelled"


def share(instance: "Instance") -> list[str]:
    """The states and reasons of the last rows, in the order of their conversions, of a rule for every second conversion."""
    latest: dict[str, str] = {}
    for row in sorted(rows(instance), key=lambda one: str(one["postback_id"])):
        latest[row["conversion_id"]] = row["reason"] or row["state"]
    return [latest[conversion_id] for conversion_id in sorted(latest)]


def test_a_share_is_counted_on_over_what_is_sent_anew_and_what_it_leaves_out_stays_out(instance: "Instance") -> None:
    instance.set_up()
    dear = {"conditions": {"minimum_payout": "100", "every_nth": 2}}
    instance.api.patch("/api/v1/postback-rules/1", json=dear)
    for _ in range(4):
        converted(instance)
    instance.api.patch("/api/v1/postback-rules/1", json={"conditions": {"minimum_payout": "1"}})
    for _ in range(2):
        started = bulk(instance, reason="below_minimum", request="anew").json()
        work_off(instance)
    assert share(instance) == ["waiting", "not_sampled", "waiting", "not_sampled"]
    job = instance.got(f"postbacks/resends/{started['resend_id']}")
    assert (job["matched"], job["made"]) == (0, 0)


def test_what_was_told_in_silence_is_released_when_it_is_asked_for_by_that_reason_or_forced(
    instance: "Instance",
) -> None:
    instance.set_up()
    for _ in range(3):
        instance.made("conversions", {"click_id": instance.visit(), "payout": "5", "disable_postback": True})
    held = [row["postback_id"] for row in rows(instance)]
    refused = resent(instance, held[0], "anew")
    assert "disable_postback=1" in refused.json()["errors"][0]["message"]
    body = {"request": "anew", "force": True}
    assert instance.api.post(f"/api/v1/postbacks/{held[0]}/resend", json=body).status_code == 201
    for asked in ({"state": "skipped"}, {"reason": "disabled_by_notice"}):
        before = [row["state"] for row in rows(instance)].count("waiting")
        bulk(instance, request="anew", **asked)
        work_off(instance)
        after = [row["state"] for row in rows(instance)].count("waiting")
        assert after - before == (2 if "reason" in asked else 0)


def test_a_skipped_postback_has_no_request_as_it_was(instance: "Instance") -> None:
    instance.set_up()
    answer = resent(instance, converted(instance, external_id="")["postback_id"])
    assert instance.faults(answer) == {"request": "nothing_was_sent"}


def test_a_skipped_postback_is_sent_anew_once_its_cause_is_corrected(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/postback-rules/1", json={"active": False})
    skipped = converted(instance)
    refused = resent(instance, skipped["postback_id"], "anew")
    assert instance.faults(refused) == {"request": "still_skipped"}
    assert "The rule is off" in refused.json()["errors"][0]["message"]
    instance.api.patch("/api/v1/postback-rules/1", json={"active": True})

    made = resent(instance, skipped["postback_id"], "anew")

    assert made.status_code == 201
    assert made.json()["request"]["url"] == "https://source.example/postback?id=w9Xk2-7fA&payout=12.5"


def test_what_a_notice_asked_not_to_send_stays_unsent(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    instance.api.post("/api/v1/conversions", json={"click_id": click_id, "disable_postback": True})
    (skipped,) = rows(instance)
    answer = resent(instance, skipped["postback_id"], "anew")
    assert "(disable_postback=1)" in answer.json()["errors"][0]["message"]


def test_what_a_share_left_out_is_sent_only_when_there_is_no_share_any_more(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/postback-rules/1", json={"conditions": {"every_nth": 2}})
    converted(instance)
    left_out = converted(instance)
    assert left_out["reason"] == "not_sampled"
    assert resent(instance, left_out["postback_id"], "anew").status_code == 422
    instance.api.patch("/api/v1/postback-rules/1", json={"conditions": {"every_nth": 1}})
    assert resent(instance, left_out["postback_id"], "anew").status_code == 201


def test_an_archived_rule_sends_nothing_that_it_had_skipped_but_repeats_what_it_had_sent(instance: "Instance") -> None:
    instance.set_up()
    sent = ended(instance, converted(instance))
    skipped = converted(instance, external_id="")
    instance.api.delete("/api/v1/postback-rules/1")
    assert resent(instance, sent, "anew").status_code == 201
    assert resent(instance, skipped["postback_id"], "anew").status_code == 422


def test_a_request_that_cannot_be_read_is_not_sent_again(instance: "Instance") -> None:
    instance.set_up()
    first = ended(instance, converted(instance))
    with instance.ledger.write() as tx:
        tx.execute(update(postbacks).values(request=b"{"))
    with instance.ledger.read() as tx:
        from clickloop.tracking.resending import ResendMode, ResendRefusal, resend_one

        assert resend_one(tx, instance.context.intake(), first, ResendMode.AS_IT_WAS, instance.now) == ResendRefusal(
            NotResentReason.RECORD_GONE
        )


def test_the_same_key_twice_makes_one_row_and_gets_the_same_answer(instance: "Instance") -> None:
    instance.set_up()
    first = ended(instance, converted(instance))
    answers = [resent(instance, first, **{"idempotency-key": "k-1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].headers["idempotency-repeated"] == "true"
    assert len(rows(instance)) == 2


def test_a_key_for_another_request_is_refused(instance: "Instance") -> None:
    instance.set_up()
    first = ended(instance, converted(instance))
    resent(instance, first, **{"idempotency-key": "k-1"})
    assert resent(instance, first, "anew", **{"idempotency-key": "k-1"}).status_code == 422
    assert resent(instance, first, **{"idempotency-key": "a\x7fb"}).status_code == 422


def test_a_key_is_kept_for_two_days(instance: "Instance") -> None:
    instance.set_up()
    resent(instance, ended(instance, converted(instance)), **{"idempotency-key": "k-1"})
    for hours, kept in ((47, 1), (49, 0)):
        delete_expired_responses(instance.context.intake(), instance.now + hours * 3_600_000)
        with instance.ledger.read() as tx:
            assert len(tx.execute(select(kept_answers)).all()) == kept


@pytest.mark.parametrize("action", ["resend", "cancel"])
def test_what_is_not_there_is_a_404(instance: "Instance", action: str) -> None:
    assert instance.api.post(f"/api/v1/postbacks/{'0' * 26}/{action}", json={}).status_code == 404


# Many -----------------------------------------------------------------------------------------------------------------


def test_a_preview_counts_and_does_nothing(instance: "Instance") -> None:
    instance.set_up()
    for _ in range(3):
        ended(instance, converted(instance))
    converted(instance, external_id="")
    answer = bulk(instance, source_id=1, preview=True)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["matched"], body["matched_by_state"]) == (4, {"failed": 3, "skipped": 1})
    assert body["left_out"] == {"nothing_was_sent": 1}
    work_off(instance)
    assert len(rows(instance)) == 4


def test_a_job_sends_all_that_match_and_tells_how_far_it_is(instance: "Instance") -> None:
    instance.set_up()
    failed = [ended(instance, converted(instance)) for _ in range(3)]
    ended(instance, converted(instance), "delivered")
    waiting = converted(instance)

    answer = bulk(instance, state="failed")

    assert (answer.status_code, answer.json()["matched"], answer.json()["finished"]) == (202, 3, False)
    work_off(instance)
    job = instance.got(f"postbacks/resends/{answer.json()['resend_id']}")
    assert (job["done"], job["made"], job["left_out"], job["finished"]) == (3, 3, {}, True)
    made = [row for row in rows(instance) if row["resend"]]
    assert sorted(row["original_id"] for row in made) == sorted(failed)
    assert waiting["postback_id"] not in {row["original_id"] for row in made}


def test_a_job_sends_nothing_again_that_was_first_delivered_after_it_was_asked_for(instance: "Instance") -> None:
    instance.set_up()
    delivered = ended(instance, converted(instance), "delivered")
    on_its_way = converted(instance)
    instance.now += 1
    job = bulk(instance, state="delivered").json()
    instance.now += 1
    ended(instance, on_its_way, "delivered")

    work_off(instance)

    done = instance.got(f"postbacks/resends/{job['resend_id']}")
    assert (done["matched"], done["done"], done["made"]) == (1, 1, 1)
    assert [row["original_id"] for row in rows(instance) if row["resend"]] == [delivered]


def test_a_job_leaves_out_what_cannot_be_sent_and_says_why(instance: "Instance") -> None:
    instance.set_up()
    converted(instance, external_id="")
    number = bulk(instance, source_id=1, request="anew").json()["resend_id"]
    work_off(instance)
    job = instance.got(f"postbacks/resends/{number}")
    assert (job["made"], job["left_out"]) == (0, {"still_skipped: no_external_id": 1})


def test_what_was_sent_again_and_delivered_does_not_match_failed_any_more(instance: "Instance") -> None:
    instance.set_up()
    first = ended(instance, converted(instance))
    ended(instance, resent(instance, first).json(), "delivered")
    assert bulk(instance, state="failed", preview=True).json()["matched"] == 0
    assert bulk(instance, state="delivered", preview=True).json()["matched"] == 1


FILTERS: list[tuple[dict[str, Any], int]] = [
    ({"source_id": 1}, 2),
    ({"source_id": 2}, 0),
    ({"campaign_id": 1}, 2),
    ({"campaign_id": 2}, 0),
    ({"rule_id": 1}, 2),
    ({"rule_id": 2}, 0),
    ({"state": "skipped"}, 1),
    ({"reason": "no_external_id"}, 1),
    ({"reason": "not_unique"}, 0),
    ({"status": "sale"}, 2),
    ({"status": "hold"}, 0),
    ({"since": "2026-03-01", "until": "2026-03-02"}, 2),
    ({"since": "2026-03-02"}, 0),
    ({"click_id": "0" * 26}, 0),
    ({"conversion_id": "0" * 26}, 0),
]


@pytest.mark.parametrize(("wanted", "matched"), FILTERS)
def test_each_field_of_the_filter_narrows(instance: "Instance", wanted: dict[str, Any], matched: int) -> None:
    instance.set_up()
    ended(instance, converted(instance))
    converted(instance, external_id="")
    assert bulk(instance, preview=True, **wanted).json()["matched"] == matched


def test_a_filter_that_narrows_nothing_is_refused(instance: "Instance") -> None:
    assert instance.faults(bulk(instance, request="anew")) == {"": "required"}


def test_the_same_key_starts_one_job(instance: "Instance") -> None:
    instance.set_up()
    ended(instance, converted(instance))
    answers = [bulk(instance, "k-9", state="failed").json() for _ in range(2)]
    assert answers[0] == answers[1]
    work_off(instance)
    assert len(rows(instance)) == 2


def test_a_job_that_was_cut_off_goes_on_where_it_was_without_doubling_any(instance: "Instance") -> None:
    instance.set_up()
    for _ in range(BATCH + 5):
        ended(instance, converted(instance))
    number = bulk(instance, state="failed").json()["resend_id"]
    run_next_batch(instance.context.intake(), instance.now)
    with instance.ledger.read() as tx:
        assert tx.execute(select(bulk_jobs.c.done, bulk_jobs.c.state)).one() == (BATCH, "running")
    work_off(instance)
    job = instance.got(f"postbacks/resends/{number}")
    assert (job["done"], job["made"]) == (BATCH + 5, BATCH + 5)
    with instance.ledger.read() as tx:
        originals = tx.scalars(select(postbacks.c.original_id).where(postbacks.c.resend == 1)).all()
    assert len(set(originals)) == len(originals) == BATCH + 5


def test_a_resend_that_is_not_there_is_a_404(instance: "Instance") -> None:
    assert instance.api.get(f"/api/v1/postbacks/resends/{'0' * 26}").status_code == 404


def test_every_reason_for_not_sending_again_has_its_sentence() -> None:
    assert all(json.dumps(reason.sentence) for reason in NotResentReason)
