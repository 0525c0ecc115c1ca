"""The ledger as the store of delivery: claims, leases, stale tokens, order and rescue."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from clickloop.postback.delivery.ending import ended_of
from clickloop.postback.delivery.work import ClaimBatch, EndedAttempt, Job
from clickloop.postback.due import ConditionResult, DuePostback, SkipReason
from clickloop.postback.postback_log import NewPostback, Postback
from clickloop.postback.retry import AttemptCounts, AttemptOutcome, Result, Trouble
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate, Schedule, Success
from clickloop.record_id import RecordIds
from clickloop.store.ledger.logs.postbacks import attempts_of, find_postback, insert_postbacks
from clickloop.store.ledger.queue.claiming import FOLLOWER_RETRY_MS, PAUSED_RULE_RETRY_MS
from clickloop.store.ledger.queue.holding import resume_rule
from clickloop.store.ledger.queue.postback_work import _NEXT_STATE, LedgerPostbacks
from clickloop.store.ledger.schema.tables import postback_rules, postbacks
from clickloop.store.ledger.setup.postback_rules import insert_rule
from tests.empty_stores import open_ledger

NOW = 1_800_000_000_000
LEASE = 60_000
IDS = RecordIds(lambda: NOW)
FINDINGS = (
    ConditionResult(SkipReason.RULE_OFF, True),
    ConditionResult(SkipReason.BELOW_MINIMUM, False, "1 of at least 2"),
)
REQUEST = PostbackRequest(url="https://source.example/pb?id=1")
CLICK = "c" * 26


class Bench:
    """A fresh ledger with one rule, and shortcuts to create, claim and read postbacks."""

    def __init__(self, folder: Path) -> None:
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.store = LedgerPostbacks(self.ledger)
        self.rule_id = self.add_rule()

    def add_rule(self, **given: Any) -> int:
        rule = PostbackRule(rule_id=0, name="Rule", request=RequestTemplate(url="https://source.example/"), **given)
        with self.ledger.write() as tx:
            return insert_rule(tx, rule, NOW)

    def owe(self, conversion_id: str = "a" * 26, version: int = 1, at: int = NOW, resend: int = 0, **given: Any) -> str:
        usual = NewPostback(
            postback_id=IDS(),
            conversion_id=conversion_id,
            version=version,
            rule_id=self.rule_id,
            resend=resend,
            click_id=CLICK,
            campaign_id=7,
            source_id=3,
            trigger="new",
            decision=DuePostback(REQUEST, at, FINDINGS),
            receiver="source.example:443",
        )
        new = msgspec.structs.replace(usual, **given)
        with self.ledger.write() as tx:
            insert_postbacks(tx, [new], NOW)
        return new.postback_id

    def claim(self, now_ms: int = NOW, limit: int = 100) -> ClaimBatch:
        return self.store.claim(now_ms, limit, LEASE)

    def end(self, job: Job, outcome: AttemptOutcome, at: int = NOW + 1_000) -> EndedAttempt:
        ended = ended_of(job, outcome, at, lambda: 0.5)
        self.store.record([ended])
        return ended

    def row(self, postback_id: str) -> Postback:
        with self.ledger.read() as tx:
            found = find_postback(tx, postback_id)
        assert found is not None
        return found

    def results(self, postback_id: str) -> list[str | None]:
        with self.ledger.read() as tx:
            return [attempt.result for attempt in attempts_of(tx, [postback_id]).get(postback_id, ())]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.ledger.close()


def ids_of(claimed: ClaimBatch) -> list[str]:
    return [job.postback_id for job in claimed.jobs]


def test_a_claim_takes_what_is_due_and_writes_its_attempt_before_it_returns(bench: Bench) -> None:
    postback_id = bench.owe()

    claimed = bench.claim()

    (job,) = claimed.jobs
    assert (job.postback_id, job.attempt, job.token, job.tried, job.request) == (
        postback_id,
        1,
        1,
        AttemptCounts(1),
        REQUEST,
    )
    assert (job.success, job.schedule) == (Success(), Schedule())
    assert (bench.row(postback_id).state, bench.results(postback_id)) == ("sending", [None])


def test_a_claimed_postback_is_not_claimed_again(bench: Bench) -> None:
    bench.owe()

    assert len(bench.claim().jobs) == 1
    assert bench.claim().jobs == ()


def test_a_claim_without_due_postbacks_returns_when_the_next_is_due(bench: Bench) -> None:
    bench.owe(at=NOW + 5_000)

    assert bench.claim() == ClaimBatch((), 0, NOW + 5_000)


def test_a_claim_takes_the_longest_due_first_and_at_most_its_limit(bench: Bench) -> None:
    late, early = bench.owe("a" * 26, at=NOW - 1), bench.owe("b" * 26, at=NOW - 2)

    assert ids_of(bench.claim(limit=1)) == [early]
    assert ids_of(bench.claim(limit=1)) == [late]


def test_a_delivery_is_final_and_logged(bench: Bench) -> None:
    postback_id = bench.owe()

    bench.end(bench.claim().jobs[0], AttemptOutcome(status_code=200, answer=b"OK" * 1_000, duration_ms=7))

    row = bench.row(postback_id)
    assert (row.state, row.attempts, row.finished_at, row.next_attempt_at) == ("delivered", 1, NOW + 1_000, None)
    assert (row.last_status_code, row.last_duration_ms, row.last_error) == (200, 7, None)
    assert len(row.last_answer or b"") == 1_000
    assert bench.results(postback_id) == ["delivered"]


def test_a_failed_attempt_is_retried_with_the_same_request(bench: Bench) -> None:
    postback_id = bench.owe()

    bench.end(bench.claim().jobs[0], AttemptOutcome(status_code=503))

    row = bench.row(postback_id)
    assert (row.state, row.next_attempt_at, row.last_error) == ("waiting", NOW + 6_000, "The receiver answered 503.")
    assert bench.claim(NOW + 5_999).jobs == ()
    (job,) = bench.claim(NOW + 6_000).jobs
    assert (job.attempt, job.token, job.tried, job.request) == (2, 2, AttemptCounts(2), REQUEST)


def test_refusals_are_counted_over_attempts_and_fail_at_the_third(bench: Bench) -> None:
    postback_id = bench.owe()
    now_ms = NOW
    for code in (404, 503, 403, 404):
        (job,) = bench.claim(now_ms).jobs
        bench.end(job, AttemptOutcome(status_code=code), now_ms)
        now_ms = bench.row(postback_id).next_attempt_at or now_ms

    row = bench.row(postback_id)
    assert (row.state, bench.results(postback_id)) == ("failed", ["again", "again", "again", "failed"])
    assert row.last_error == "The receiver answered 404. The receiver rejected the request 3 times."


def test_a_trouble_is_logged_with_its_sentence_and_detail(bench: Bench) -> None:
    postback_id = bench.owe()

    bench.end(bench.claim().jobs[0], AttemptOutcome(trouble=Trouble.CONNECT, error="[Errno 111]"))

    assert bench.row(postback_id).last_error == "Could not connect to the receiver. [Errno 111]"


def test_a_write_with_a_stale_token_touches_nothing(bench: Bench) -> None:
    postback_id = bench.owe()
    (stale,) = bench.claim().jobs
    assert bench.store.rescue(NOW + LEASE) == 1
    (fresh,) = bench.claim(NOW + LEASE).jobs
    before = bench.row(postback_id)

    bench.end(stale, AttemptOutcome(status_code=200), NOW + LEASE + 5)
    bench.store.release([stale], NOW + LEASE + 5)

    assert bench.row(postback_id) == before
    assert bench.results(postback_id) == ["unknown", None]
    bench.end(fresh, AttemptOutcome(status_code=200), NOW + LEASE + 9)
    assert bench.row(postback_id).state == "delivered"


def test_a_write_after_a_rescue_and_before_the_next_claim_touches_nothing(bench: Bench) -> None:
    postback_id = bench.owe()
    (stale,) = bench.claim().jobs
    bench.store.rescue(NOW + LEASE)

    bench.end(stale, AttemptOutcome(status_code=200))

    assert (bench.row(postback_id).state, bench.results(postback_id)) == ("waiting", ["unknown"])


def test_a_rescue_leaves_leases_that_have_not_ended(bench: Bench) -> None:
    bench.owe()
    bench.claim()

    assert bench.store.rescue(NOW + LEASE - 1) == 0
    assert bench.store.rescue(NOW, everything=True) == 1


def test_attempts_lost_to_a_crash_do_not_use_up_the_schedule(bench: Bench) -> None:
    postback_id = bench.owe()
    for _ in range(3):
        bench.claim()
        bench.store.rescue(NOW, everything=True)

    (job,) = bench.claim().jobs

    assert (job.attempt, job.tried) == (4, AttemptCounts(1))
    assert bench.results(postback_id) == ["unknown"] * 3 + [None]


def test_a_released_postback_is_as_if_it_had_not_been_claimed(bench: Bench) -> None:
    postback_id = bench.owe()
    (job,) = bench.claim().jobs

    bench.store.release([job], NOW + 1)

    row = bench.row(postback_id)
    assert (row.state, row.attempts, row.next_attempt_at, bench.results(postback_id)) == ("waiting", 0, NOW + 1, [])
    assert bench.claim(NOW + 1).jobs[0].attempt == 1


def test_a_later_change_waits_for_the_earlier_one_of_its_conversion_and_rule(bench: Bench) -> None:
    second, first = bench.owe(version=2), bench.owe(version=1)

    (job,) = bench.claim().jobs

    assert job.postback_id == first
    assert bench.row(second).next_attempt_at == NOW + FOLLOWER_RETRY_MS
    bench.end(job, AttemptOutcome(status_code=200))
    assert ids_of(bench.claim(NOW + FOLLOWER_RETRY_MS)) == [second]


def test_a_later_change_is_due_when_the_earlier_one_is_retried(bench: Bench) -> None:
    first, second = bench.owe(version=1), bench.owe(version=2)
    bench.end(bench.claim().jobs[0], AttemptOutcome(status_code=503), NOW + 100_000)
    retry_at = bench.row(first).next_attempt_at

    assert bench.claim(NOW + FOLLOWER_RETRY_MS).jobs == ()

    assert bench.row(second).next_attempt_at == retry_at


def test_other_conversions_and_other_rules_do_not_wait_for_one_another(bench: Bench) -> None:
    other_rule = bench.add_rule()
    owed = [bench.owe(), bench.owe(conversion_id="b" * 26, version=2), bench.owe(version=2, rule_id=other_rule)]

    assert sorted(ids_of(bench.claim())) == sorted(owed)


def test_a_410_pauses_the_rule_and_its_postbacks_wait_without_attempts(bench: Bench) -> None:
    first, second = bench.owe(), bench.owe(conversion_id="b" * 26, at=NOW + 10)
    bench.end(bench.claim().jobs[0], AttemptOutcome(status_code=410))

    assert bench.claim(NOW + 10).jobs == ()

    assert (bench.row(first).state, bench.row(second).attempts) == ("failed", 0)
    assert bench.row(second).next_attempt_at == NOW + 10 + PAUSED_RULE_RETRY_MS
    with bench.ledger.write() as tx:
        assert tx.scalar(select(postback_rules.c.paused_at)) == NOW + 1_000
        assert resume_rule(tx, bench.rule_id, NOW + 20)
    assert ids_of(bench.claim(NOW + 20)) == [second]


def test_current_success_conditions_and_schedule_apply_to_earlier_postbacks(bench: Bench) -> None:
    bench.owe()
    with bench.ledger.write() as tx:
        tx.execute(update(postback_rules).values(success={"must_contain": "OK"}, schedule=[60]))

    (job,) = bench.claim().jobs

    assert (job.success, job.schedule) == (Success(must_contain="OK"), Schedule(waits_seconds=(60,)))


def test_a_damaged_row_does_not_block_others(bench: Bench) -> None:
    damaged, whole = bench.owe(), bench.owe("b" * 26, rule_id=99)
    with bench.ledger.write() as tx:
        tx.execute(update(postbacks).where(postbacks.c.postback_id == damaged).values(request=b'{"url":1'))

    assert sorted(ids_of(bench.claim())) == sorted([damaged, whole])


def test_a_clock_set_back_shifts_waiting_postbacks_too(bench: Bench) -> None:
    waiting, sending = bench.owe(at=NOW + 5_000), bench.owe(conversion_id="b" * 26)
    bench.claim()

    bench.store.follow_clock(-10_000_000)

    assert bench.row(waiting).next_attempt_at == NOW + 5_000 - 10_000_000
    assert bench.store.rescue(NOW + LEASE - 10_000_000) == 1
    assert bench.row(sending).state == "waiting"


def test_a_clock_set_forward_ends_no_lease_and_delays_nothing(bench: Bench) -> None:
    waiting = bench.owe(at=NOW + 5_000)
    bench.owe(conversion_id="b" * 26)
    bench.claim()

    bench.store.follow_clock(10_000_000)

    assert bench.row(waiting).next_attempt_at == NOW + 5_000
    assert bench.store.rescue(NOW + 10_000_000) == 0


def test_the_latest_moment_is_that_of_the_newest_postback(bench: Bench) -> None:
    assert bench.store.latest_moment() is None
    bench.owe()
    assert bench.store.latest_moment() == NOW


def test_the_noted_moment_takes_precedence_over_the_newest_postback(bench: Bench) -> None:
    bench.owe()
    for moment in (NOW + 5_000, NOW - 5_000):
        bench.store.note_clock(moment)
        assert bench.store.latest_moment() == moment


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["owe", "claim", "end", "fail", "crash"]), st.integers(0, 3)), max_size=40)
)
def test_whatever_happens_a_conversions_postbacks_end_in_order_and_unfinished_ones_have_a_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("ledger"))
    leased: dict[str, Job] = {}
    versions = [0, 0]
    ended: list[tuple[str, int]] = []
    now_ms = NOW
    for step, number in steps:
        now_ms += 1_000
        if step == "owe":
            versions[number % 2] += 1
            bench.owe(str(number % 2) * 26, versions[number % 2], now_ms)
        elif step == "claim":
            leased |= {job.postback_id: job for job in bench.claim(now_ms, 1 + number).jobs}
        elif step == "crash":
            bench.store.rescue(now_ms, everything=True)
            leased.clear()
        elif leased:
            job = leased.pop(sorted(leased)[number % len(leased)])
            bench.end(job, AttemptOutcome(status_code=200 if step == "end" else 503), now_ms)
            row = bench.row(job.postback_id)
            if row.state == "delivered":
                ended.append((row.conversion_id, row.version))
        with bench.ledger.read() as tx:
            rows = tx.execute(select(postbacks)).all()
        for each in rows:
            unfinished = each.state in ("waiting", "sending")
            assert unfinished == ((each.next_attempt_at or each.lease_until) is not None)
    for conversion_id in ("0" * 26, "1" * 26):
        order = [version for owner, version in ended if owner == conversion_id]
        assert order == sorted(order)
    bench.ledger.close()


def test_every_result_but_unknown_is_written_as_a_state() -> None:
    assert set(_NEXT_STATE) == set(Result) - {Result.UNKNOWN}
