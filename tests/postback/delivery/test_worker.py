"""The delivery worker with a real ledger: what leaves, when it stops, and what it survives."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from clickloop.clock import DAY_MS, HOUR_MS, wall_clock
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.receiver_queues import UNLIMITED_QUOTAS, Quotas
from clickloop.postback.delivery.work import ClaimBatch, EndedAttempt, Job, RecordingResult
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.retry import AttemptOutcome
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate, Schedule
from clickloop.postback.sending.client import Sender
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.setup.postback_rules import insert_rule
from tests.postback.delivery.delivering import (
    NEARBY,
    QUICK,
    UNTIL_WOKEN,
    Bench,
    CountingStore,
    deliver,
    wake_until_claimed,
)


def test_postbacks_are_delivered_over_http(bench: Bench, answering: Any) -> None:
    receiver = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

    async def run() -> None:
        async with receiver.open(), Sender(5, NEARBY) as sender:
            bench.owe(50, receiver.url("/pb"))
            delivery = Delivery(bench.store, sender.send, alone=True, limits=QUICK)
            running = asyncio.create_task(delivery.run())
            await bench.all_final()
            delivery.stop()
            await running

    asyncio.run(run())

    assert bench.states() == ["delivered"] * 50
    assert sorted(request.split(b" ")[1] for request in receiver.requests) == sorted(
        b"/pb?%d" % number for number in range(50)
    )


def test_postbacks_leave_at_once_when_delivery_is_woken_from_another_thread(bench: Bench) -> None:
    store = CountingStore(bench.ledger)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: store.claims == 1)
        bench.owe()
        threading.Thread(target=delivery.wake).start()
        await bench.all_final()

    deliver(bench, script, limits=UNTIL_WOKEN, store=store)

    assert bench.states() == ["delivered"]


def test_postbacks_due_later_leave_on_time_without_being_woken(bench: Bench) -> None:
    bench.owe(at=wall_clock() + 100)

    async def script(delivery: Delivery) -> None:
        await bench.all_final()

    deliver(bench, script, limits=UNTIL_WOKEN)

    assert bench.states() == ["delivered"]


def test_a_failed_attempt_is_retried_on_time_without_being_woken(bench: Bench) -> None:
    url = RequestTemplate(url="https://source.example/")
    rule = PostbackRule(rule_id=0, name="Quick", request=url, schedule=Schedule(waits_seconds=(1,)))
    with bench.ledger.write() as tx:
        bench.rule_id = insert_rule(tx, rule, wall_clock())

    async def fail_once(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        return AttemptOutcome(status_code=500 if attempt == 1 else 200)

    async def run(delivery: Delivery) -> None:
        bench.owe(1)
        delivery.wake()
        await bench.all_final()

    deliver(bench, run, fail_once, UNTIL_WOKEN, chance=lambda: 0.0)
    assert [(row.state, row.attempts) for row in bench.rows()] == [("delivered", 2)]


def test_no_more_requests_are_under_way_than_there_are_connections(bench: Bench) -> None:
    under_way = most = 0
    all_under_way = asyncio.Barrier(QUICK.connections)

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await all_under_way.wait()
        under_way -= 1
        return AttemptOutcome(status_code=200)

    for number in range(8):
        bench.owe(5, receiver=f"receiver{number}.example:443")

    async def script(delivery: Delivery) -> None:
        await bench.all_final()

    deliver(bench, script, send)

    assert most == QUICK.connections


def test_changes_of_one_conversion_leave_in_order(bench: Bench) -> None:
    sent: list[str] = []

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        sent.append(request.url)
        return AttemptOutcome(status_code=200)

    for version in (3, 1, 2):
        bench.owe(url=f"https://source.example/{version}", version=version)

    async def script(delivery: Delivery) -> None:
        await bench.all_final()

    deliver(bench, script, send)

    assert sent == [f"https://source.example/{version}?0" for version in (1, 2, 3)]


def test_stopping_finishes_attempts_under_way_and_releases_the_rest(bench: Bench) -> None:
    released = asyncio.Event()
    started = 0

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        nonlocal started
        started += 1
        await released.wait()
        return AttemptOutcome(status_code=200)

    bench.owe(12)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: started == 4)
        delivery.stop()
        await bench.until(lambda: delivery._receivers.queued == 0)
        released.set()

    deliver(bench, script, send, msgspec.structs.replace(QUICK, connections=8))

    assert bench.states() == ["delivered"] * 4 + ["waiting"] * 8
    assert {row.attempts for row in bench.rows() if row.state == "waiting"} == {0}


def test_a_dead_workers_postbacks_are_retried_at_the_start(bench: Bench) -> None:
    bench.owe()
    bench.store.claim(wall_clock(), 10, 10**9)
    attempts: list[int] = []

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        attempts.append(attempt)
        return AttemptOutcome(status_code=200)

    async def script(delivery: Delivery) -> None:
        await bench.all_final()

    deliver(bench, script, send)

    assert (bench.states(), attempts) == (["delivered"], [2])


def test_an_expired_lease_is_taken_back_while_other_workers_live(bench: Bench) -> None:
    bench.owe()
    bench.store.claim(wall_clock(), 10, 50)

    async def script(delivery: Delivery) -> None:
        await bench.all_final()

    deliver(bench, script, alone=False)

    assert bench.states() == ["delivered"]


@pytest.mark.parametrize("alone", [True, False])
def test_only_a_worker_that_is_alone_takes_over_a_lease_that_has_not_ended(bench: Bench, alone: bool) -> None:
    bench.owe()
    bench.store.claim(wall_clock(), 10, 10**9)  # another worker is sending it, or a dead one was
    bench.owe()
    sent: list[int] = []

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        sent.append(attempt)
        return AttemptOutcome(status_code=200)

    async def script(delivery: Delivery) -> None:
        # A postback created later is claimed after the leases were checked.
        await bench.until(lambda: len(sent) == (2 if alone else 1))

    deliver(bench, script, send, alone=alone)

    assert (sorted(sent), bench.states()) == (
        ([1, 2], ["delivered", "delivered"]) if alone else ([1], ["delivered", "sending"])
    )


def test_nothing_is_sent_that_could_outlive_its_lease(bench: Bench) -> None:
    sent, store = 0, CountingStore(bench.ledger)

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        nonlocal sent
        sent += 1
        return AttemptOutcome(status_code=200)

    bench.owe(3)

    async def script(delivery: Delivery) -> None:
        await wake_until_claimed(delivery, store)

    limits = DeliveryLimits(lease_seconds=5, deadline_seconds=10, poll_seconds=0.02)
    deliver(bench, script, send, limits, store=store)

    assert (sent, bench.states()) == (0, ["waiting"] * 3)


def test_an_attempt_that_breaks_our_own_code_is_logged_and_retried(bench: Bench) -> None:
    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        raise RuntimeError("a bug")

    bench.owe()

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: bench.rows()[0].last_error is not None)

    deliver(bench, script, send)

    (row,) = bench.rows()
    assert (row.state, "RuntimeError: a bug" in (row.last_error or "")) == ("waiting", True)


class FailingStore(LedgerPostbacks):
    """A store whose next calls fail, some of each kind."""

    def __init__(self, ledger: Ledger, times: int) -> None:
        super().__init__(ledger)
        self._left = dict.fromkeys(("claim", "record", "rescue"), times)

    def _fail(self, name: str) -> None:
        if self._left[name] > 0:
            self._left[name] -= 1
            raise OSError("the ledger is away")

    def claim(self, now_ms: int, limit: int, lease_ms: int, rooms: Quotas = UNLIMITED_QUOTAS) -> ClaimBatch:
        self._fail("claim")
        return super().claim(now_ms, limit, lease_ms, rooms)

    def record(self, ended: Sequence[EndedAttempt]) -> RecordingResult:
        self._fail("record")
        return super().record(ended)

    def rescue(self, now_ms: int, everything: bool = False) -> int:
        self._fail("rescue")
        return super().rescue(now_ms, everything)


def test_a_failing_ledger_is_retried_and_no_outcome_is_lost(bench: Bench) -> None:
    sent = 0

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        nonlocal sent
        sent += 1
        return AttemptOutcome(status_code=200)

    bench.owe(5)

    async def script(delivery: Delivery) -> None:
        await bench.all_final()

    deliver(bench, script, send, store=FailingStore(bench.ledger, 3))

    assert (sent, bench.states()) == (5, ["delivered"] * 5)


def test_while_outcomes_cannot_be_written_sending_stops_at_the_limit_of_unwritten_ones(bench: Bench) -> None:
    class Full(LedgerPostbacks):
        is_full = True
        refused = 0

        def record(self, ended: Sequence[EndedAttempt]) -> RecordingResult:
            if self.is_full:
                self.refused += 1
                raise OSError("the disk is full")
            return super().record(ended)

    store, sent = Full(bench.ledger), 0
    limits = msgspec.structs.replace(QUICK, queue=100, batch=50, unwritten=8)
    for number in range(10):
        bench.owe(10, receiver=f"source{number}.example:443")

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        nonlocal sent
        sent += 1
        return AttemptOutcome(status_code=200)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: sent >= limits.unwritten)
        before = store.refused
        await bench.until(lambda: store.refused >= before + 5)  # each of these could let more leave
        assert sent <= limits.unwritten + limits.connections
        store.is_full = False
        await bench.all_final()

    deliver(bench, script, send, limits, store=store)

    assert bench.states() == ["delivered"] * 100
    assert sent == 100


def test_a_clock_that_is_set_back_delays_nothing(bench: Bench) -> None:
    ahead = 3_600_000
    offset = ahead

    def clock() -> int:
        return wall_clock() + offset

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        return AttemptOutcome(status_code=503 if attempt == 1 else 200)

    bench.owe(at=wall_clock() + ahead)

    async def script(delivery: Delivery) -> None:
        nonlocal offset
        await bench.until(lambda: bench.rows()[0].state == "waiting" and bench.rows()[0].attempts == 1)
        offset = 0
        await bench.until(lambda: (bench.rows()[0].next_attempt_at or 0) < wall_clock() + 10_000)

    deliver(bench, script, send, clock=clock)

    assert bench.states() == ["waiting"]


def test_a_clock_set_back_while_nothing_ran_is_detected_at_the_start(bench: Bench) -> None:
    bench.owe(at=wall_clock() + 3_600_000)

    async def script(delivery: Delivery) -> None:
        await bench.all_final()

    deliver(bench, script)

    assert bench.states() == ["delivered"]


@pytest.mark.parametrize("ahead_ms", [HOUR_MS, DAY_MS, 400 * DAY_MS])
def test_a_clock_set_back_between_stop_and_start_delays_nothing(bench: Bench, ahead_ms: int) -> None:
    bench.owe()
    answers = iter([503])

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        return AttemptOutcome(status_code=next(answers, 200))

    async def fail_once(delivery: Delivery) -> None:
        await bench.until(lambda: bench.states() == ["waiting"] and bench.rows()[0].attempts == 1)

    before = wall_clock()
    deliver(bench, fail_once, send, clock=lambda: wall_clock() + ahead_ms)
    assert (bench.rows()[0].next_attempt_at or 0) > before + ahead_ms

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: (bench.rows()[0].next_attempt_at or 0) < wall_clock() + 10_000)

    deliver(bench, script, send)


def test_after_a_clock_that_was_ahead_no_restart_brings_a_retry_forward(bench: Bench) -> None:
    url = RequestTemplate(url="https://source.example/")
    rule = PostbackRule(rule_id=0, name="SlowStore", request=url, schedule=Schedule(waits_seconds=(3600, 3600)))
    with bench.ledger.write() as tx:
        bench.rule_id = insert_rule(tx, rule, wall_clock())

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        return AttemptOutcome(status_code=503 if "failing" in request.url else 200)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: bench.states() == ["delivered", "waiting"])

    bench.owe(url="https://source.example/failing")
    bench.owe(at=wall_clock() + 400 * DAY_MS)
    deliver(bench, script, send, clock=lambda: wall_clock() + 400 * DAY_MS)

    for _ in range(3):
        store = CountingStore(bench.ledger)

        async def claim_twice(delivery: Delivery, store: CountingStore = store) -> None:
            await bench.until(lambda: store.claims >= 2)

        deliver(bench, claim_twice, send, store=store)

    (waiting,) = [row for row in bench.rows() if row.state == "waiting"]
    assert waiting.attempts == 1
    assert 0 < (waiting.next_attempt_at or 0) - wall_clock() < 2 * HOUR_MS


def test_a_job_carries_all_that_an_attempt_needs(bench: Bench) -> None:
    bench.owe()

    (job,) = bench.store.claim(wall_clock(), 1, 1_000).jobs

    assert isinstance(job, Job)
    assert job.schedule.attempts == 13
