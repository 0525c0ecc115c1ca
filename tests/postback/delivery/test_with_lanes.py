"""Delivery with queues: a slow or dead receiver delays no other, is paused, probed and resumed; and clocks may jump."""

import asyncio
import time
from collections import Counter

import msgspec
import pytest

from clickloop.clock import DAY_MS, wall_clock
from clickloop.postback.delivery.breaker import OPENS_AT, Pause
from clickloop.postback.delivery.lane import KeptLane, LaneTerms, Standing
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.holding import Hold
from clickloop.postback.retry import Outcome, Trouble
from clickloop.postback.rule import Request, RequestTemplate, Rule, Schedule
from clickloop.store.ledger.queue.lanes import keep_standing, set_lane_terms
from clickloop.store.ledger.setup.postback_rules import insert_rule
from tests.postback.delivery.delivering import QUICK, Counting, Desk, claimed_again, deliver

WIDE = msgspec.structs.replace(QUICK, connections=40, queue=80, batch=20)
DEAD, HEALTHY = "dead.example:443", "healthy.example:443"


class Receivers:
    """Responds by the URL's host and counts requests; ``dead`` is what the dead receiver does."""

    def __init__(self, dead: Outcome) -> None:
        self.dead = dead
        self.asked: Counter[str] = Counter()

    async def send(self, request: Request, attempt: int) -> Outcome:
        host = request.url.split("/")[2]
        self.asked[host] += 1
        return self.dead if host == "dead.example" else Outcome(status_code=200)


class Time:
    """The machine's clocks, which can be advanced without waiting."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def clock(self) -> int:
        return wall_clock() + int(self.ahead * 1000)


def owe_both(desk: Desk, dead: int, healthy: int) -> None:
    desk.owe(dead, "https://dead.example/", lane=DEAD)
    desk.owe(healthy, "https://healthy.example/", lane=HEALTHY)


def states_of(desk: Desk, lane: str) -> Counter[str]:
    return Counter(row.state for row in desk.rows() if row.lane == lane)


def pause_of(desk: Desk, lane: str) -> Pause | None:
    return {kept.lane: kept.pause for kept in desk.store.lanes()}.get(lane)


def test_a_receiver_that_hangs_holds_nobody_else_up(desk: Desk) -> None:
    let_go = asyncio.Event()

    async def send(request: Request, attempt: int) -> Outcome:
        if "dead" in request.url:
            await let_go.wait()
            return Outcome(trouble=Trouble.TIMEOUT)
        return Outcome(status_code=200)

    async def script(delivery: Delivery) -> None:
        await desk.until(lambda: states_of(desk, HEALTHY)["delivered"] == 200)
        let_go.set()

    owe_both(desk, 200, 200)
    deliver(desk, script, send, WIDE)

    assert states_of(desk, DEAD)["delivered"] == 0


def test_a_receiver_that_fails_again_and_again_is_paused_and_what_waits_costs_no_attempt(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    receivers, store = Receivers(Outcome(status_code=503)), Counting(desk.ledger)

    async def script(delivery: Delivery) -> None:
        await desk.until(lambda: states_of(desk, HEALTHY)["delivered"] == 50 and pause_of(desk, DEAD) is not None)
        await claimed_again(delivery, store)

    owe_both(desk, 60, 50)
    deliver(desk, script, receivers.send, WIDE, store=store)

    rows = [row for row in desk.rows() if row.lane == DEAD]
    assert {(row.state, row.hold) for row in rows} == {("paused", Hold.RECEIVER_PAUSED)}
    assert OPENS_AT <= receivers.asked["dead.example"] == sum(row.attempts for row in rows) <= OPENS_AT + 4
    assert [
        msgspec.json.decode(line)["receiver"] for line in capfd.readouterr().err.split("\n") if "paused" in line
    ] == [DEAD]


def test_a_paused_receiver_is_probed_with_one_and_goes_on_when_it_answers(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    receivers, now = Receivers(Outcome(trouble=Trouble.CONNECT)), Time()

    async def script(delivery: Delivery) -> None:
        await desk.until(lambda: pause_of(desk, DEAD) is not None)
        before = receivers.asked["dead.example"]
        now.ahead += 31
        delivery.wake()
        await desk.until(lambda: (pause_of(desk, DEAD) or Pause(opened_at=0, probe_at=0)).probes == 1)
        assert receivers.asked["dead.example"] == before + 1
        receivers.dead = Outcome(status_code=200)
        now.ahead += 61
        delivery.wake()
        await desk.all_final()

    owe_both(desk, 60, 0)
    deliver(desk, script, receivers.send, WIDE, clock=now.clock, monotonic=now.monotonic)

    assert states_of(desk, DEAD) == Counter(delivered=60)
    assert desk.store.lanes() == ()
    log = capfd.readouterr().err
    assert ["receiver still fails" in log, "receiver resumed" in log] == [True, True]


def test_a_paused_receiver_is_not_asked_after_a_restart_before_its_probe(desk: Desk) -> None:
    receivers, store = Receivers(Outcome(status_code=200)), Counting(desk.ledger)
    with desk.ledger.write() as tx:
        keep_standing(tx, DEAD, Standing(pause=Pause(opened_at=wall_clock(), probe_at=wall_clock() + 20_000)))

    async def script(delivery: Delivery) -> None:
        await desk.until(lambda: states_of(desk, HEALTHY)["delivered"] == 5)
        await claimed_again(delivery, store)

    owe_both(desk, 5, 5)
    deliver(desk, script, receivers.send, WIDE, store=store)

    assert receivers.asked["dead.example"] == 0
    assert {row.attempts for row in desk.rows() if row.lane == DEAD} == {0}


def test_a_probe_that_is_due_after_a_restart_leaves_at_once_and_alone(desk: Desk) -> None:
    receivers = Receivers(Outcome(status_code=503))
    with desk.ledger.write() as tx:
        keep_standing(tx, DEAD, Standing(pause=Pause(opened_at=1, probe_at=wall_clock() - 1, probes=3)))

    async def script(delivery: Delivery) -> None:
        await desk.until(lambda: (pause_of(desk, DEAD) or Pause(opened_at=0, probe_at=0)).probes == 4)

    owe_both(desk, 30, 0)
    deliver(desk, script, receivers.send, WIDE)

    assert receivers.asked["dead.example"] == 1


def test_answers_that_concern_one_request_pause_no_receiver(desk: Desk) -> None:
    receivers = Receivers(Outcome(status_code=404))

    async def script(delivery: Delivery) -> None:
        await desk.until(lambda: receivers.asked["dead.example"] >= 60)

    owe_both(desk, 60, 0)
    deliver(desk, script, receivers.send, WIDE)

    assert desk.store.lanes() == ()


def test_a_receivers_rate_is_kept_and_taken_over_while_running(desk: Desk) -> None:
    moments: list[float] = []

    async def send(request: Request, attempt: int) -> Outcome:
        moments.append(time.monotonic())
        return Outcome(status_code=200)

    def set_terms(terms: LaneTerms) -> None:
        with desk.ledger.write() as tx:
            set_lane_terms(tx, HEALTHY, terms)

    async def script(delivery: Delivery) -> None:
        await desk.until(lambda: len(moments) >= 6)
        set_terms(LaneTerms())
        await desk.all_final()

    set_terms(LaneTerms(per_minute=1_200))
    owe_both(desk, 0, 100)
    began = time.monotonic()
    deliver(desk, script, send, WIDE)

    assert moments[5] - began >= 5 * 60 / 1_200 - 0.1
    assert len(moments) == 100


def test_a_receivers_own_number_of_connections_is_not_exceeded(desk: Desk) -> None:
    under_way = most = 0
    both_under_way = asyncio.Barrier(2)

    async def send(request: Request, attempt: int) -> Outcome:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await both_under_way.wait()
        under_way -= 1
        return Outcome(status_code=200)

    with desk.ledger.write() as tx:
        set_lane_terms(tx, HEALTHY, LaneTerms(connections=2))

    async def script(delivery: Delivery) -> None:
        await desk.all_final()

    owe_both(desk, 0, 40)
    deliver(desk, script, send, WIDE)

    assert most == 2
    assert desk.store.lanes() == (KeptLane(lane=HEALTHY, terms=LaneTerms(connections=2)),)


def test_a_410_pauses_the_rule_tells_it_and_leaves_other_rules_of_the_receiver_alone(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    async def send(request: Request, attempt: int) -> Outcome:
        return Outcome(status_code=410 if "gone" in request.url else 200)

    async def script(delivery: Delivery) -> None:
        await desk.until(lambda: "failed" in desk.states())
        desk.owe(30, "https://healthy.example/gone", lane=HEALTHY)
        desk.rule_id = other
        desk.owe(5, "https://healthy.example/", lane=HEALTHY)
        delivery.wake()
        await desk.until(lambda: desk.states().count("delivered") == 5)

    gone = desk.rule_id
    with desk.ledger.write() as tx:
        rule = Rule(rule_id=0, name="Other", request=RequestTemplate(url="https://healthy.example/"))
        other = insert_rule(tx, rule, wall_clock())
    desk.owe(1, "https://healthy.example/gone", lane=HEALTHY)
    deliver(desk, script, send, WIDE)

    assert Counter((row.state, row.hold, row.attempts) for row in desk.rows()) == Counter(
        {("failed", None, 1): 1, ("paused", Hold.RULE_PAUSED, 0): 30, ("delivered", None, 1): 5}
    )
    told = [msgspec.json.decode(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["event"], line["rule"]) for line in told] == [("postback rule paused", gone)]


@pytest.mark.parametrize("jumps", [[1, -1, 1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1]])
def test_a_clock_that_jumps_by_a_day_gives_nothing_up_and_uses_no_attempt(desk: Desk, jumps: list[int]) -> None:
    day, attempts_made = 0, Counter[str]()
    rule = Rule(
        rule_id=0,
        name="Quick",
        request=RequestTemplate(url="https://source.example/"),
        schedule=Schedule(waits_seconds=(1, 1, 1)),
    )
    with desk.ledger.write() as tx:
        desk.rule_id = insert_rule(tx, rule, wall_clock())

    def clock() -> int:
        return wall_clock() + day * DAY_MS

    async def send(request: Request, attempt: int) -> Outcome:
        attempts_made[request.url] += 1
        return Outcome(status_code=503 if attempt <= 3 else 200)

    async def script(delivery: Delivery) -> None:
        nonlocal day
        for number, jump in enumerate(jumps, 1):
            await desk.until(lambda number=number: all(row.attempts >= number for row in desk.rows()))  # type: ignore[misc]
            day += jump
        await desk.all_final()

    desk.owe(3)
    deliver(desk, script, send, WIDE, clock=clock, chance=lambda: 0.0)

    assert desk.states() == ["delivered"] * 3
    assert set(attempts_made.values()) == {4}
