"""Delivery of deferred postbacks: by a receiver's requested wait or pause, by a paused rule, or by an earlier change."""

from collections import Counter

import msgspec
import pytest

from clickloop.clock import SECOND_MS, wall_clock
from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.receiver_queue import FIRST_WIDTH, ReceiverCommand, ReceiverCondition
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.pause_reason import PauseReason
from clickloop.postback.retry import AttemptOutcome
from clickloop.postback.rule import PostbackRequest
from clickloop.store.ledger.queue.holding import resume_rule
from clickloop.store.ledger.queue.receivers import request_command, save_condition
from tests.postback.delivery.delivering import Bench, CountingStore, deliver, wake_until_claimed
from tests.postback.delivery.test_with_receivers import (
    DEAD,
    HEALTHY,
    WIDE,
    ManualClocks,
    Receivers,
    owe_both,
    pause_of,
    states_of,
)


def test_a_receiver_that_requests_a_wait_gets_nothing_until_then_and_others_continue(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    receivers, now = Receivers(AttemptOutcome(status_code=429, retry_after="120")), ManualClocks()
    store = CountingStore(bench.ledger)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: bench.store.receivers() != () and states_of(bench, HEALTHY)["delivered"] == 40)
        await wake_until_claimed(delivery, store)
        asked = receivers.asked["dead.example"]
        assert asked <= FIRST_WIDTH
        receivers.dead = AttemptOutcome(status_code=200)
        now.ahead += 119
        await wake_until_claimed(delivery, store)
        assert receivers.asked["dead.example"] == asked
        now.ahead += 2
        await bench.until(lambda: states_of(bench, DEAD)["delivered"] >= 60 - asked)
        await bench.until(lambda: bench.store.receivers() == ())

    owe_both(bench, 60, 40)
    deliver(bench, script, receivers.send, WIDE, store=store, clock=now.clock, monotonic=now.monotonic)

    assert Counter(row.attempts for row in bench.rows() if row.receiver == DEAD)[1] >= 60 - FIRST_WIDTH
    told = [msgspec.json.decode(line) for line in capfd.readouterr().err.splitlines() if "asked us to wait" in line]
    assert [line["receiver"] for line in told] == [DEAD]


@pytest.mark.parametrize(
    ("wish", "event"), [(ReceiverCommand.PROBE, "probe asked for by hand"), (ReceiverCommand.RESUME, "resumed by hand")]
)
def test_a_users_command_for_a_paused_receiver_is_executed_at_once(
    bench: Bench, wish: ReceiverCommand, event: str, capfd: pytest.CaptureFixture[str]
) -> None:
    receivers = Receivers(AttemptOutcome(status_code=200))
    pause = Pause(opened_at=wall_clock(), probe_at=wall_clock() + 30_000)
    with bench.ledger.write() as tx:
        save_condition(tx, DEAD, ReceiverCondition(pause=pause))

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: states_of(bench, HEALTHY)["delivered"] == 5)
        with bench.ledger.write() as tx:
            request_command(tx, DEAD, wish)
        delivery.follow()
        await bench.all_final()
        await bench.until(lambda: bench.store.receivers() == ())

    owe_both(bench, 5, 5)
    limits = msgspec.structs.replace(WIDE, poll_seconds=60)
    deliver(bench, script, receivers.send, limits)

    assert event in capfd.readouterr().err


def test_one_rule_that_fails_by_itself_does_not_keep_its_receiver_paused_for_ever(bench: Bench) -> None:
    now = ManualClocks()

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        return AttemptOutcome(status_code=500 if "bad" in request.url else 200)

    async def script(delivery: Delivery) -> None:
        await bench.until(lambda: pause_of(bench, DEAD) is not None)
        bench.owe(1, "https://dead.example/fine", receiver=DEAD)
        now.ahead += 31
        delivery.wake()
        await bench.until(lambda: (pause_of(bench, DEAD) or Pause(opened_at=0, probe_at=0)).probes == 1)
        now.ahead += 61
        delivery.wake()
        await bench.until(lambda: "delivered" in bench.states())

    bench.owe(31, "https://dead.example/bad", receiver=DEAD)
    deliver(bench, script, send, WIDE, clock=now.clock, monotonic=now.monotonic)


def test_a_resumed_rules_postbacks_follow_the_one_sent_first(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    gone = True
    sent = Counter[int]()

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        sent[410 if gone else 200] += 1
        return AttemptOutcome(status_code=410 if gone else 200)

    def resume() -> None:
        with bench.ledger.write() as tx:
            resume_rule(tx, bench.rule_id, wall_clock())

    async def script(delivery: Delivery) -> None:
        nonlocal gone
        await bench.until(lambda: "failed" in bench.states())
        bench.owe(30)
        delivery.wake()
        await bench.until(
            lambda: all(
                row.next_attempt_at is None or row.next_attempt_at > wall_clock() + 60_000 for row in bench.rows()
            )
        )
        before = sent[410]
        resume()
        delivery.wake()
        await bench.until(lambda: sent[410] == before + 1)
        await bench.until(
            lambda: {row.hold for row in bench.rows() if row.state == "paused"} == {PauseReason.RULE_PAUSED}
        )
        gone = False
        resume()
        delivery.wake()
        await bench.all_final()

    bench.owe(1)
    deliver(bench, script, send, WIDE)

    assert bench.states().count("delivered") == 29
    assert capfd.readouterr().err.count('"postback rule resumed"') == 1


def test_a_postback_behind_an_earlier_change_leaves_as_soon_as_that_one_is_final(bench: Bench) -> None:
    """By clocks that stand still, at which the wait of one that follows another never ends."""
    left: list[str] = []
    now_ms = wall_clock() + SECOND_MS

    async def send(request: PostbackRequest, attempt: int) -> AttemptOutcome:
        left.append(request.url)
        return AttemptOutcome(status_code=200)

    async def script(delivery: Delivery) -> None:
        await bench.all_final()

    bench.owe(1, "https://source.example/1", version=1)
    bench.owe(1, "https://source.example/2", version=2)
    limits = msgspec.structs.replace(WIDE, poll_seconds=60)
    deliver(bench, script, send, limits, clock=lambda: now_ms, monotonic=lambda: 0.0)

    assert left == ["https://source.example/1?0", "https://source.example/2?0"]


def test_on_hold_no_postback_leaves_and_all_of_them_do_once_released(bench: Bench) -> None:
    receivers, store = Receivers(AttemptOutcome(status_code=200)), CountingStore(bench.ledger)

    async def script(delivery: Delivery) -> None:
        for _ in range(5):
            before = store.rescues
            delivery.wake()
            delivery.follow()
            await bench.until(lambda before=before: store.rescues > before)  # type: ignore[misc]
        assert (store.claims, bench.states()) == (0, ["waiting"] * 20)
        delivery.release()
        await bench.all_final()

    owe_both(bench, 0, 20)
    deliver(bench, script, receivers.send, WIDE, store=store, on_hold=True)

    assert bench.states() == ["delivered"] * 20
    assert [row.attempts for row in bench.rows()] == [1] * 20
