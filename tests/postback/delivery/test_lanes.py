"""Receiver queues: what leaves next, how much may be claimed for each, and how a queue widens and narrows."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.postback.delivery.breaker import OPENS_AT, Pause, Turn, Verdict
from clickloop.postback.delivery.lane import FIRST_WIDTH, KeptLane, LaneTerms
from clickloop.postback.delivery.lanes import EVERY_ROOM, FORGET_AFTER_SECONDS, Lanes, Start, shares

NOW_MS = 1_800_000_000_000
FAILED, ANSWERED = Verdict.FAILED, Verdict.ANSWERED
CODES = {FAILED: 503, ANSWERED: 200}


class Yard:
    """Receiver queues with a manual clock."""

    def __init__(self, connections: int = 200, lane_connections: int = 20) -> None:
        self.lanes: Lanes[int] = Lanes(connections, lane_connections)
        self.now = 1_000.0
        self.under_way: list[Start[int]] = []

    def put(self, name: str, count: int = 1) -> None:
        for number in range(count):
            assert self.lanes.put(name, number, self.now)

    def leave(self) -> Counter[str]:
        """Let leave everything that may. Return how many per receiver."""
        before = len(self.under_way)
        while (start := self.lanes.next(self.now)) is not None:
            self.under_way.append(start)
        return Counter(start.lane for start in self.under_way[before:])

    def end(self, verdict: Verdict = ANSWERED, code: int = 0, count: int | None = None) -> list[Turn | None]:
        """End the first ``count`` attempts under way, or all."""
        ending = self.under_way[:count]
        self.under_way = self.under_way[len(ending) :]
        now_ms = NOW_MS + int(self.now * 1000)
        return [self.lanes.end(start, verdict, code or CODES[verdict], self.now, now_ms) for start in ending]

    def ask_to_wait(self, start: Start[int], seconds: float) -> Turn | None:
        """End one attempt with a response that requests a wait."""
        return self.lanes.end(start, FAILED, 429, self.now, NOW_MS, int(seconds * 1_000))

    def go(self, name: str, verdict: Verdict, count: int, code: int = 0) -> list[Turn | None]:
        """Send ``count`` one after another."""
        turns: list[Turn | None] = []
        for _ in range(count):
            self.put(name)
            self.leave()
            turns += self.end(verdict, code)
        return turns

    def widened(self, name: str) -> None:
        """Respond until the queue has its full width."""
        self.go(name, ANSWERED, 20)
        self.now += 10


def test_a_lane_of_which_nothing_is_known_starts_narrow_and_answers_widen_it() -> None:
    yard = Yard()
    yard.put("a", 100)

    counts = []
    for _ in range(5):
        counts.append(yard.leave().total())
        yard.end()

    assert counts == [FIRST_WIDTH, 8, 16, 20, 20]


def test_failures_narrow_a_lane_and_429_halves_it() -> None:
    yard = Yard()
    yard.widened("a")

    yard.go("a", FAILED, 1, code=503)
    yard.put("a", 100)
    assert yard.leave().total() == 19
    yard.end(FAILED, 429, count=1)
    yard.end()
    assert yard.leave().total() == 20


def test_lanes_take_turns() -> None:
    yard = Yard(connections=8)
    for name in "abc":
        yard.put(name, 5)

    first = [yard.lanes.next(yard.now) for _ in range(6)]

    assert [start.lane for start in first if start] == ["a", "b", "c", "a", "b", "c"]


def test_entries_of_a_lane_leave_in_order() -> None:
    yard = Yard()
    yard.put("a", 4)
    yard.leave()

    assert [start.entry for start in yard.under_way] == [0, 1, 2, 3]


@pytest.mark.parametrize("dead", [1, 5, 20, 60])
def test_receivers_that_never_answer_leave_connections_for_the_others(dead: int) -> None:
    yard = Yard(connections=200)
    for number in range(dead):
        yard.widened(f"dead{number}")
    for number in range(dead):
        yard.put(f"dead{number}", 100)
    yard.leave()

    yard.put("healthy", 100)

    assert yard.leave()["healthy"] >= 2


def test_no_more_leave_than_there_are_connections() -> None:
    yard = Yard(connections=7)
    for number in range(30):
        yard.put(f"receiver{number}", 3)

    assert yard.leave().total() == 7
    yard.end(count=2)
    assert yard.leave().total() == 2


def test_what_was_held_up_by_others_leaves_when_they_end() -> None:
    yard = Yard(connections=4)
    for name in "abcdefgh":
        yard.put(name, 2)
    left: Counter[str] = Counter()
    for _ in range(8):
        left += yard.leave()
        yard.end()

    assert left == Counter(dict.fromkeys("abcdefgh", 2))


def test_a_paused_receivers_queue_is_dropped_and_nothing_more_is_taken_for_it() -> None:
    yard = Yard()

    assert yard.go("a", FAILED, OPENS_AT)[-1] is Turn.PAUSED

    assert not yard.lanes.put("a", 1, yard.now)
    assert yard.lanes.rooms(yard.now).room("a") == 0
    assert yard.lanes.next_probe(yard.now) == 30


def test_what_stands_in_a_paused_receivers_lane_can_be_given_back() -> None:
    yard = Yard()
    yard.widened("a")
    yard.now += 400
    yard.put("a", 50)
    yard.leave()

    assert yard.end(FAILED, count=OPENS_AT)[-1] is Turn.PAUSED

    assert yard.leave() == Counter()
    assert yard.lanes.drop("a") == list(range(20, 50))
    assert yard.lanes.queued == 0


def test_a_paused_receiver_gets_one_probe_and_widens_again_after_an_answer() -> None:
    yard = Yard()
    yard.widened("a")
    yard.now += 400
    yard.go("a", FAILED, OPENS_AT)
    yard.now += 30

    assert yard.lanes.rooms(yard.now).room("a") == 1
    yard.put("a")
    assert not yard.lanes.put("a", 2, yard.now)
    assert (yard.leave().total(), yard.under_way[0].probe) == (1, True)
    assert yard.lanes.rooms(yard.now).room("a") == 0
    assert yard.end(ANSWERED) == [Turn.RESUMED]
    yard.put("a", 100)
    counts = []
    for _ in range(4):
        counts.append(yard.leave().total())
        yard.end()
    assert counts == [1, 2, 4, 8]


def test_a_failed_probe_makes_the_next_one_wait_longer() -> None:
    yard = Yard()
    yard.go("a", FAILED, OPENS_AT)
    yard.now += 30

    assert yard.go("a", FAILED, 1) == [Turn.STILL_PAUSED]

    assert yard.lanes.next_probe(yard.now) == 60
    pause = yard.lanes.standing("a").pause
    assert pause is not None
    assert pause.probes == 1


def test_a_probe_that_did_not_leave_after_all_leaves_room_for_another() -> None:
    yard = Yard()
    yard.go("a", FAILED, OPENS_AT)
    yard.now += 30
    yard.put("a")
    yard.leave()

    yard.lanes.take_back(yard.under_way.pop())

    assert yard.lanes.rooms(yard.now).room("a") == 1


def test_a_paused_receiver_stays_paused_over_a_restart_and_is_probed_first() -> None:
    yard = Yard()
    pause = Pause(opened_at=NOW_MS - 60_000, probe_at=NOW_MS + 5_000, probes=2, why="9 of 10")

    yard.lanes.restore([KeptLane(lane="a", pause=pause)], yard.now, NOW_MS)

    assert yard.lanes.rooms(yard.now).room("a") == 0
    assert yard.lanes.standing("a").pause == pause
    yard.now += 5
    yard.put("a")
    assert yard.leave().total() == 1
    assert yard.under_way[0].probe


def test_a_receivers_own_number_of_connections_holds() -> None:
    yard = Yard()
    yard.lanes.set_terms([KeptLane(lane="a", terms=LaneTerms(connections=2))])
    yard.put("a", 50)
    for _ in range(5):
        assert yard.leave().total() == 2
        yard.end()

    yard.lanes.set_terms([])

    for _ in range(20):
        yard.leave()
        yard.end()
        yard.put("a", 20)
    assert yard.leave().total() == 20


@given(per_minute=st.integers(1, 6_000), steps=st.lists(st.floats(0.0, 2.0), max_size=200))
def test_a_rate_is_kept_over_any_stretch_of_time(per_minute: int, steps: list[float]) -> None:
    yard = Yard()
    yard.lanes.set_terms([KeptLane(lane="a", terms=LaneTerms(per_minute=per_minute))])
    yard.put("a", 5_000)
    began, left = yard.now, 0
    for step in steps:
        yard.now += step
        while yard.leave():
            left += len(yard.under_way)
            yard.end()
        assert left <= (yard.now - began + 0.1) * per_minute / 60 + 1


def test_a_rate_is_used_up_when_it_is_looked_in_time() -> None:
    yard = Yard()
    yard.lanes.set_terms([KeptLane(lane="a", terms=LaneTerms(per_minute=600))])
    yard.put("a", 1_000)
    left, began = 0, yard.now
    while yard.now < began + 10:
        while yard.leave():
            left += len(yard.under_way)
            yard.end()
        rest = yard.lanes.rest(yard.now)
        assert rest is not None
        assert 0 < rest <= 0.1 + 1e-6
        yard.now += rest + 0.003

    assert 98 <= left <= 102


def test_a_lanes_rate_holds_no_other_lane_up() -> None:
    yard = Yard()
    yard.lanes.set_terms([KeptLane(lane="a", terms=LaneTerms(per_minute=1))])
    yard.put("a", 3)
    yard.put("b", 3)

    assert yard.leave() == Counter(a=1, b=3)
    assert yard.leave() == Counter()


def test_room_is_what_can_leave_at_once_and_what_will_be_done_soon() -> None:
    yard = Yard()
    assert yard.lanes.rooms(yard.now).room("unknown") == FIRST_WIDTH
    yard.put("a", 40)
    for _ in range(3):
        yard.leave()
        yard.end()
    left = 40 - 4 - 8 - 16

    assert yard.lanes.rooms(yard.now).room("a") == 20 + 28 - left
    yard.now += 10
    assert yard.lanes.rooms(yard.now).room("a") == 20 - left


def test_nothing_is_claimed_ahead_for_a_receiver_that_does_not_answer() -> None:
    yard = Yard()
    yard.widened("a")
    yard.put("a", 20)
    yard.leave()

    assert yard.lanes.rooms(yard.now).room("a") == 0


def test_more_is_wanted_of_a_lane_that_runs_dry_and_only_if_there_is_more() -> None:
    yard = Yard()
    yard.put("a", 4)
    yard.leave()
    yard.lanes.note_more(["a"])
    assert not yard.lanes.wants_more("a", yard.now)
    yard.end()
    assert yard.lanes.wants_more("a", yard.now)

    yard.lanes.note_more([])

    assert not yard.lanes.wants_more("a", yard.now)


def test_nothing_is_wanted_of_a_paused_receiver() -> None:
    yard = Yard()
    yard.go("a", FAILED, OPENS_AT)
    yard.lanes.note_more(["a"])

    assert not yard.lanes.wants_more("a", yard.now)


def test_idle_lanes_are_forgotten_but_not_those_of_which_something_is_to_be_known() -> None:
    yard = Yard()
    yard.widened("idle")
    yard.go("paused", FAILED, OPENS_AT)
    yard.lanes.set_terms([KeptLane(lane="set", terms=LaneTerms(per_minute=1))])
    yard.put("busy")
    yard.now += FORGET_AFTER_SECONDS + 1

    yard.lanes.forget_idle(yard.now)

    assert set(yard.lanes.rooms(yard.now).of) == {"paused", "set", "busy"}


def test_everybody_has_room_where_no_rooms_are_given() -> None:
    assert EVERY_ROOM.room("anybody") > 1_000


@given(rooms=st.lists(st.integers(0, 50), max_size=30), limit=st.integers(0, 200))
def test_shares_are_fair_and_waste_nothing(rooms: list[int], limit: int) -> None:
    given_ = shares(rooms, limit)

    assert all(0 <= share <= room for share, room in zip(given_, rooms, strict=True))
    assert sum(given_) == min(limit, sum(rooms))
    short = [share for share, room in zip(given_, rooms, strict=True) if share < room]
    assert not short or max(given_) - min(short) <= 1


def test_where_there_is_not_one_for_each_the_first_ones_get_it() -> None:
    assert shares([0, 5, 5, 5], 2) == [0, 1, 1, 0]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "leave", "end", "fail", "wait", "drop"]), st.integers(0, 4)), max_size=120
    )
)
def test_whatever_happens_nothing_gets_stuck_and_limits_hold(steps: list[tuple[str, int]]) -> None:
    yard = Yard(connections=6, lane_connections=3)
    taken = left = dropped = 0
    for step, number in steps:
        name = f"receiver{number}"
        if step == "put":
            taken += yard.lanes.put(name, 0, yard.now)
        elif step == "leave":
            left += yard.leave().total()
            assert len(yard.under_way) <= 6
            assert all(count <= 3 for count in Counter(start.lane for start in yard.under_way).values())
        elif step == "drop" and name in yard.lanes.rooms(yard.now).of:
            dropped += len(yard.lanes.drop(name))
        elif step == "wait":
            yard.now += 20.0 * number
        else:
            yard.end(ANSWERED if step == "end" else FAILED, count=number)
    for _ in range(taken + 1):
        left += yard.leave().total()
        yard.end()
        yard.now += 1_000
    assert taken == left + dropped
    assert yard.lanes.queued == 0
