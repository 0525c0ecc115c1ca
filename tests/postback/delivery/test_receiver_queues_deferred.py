"""Receivers that request a wait, or for which a user has a command; and which postback is the probe."""

from clickloop.clock import DAY_MS
from clickloop.postback.delivery.breaker import OPENS_AT, BreakerChange
from clickloop.postback.delivery.receiver_queue import ReceiverCommand, ReceiverCondition, StoredReceiver
from tests.postback.delivery.test_receiver_queues import ANSWERED, FAILED, NOW_MS, ManualQueues


def test_a_receiver_that_requests_a_wait_is_deferred_until_then_and_no_other_is() -> None:
    queues = ManualQueues()
    queues.put("a", 2)
    queues.put("b")
    queues.leave()
    queues.put("a", 5)
    first, second, other = sorted(queues.under_way, key=lambda start: start.receiver)

    turns = [queues.ask_to_wait(start, seconds) for start, seconds in ((first, 60), (second, 60.5))]
    queues.receivers.end(other, ANSWERED, 200, queues.now, NOW_MS)

    assert turns == [BreakerChange.HELD, None]
    assert len(queues.receivers.drop("a")) == 5
    assert not queues.receivers.put("a", 1, queues.now)
    rooms = queues.receivers.rooms(queues.now)
    assert (rooms.room("a"), rooms.room("b") > 0) == (0, True)
    assert queues.receivers.next_probe(queues.now) == 60.5
    queues.now += 60.5
    assert queues.receivers.rooms(queues.now).room("a") > 0
    assert queues.receivers.waits_over(queues.now) == ["a"]
    assert queues.receivers.condition("a") == ReceiverCondition()


def test_a_receiver_that_requests_a_longer_wait_is_reported_again() -> None:
    queues = ManualQueues()
    queues.put("a", 3)
    queues.leave()
    assert [
        queues.ask_to_wait(start, seconds) for start, seconds in zip(queues.under_way, (60, 10, 90), strict=True)
    ] == [
        BreakerChange.HELD,
        None,
        BreakerChange.HELD,
    ]


def test_a_requested_wait_survives_a_restart_but_not_a_jump_of_the_clock() -> None:
    queues = ManualQueues()
    kept = [
        StoredReceiver(receiver="a", held_until=NOW_MS + 60_000),
        StoredReceiver(receiver="b", held_until=NOW_MS + 10 * DAY_MS),
    ]
    queues.receivers.restore(kept, queues.now, NOW_MS)
    assert queues.receivers.next_probe(queues.now) == 60
    queues.now += 86_400
    assert queues.receivers.next_probe(queues.now) is None


def test_a_probe_of_a_paused_receiver_waits_as_long_as_requested() -> None:
    queues = ManualQueues()
    queues.go("a", FAILED, OPENS_AT)
    queues.now += 30
    queues.put("a")
    queues.leave()
    assert queues.ask_to_wait(queues.under_way[0], 300) is BreakerChange.STILL_PAUSED
    assert queues.receivers.next_probe(queues.now) == 300


def test_a_probe_requested_by_a_user_may_leave_at_once() -> None:
    queues = ManualQueues()
    queues.go("a", FAILED, OPENS_AT)
    assert queues.receivers.rooms(queues.now).room("a") == 0

    assert queues.receivers.follow(
        [StoredReceiver(receiver="a", command=ReceiverCommand.PROBE)], queues.now, NOW_MS
    ) == {"a": ReceiverCommand.PROBE}

    assert queues.receivers.rooms(queues.now).room("a") == 1
    pause = queues.receivers.condition("a").pause
    assert pause is not None
    assert pause.probe_at == NOW_MS


def test_a_receiver_resumed_by_a_user_is_sent_to_as_before() -> None:
    queues = ManualQueues()
    queues.go("a", FAILED, OPENS_AT)

    queues.receivers.follow([StoredReceiver(receiver="a", command=ReceiverCommand.RESUME)], queues.now, NOW_MS)

    assert queues.receivers.condition("a") == ReceiverCondition()
    queues.put("a", 5)
    assert queues.leave().total() == 1
    queues.end()
    assert queues.leave().total() == 2


def test_probes_take_turns_between_the_longest_due_and_the_newest() -> None:
    queues = ManualQueues()
    queues.go("a", FAILED, OPENS_AT)
    newest = []
    for _ in range(4):
        newest.append("a" in queues.receivers.rooms(queues.now).newest)
        queues.now += 1_000
        queues.put("a")
        queues.leave()
        queues.end(FAILED)
    assert newest == [False, True, False, True]
