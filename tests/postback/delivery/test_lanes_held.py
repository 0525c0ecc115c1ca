"""Receivers that request a wait, or for which a user has a command; and which postback is the probe."""

from clickloop.clock import DAY_MS
from clickloop.postback.delivery.breaker import OPENS_AT, Turn
from clickloop.postback.delivery.lane import Asked, KeptLane, Standing
from tests.postback.delivery.test_lanes import ANSWERED, FAILED, NOW_MS, Yard


def test_a_receiver_that_asks_to_wait_is_left_alone_until_then_and_no_other_is() -> None:
    yard = Yard()
    yard.put("a", 2)
    yard.put("b")
    yard.leave()
    yard.put("a", 5)
    first, second, other = sorted(yard.under_way, key=lambda start: start.lane)

    turns = [yard.ask_to_wait(start, seconds) for start, seconds in ((first, 60), (second, 60.5))]
    yard.lanes.end(other, ANSWERED, 200, yard.now, NOW_MS)

    assert turns == [Turn.HELD, None]
    assert len(yard.lanes.drop("a")) == 5
    assert not yard.lanes.put("a", 1, yard.now)
    rooms = yard.lanes.rooms(yard.now)
    assert (rooms.room("a"), rooms.room("b") > 0) == (0, True)
    assert yard.lanes.next_probe(yard.now) == 60.5
    yard.now += 60.5
    assert yard.lanes.rooms(yard.now).room("a") > 0
    assert yard.lanes.waits_over(yard.now) == ["a"]
    assert yard.lanes.standing("a") == Standing()


def test_a_receiver_that_asks_for_longer_is_told_again() -> None:
    yard = Yard()
    yard.put("a", 3)
    yard.leave()
    assert [yard.ask_to_wait(start, seconds) for start, seconds in zip(yard.under_way, (60, 10, 90), strict=True)] == [
        Turn.HELD,
        None,
        Turn.HELD,
    ]


def test_a_wait_that_was_asked_for_outlives_a_restart_but_no_jump_of_the_clock() -> None:
    yard = Yard()
    kept = [KeptLane(lane="a", held_until=NOW_MS + 60_000), KeptLane(lane="b", held_until=NOW_MS + 10 * DAY_MS)]
    yard.lanes.restore(kept, yard.now, NOW_MS)
    assert yard.lanes.next_probe(yard.now) == 60
    yard.now += 86_400
    assert yard.lanes.next_probe(yard.now) is None


def test_a_probe_of_a_paused_receiver_waits_as_long_as_it_asked_for() -> None:
    yard = Yard()
    yard.go("a", FAILED, OPENS_AT)
    yard.now += 30
    yard.put("a")
    yard.leave()
    assert yard.ask_to_wait(yard.under_way[0], 300) is Turn.STILL_PAUSED
    assert yard.lanes.next_probe(yard.now) == 300


def test_a_probe_that_somebody_asks_for_may_leave_at_once() -> None:
    yard = Yard()
    yard.go("a", FAILED, OPENS_AT)
    assert yard.lanes.rooms(yard.now).room("a") == 0

    assert yard.lanes.follow([KeptLane(lane="a", asked=Asked.PROBE)], yard.now, NOW_MS) == {"a": Asked.PROBE}

    assert yard.lanes.rooms(yard.now).room("a") == 1
    pause = yard.lanes.standing("a").pause
    assert pause is not None
    assert pause.probe_at == NOW_MS


def test_a_receiver_that_somebody_resumes_is_asked_as_before() -> None:
    yard = Yard()
    yard.go("a", FAILED, OPENS_AT)

    yard.lanes.follow([KeptLane(lane="a", asked=Asked.RESUME)], yard.now, NOW_MS)

    assert yard.lanes.standing("a") == Standing()
    yard.put("a", 5)
    assert yard.leave().total() == 1
    yard.end()
    assert yard.leave().total() == 2


def test_probes_take_turns_between_the_longest_due_and_the_newest() -> None:
    yard = Yard()
    yard.go("a", FAILED, OPENS_AT)
    newest = []
    for _ in range(4):
        newest.append("a" in yard.lanes.rooms(yard.now).newest)
        yard.now += 1_000
        yard.put("a")
        yard.leave()
        yard.end(FAILED)
    assert newest == [False, True, False, True]
