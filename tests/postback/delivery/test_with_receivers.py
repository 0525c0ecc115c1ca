"""Delivery with queues: a slow or dead receiver delays no other, is paused, probed and resumed; and clocks may jump."""

import asyncio
import time
from collections import Counter

import msgspec
import pytest

from clickloop.clock import DAY_MS, wall_clock
from clickloop.postback.delivery.breaker import OPENS_AT, Pause
from clickloop.postback.delivery.receiver_queue import ReceiverCondition, ReceiverTerms, StoredReceiver
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.pause_reason import PauseReason
from clickloop.postback.retry import AttemptOutcome, Trouble
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate, Schedule
from clickloop.store.ledger.queue.receivers import save_condition, set_receiver_terms
from clickloop.store.ledger.setup.postback_rules import insert_rule
from tests.postback.delivery.delivering import QUICK, Bench, CountingStore, deliver, wake_until_claimed

WIDE = msgspec.structs.replace(QUICK, connections=40, queue=80, batch=20)
DEAD, HEALTHY = "dead.example:443", "healthy.example:443"


class Receivers:
    """Responds by the URL's host and counts requests; ``dead`` is what the dead receiver does."""

    def __init__(self, dead: AttemptOutcome) -> None:
        self.dead = dead
        self.asked: Counter[str] = Counter()

    async def send(self, request: PostbackRequest, attempt: int) -> AttemptOutcome:
        host = request.url.split("/")[2]
        self.asked[host] += 1
        return self.dead if host == "dead.example" else AttemptOutcome(status_code=200)


class ManualClocks:
    """The machine's clocks, which can be advanced without waiting."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def clock(self) -> int:
        return wall_clock() + int(self.ahead * 1000)


def owe_both(bench: Bench, dead: int, healthy: int) -> None:
    bench.owe(dead, "https://dead.example/", receiver=DEAD)
    bench.owe(healthy, "https://healthy.example/", receiver=HEALTHY)


def states_of(bench: Bench, receiver: str) -> Counter[str]:
    return Counter(row.state for row in bench.rows() if row.receiver == receiver)


def pause_of(bench: Bench, receiver: str) -> Pause | None:
    return {kept.receiver: kept.pause for kept in bench.store.receivers()}.get(receiver)


def test_a_receiver_that_hangs_delays_no_other(bench: Bench) -> None:
    released = asyncio.Event()

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        if "dead" in request.url:
            await released.wait()
            return AttemptOutcome(trouble=Trouble.TIMEOUT)
        return AttemptOutcome(status_code=200)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: states_of(bench, HEALTHY)["delivered"] == 200)
        released.set()

    owe_both(bench, 200, 200)
    deliver(bench, script, send, WIDE)

    assert states_of(bench, DEAD)["delivered"] == 0


def test_a_receiver_that_keeps_failing_is_paused_and_waiting_costs_no_attempt(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    receivers, store = Receivers(AttemptOutcome(status_code=503)), CountingStore(bench.ledger)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: states_of(bench, HEALTHY)["delivered"] == 50 and pause_of(bench, DEAD) is not None)
        await wake_until_claimed(delivery, store)

    owe_both(bench, 60, 50)
    deliver(bench, script, receivers.send, WIDE, store=store)

    rows = [row for row in bench.rows() if row.receiver == DEAD]
    assert {(row.state, row.hold) for row in rows} == {("paused", PauseReason.RECEIVER_PAUSED)}
    assert OPENS_AT <= receivers.asked["dead.example"] == sum(row.attempts for row in rows) <= OPENS_AT + 4
    assert [
        msgspec.json.decode(line)["receiver"] for line in capfd.readouterr().err.split("\n") if "paused" in line
    ] == [DEAD]


def test_a_paused_receiver_is_probed_with_one_and_resumes_when_it_responds(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    receivers, now = Receivers(AttemptOutcome(trouble=Trouble.CONNECT)), ManualClocks()

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: pause_of(bench, DEAD) is not None)
        before = receivers.asked["dead.example"]
        now.ahead += 31
        delivery.wake()
        await bench.until(lambda: (pause_of(bench, DEAD) or Pause(opened_at=0, probe_at=0)).probes == 1)
        assert receivers.asked["dead.example"] == before + 1
        receivers.dead = AttemptOutcome(status_code=200)
        now.ahead += 61
        delivery.wake()
        await bench.all_final()

    owe_both(bench, 60, 0)
    deliver(bench, script, receivers.send, WIDE, clock=now.clock, monotonic=now.monotonic)

    assert states_of(bench, DEAD) == Counter(delivered=60)
    assert bench.store.receivers() == ()
    log = capfd.readouterr().err
    assert ["receiver still fails" in log, "receiver resumed" in log] == [True, True]


def test_a_paused_receiver_is_not_sent_to_after_a_restart_before_its_probe(bench: Bench) -> None:
    receivers, store = Receivers(AttemptOutcome(status_code=200)), CountingStore(bench.ledger)
    with bench.ledger.write() as tx:
        save_condition(tx, DEAD, ReceiverCondition(pause=Pause(opened_at=wall_clock(), probe_at=wall_clock() + 20_000)))

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: states_of(bench, HEALTHY)["delivered"] == 5)
        await wake_until_claimed(delivery, store)

    owe_both(bench, 5, 5)
    deliver(bench, script, receivers.send, WIDE, store=store)

    assert receivers.asked["dead.example"] == 0
    assert {row.attempts for row in bench.rows() if row.receiver == DEAD} == {0}


def test_a_probe_that_is_due_after_a_restart_leaves_at_once_and_alone(bench: Bench) -> None:
    receivers = Receivers(AttemptOutcome(status_code=503))
    with bench.ledger.write() as tx:
        save_condition(tx, DEAD, ReceiverCondition(pause=Pause(opened_at=1, probe_at=wall_clock() - 1, probes=3)))

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: (pause_of(bench, DEAD) or Pause(opened_at=0, probe_at=0)).probes == 4)

    owe_both(bench, 30, 0)
    deliver(bench, script, receivers.send, WIDE)

    assert receivers.asked["dead.example"] == 1


def test_responses_that_concern_one_request_pause_no_receiver(bench: Bench) -> None:
    receivers = Receivers(AttemptOutcome(status_code=404))

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: receivers.asked["dead.example"] >= 60)

    owe_both(bench, 60, 0)
    deliver(bench, script, receivers.send, WIDE)

    assert bench.store.receivers() == ()


def test_a_receivers_rate_is_respected_and_changed_while_running(bench: Bench) -> None:
    moments: list[float] = []

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        moments.append(time.monotonic())
        return AttemptOutcome(status_code=200)

    def set_terms(terms: ReceiverTerms) -> None:
        with bench.ledger.write() as tx:
            set_receiver_terms(tx, HEALTHY, terms)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: len(moments) >= 6)
        set_terms(ReceiverTerms())
        await bench.all_final()

    set_terms(ReceiverTerms(per_minute=1_200))
    owe_both(bench, 0, 100)
    began = time.monotonic()
    deliver(bench, script, send, WIDE)

    assert moments[5] - began >= 5 * 60 / 1_200 - 0.1
    assert len(moments) == 100


def test_a_receivers_own_number_of_connections_is_not_exceeded(bench: Bench) -> None:
    under_way = most = 0
    both_under_way = asyncio.Barrier(2)

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await both_under_way.wait()
        under_way -= 1
        return AttemptOutcome(status_code=200)

    with bench.ledger.write() as tx:
        set_receiver_terms(tx, HEALTHY, ReceiverTerms(connections=2))

    async def script(delivery: Delivery) -> None:
        await bench.all_final()

    owe_both(bench, 0, 40)
    deliver(bench, script, send, WIDE)

    assert most == 2
    assert bench.store.receivers() == (StoredReceiver(receiver=HEALTHY, terms=ReceiverTerms(connections=2)),)


def test_a_410_pauses_the_rule_is_logged_and_does_not_affect_other_rules_of_the_receiver(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        return AttemptOutcome(status_code=410 if "gone" in request.url else 200)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: "failed" in bench.states())
        bench.owe(30, "https://healthy.example/gone", receiver=HEALTHY)
        bench.rule_id = other
        bench.owe(5, "https://healthy.example/", receiver=HEALTHY)
        delivery.wake()
        await bench.until(lambda: bench.states().count("delivered") == 5)

    gone = bench.rule_id
    with bench.ledger.write() as tx:
        rule = PostbackRule(rule_id=0, name="Other", request=RequestTemplate(url="https://healthy.example/"))
        other = insert_rule(tx, rule, wall_clock())
    bench.owe(1, "https://healthy.example/gone", receiver=HEALTHY)
    deliver(bench, script, send, WIDE)

    assert Counter((row.state, row.hold, row.attempts) for row in bench.rows()) == Counter(
        {("failed", None, 1): 1, ("paused", PauseReason.RULE_PAUSED, 0): 30, ("delivered", None, 1): 5}
    )
    told = [msgspec.json.decode(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["event"], line["rule"]) for line in told] == [("postback rule paused", gone)]


@pytest.mark.parametrize("jumps", [[1, -1, 1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1]])
def test_a_clock_that_jumps_by_a_day_abandons_nothing_and_uses_no_attempt(bench: Bench, jumps: list[int]) -> None:
    day, attempts_made = 0, Counter[str]()
    rule = PostbackRule(
        rule_id=0,
        name="Quick",
        request=RequestTemplate(url="https://source.example/"),
        schedule=Schedule(waits_seconds=(1, 1, 1)),
    )
    with bench.ledger.write() as tx:
        bench.rule_id = insert_rule(tx, rule, wall_clock())

    def clock() -> int:
        return wall_clock() + day * DAY_MS

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        attempts_made[request.url] += 1
        return AttemptOutcome(status_code=503 if attempt <= 3 else 200)

    async def script(delivery: Delivery) -> None:
        nonlocal day
        for number, jump in enumerate(jumps, 1):
            await bench.until(lambda number=number: all(row.attempts >= number for row in bench.rows()))  # type: ignore[misc]
            day += jump
        await bench.all_final()

    bench.owe(3)
    deliver(bench, script, send, WIDE, clock=clock, chance=lambda: 0.0)

    assert bench.states() == ["delivered"] * 3
    assert set(attempts_made.values()) == {4}
