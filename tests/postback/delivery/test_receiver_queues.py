"""Receiver queues: what leaves next, how much may be claimed for each, and how a queue widens and narrows."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.postback.delivery.breaker import OPENS_AT, AttemptVerdict, BreakerChange, Pause
from clickloop.postback.delivery.receiver_queue import FIRST_WIDTH, ReceiverTerms, StoredReceiver
from clickloop.postback.delivery.receiver_queues import (
    FORGET_AFTER_SECONDS,
    UNLIMITED_QUOTAS,
    Departure,
    ReceiverQueues,
    shares,
)

NOW_MS = 1_800_000_000_000
FAILED, ANSWERED = AttemptVerdict.FAILED, AttemptVerdict.ANSWERED
CODES = {FAILED: 503, ANSWERED: 200}


class ManualQueues:
    """Receiver queues with a manual clock."""

    def __init__(self, connections: int = 200, receiver_connections: int = 20) -> None:
        self.receivers: ReceiverQueues[int] = ReceiverQueues(connections, receiver_connections)
        self.now = 1_000.0
        self.under_way: list[Departure[int]] = []

    def put(self, name: str, count: int = 1) -> None:
        for number in range(count):
            assert self.receivers.put(name, number, self.now)

    def leave(self) -> Counter[str]:
        """Let leave everything that may. Return how many per receiver."""
        before = len(self.under_way)
        while (start := self.receivers.next(self.now)) is not None:
            self.under_way.append(start)
        return Counter(start.receiver for start in self.under_way[before:])

    def end(
        self, verdict: AttemptVerdict = ANSWERED, code: int = 0, count: int | None = None
    ) -> list[BreakerChange | None]:
        """End the first ``count`` attempts under way, or all."""
        ending = self.under_way[:count]
        self.under_way = self.under_way[len(ending) :]
        now_ms = NOW_MS + int(self.now * 1000)
        return [self.receivers.end(start, verdict, code or CODES[verdict], self.now, now_ms) for start in ending]

    def ask_to_wait(self, start: Departure[int], seconds: float) -> BreakerChange | None:
        """End one attempt with a response that requests a wait."""
        return self.receivers.end(start, FAILED, 429, self.now, NOW_MS, int(seconds * 1_000))

    def go(self, name: str, verdict: AttemptVerdict, count: int, code: int = 0) -> list[BreakerChange | None]:
        """Send ``count`` one after another."""
        turns: list[BreakerChange | None] = []
        for _ in range(count):
            self.put(name)
            self.leave()
            turns += self.end(verdict, code)
        return turns

    def widened(self, name: str) -> None:
        """Respond until the queue has its full width."""
        self.go(name, ANSWERED, 20)
        self.now += 10


def test_a_new_receivers_queue_starts_narrow_and_responses_widen_it() -> None:
    queues = ManualQueues()
    queues.put("a", 100)

    counts = []
    for _ in range(5):
        counts.append(queues.leave().total())
        queues.end()

    assert counts == [FIRST_WIDTH, 8, 16, 20, 20]


def test_failures_narrow_a_queue_and_429_halves_it() -> None:
    queues = ManualQueues()
    queues.widened("a")

    queues.go("a", FAILED, 1, code=503)
    queues.put("a", 100)
    assert queues.leave().total() == 19
    queues.end(FAILED, 429, count=1)
    queues.end()
    assert queues.leave().total() == 20


def test_queues_take_turns() -> None:
    queues = ManualQueues(connections=8)
    for name in "abc":
        queues.put(name, 5)

    first = [queues.receivers.next(queues.now) for _ in range(6)]

    assert [start.receiver for start in first if start] == ["a", "b", "c", "a", "b", "c"]


def test_entries_of_a_queue_leave_in_order() -> None:
    queues = ManualQueues()
    queues.put("a", 4)
    queues.leave()

    assert [start.entry for start in queues.under_way] == [0, 1, 2, 3]


@pytest.mark.parametrize("dead", [1, 5, 20, 60])
def test_receivers_that_never_respond_leave_connections_for_the_others(dead: int) -> None:
    queues = ManualQueues(connections=200)
    for number in range(dead):
        queues.widened(f"dead{number}")
    for number in range(dead):
        queues.put(f"dead{number}", 100)
    queues.leave()

    queues.put("healthy", 100)

    assert queues.leave()["healthy"] >= 2


def test_no_more_leave_than_there_are_connections() -> None:
    queues = ManualQueues(connections=7)
    for number in range(30):
        queues.put(f"receiver{number}", 3)

    assert queues.leave().total() == 7
    queues.end(count=2)
    assert queues.leave().total() == 2


def test_entries_delayed_by_others_leave_when_those_end() -> None:
    queues = ManualQueues(connections=4)
    for name in "abcdefgh":
        queues.put(name, 2)
    left: Counter[str] = Counter()
    for _ in range(8):
        left += queues.leave()
        queues.end()

    assert left == Counter(dict.fromkeys("abcdefgh", 2))


def test_a_paused_receivers_queue_is_dropped_and_accepts_nothing_more() -> None:
    queues = ManualQueues()

    assert queues.go("a", FAILED, OPENS_AT)[-1] is BreakerChange.PAUSED

    assert not queues.receivers.put("a", 1, queues.now)
    assert queues.receivers.rooms(queues.now).room("a") == 0
    assert queues.receivers.next_probe(queues.now) == 30


def test_the_queue_of_a_paused_receiver_can_be_released() -> None:
    queues = ManualQueues()
    queues.widened("a")
    queues.now += 400
    queues.put("a", 50)
    queues.leave()

    assert queues.end(FAILED, count=OPENS_AT)[-1] is BreakerChange.PAUSED

    assert queues.leave() == Counter()
    assert queues.receivers.drop("a") == list(range(20, 50))
    assert queues.receivers.queued == 0


def test_a_paused_receiver_gets_one_probe_and_widens_again_after_a_response() -> None:
    queues = ManualQueues()
    queues.widened("a")
    queues.now += 400
    queues.go("a", FAILED, OPENS_AT)
    queues.now += 30

    assert queues.receivers.rooms(queues.now).room("a") == 1
    queues.put("a")
    assert not queues.receivers.put("a", 2, queues.now)
    assert (queues.leave().total(), queues.under_way[0].probe) == (1, True)
    assert queues.receivers.rooms(queues.now).room("a") == 0
    assert queues.end(ANSWERED) == [BreakerChange.RESUMED]
    queues.put("a", 100)
    counts = []
    for _ in range(4):
        counts.append(queues.leave().total())
        queues.end()
    assert counts == [1, 2, 4, 8]


def test_a_failed_probe_makes_the_next_one_wait_longer() -> None:
    queues = ManualQueues()
    queues.go("a", FAILED, OPENS_AT)
    queues.now += 30

    assert queues.go("a", FAILED, 1) == [BreakerChange.STILL_PAUSED]

    assert queues.receivers.next_probe(queues.now) == 60
    pause = queues.receivers.condition("a").pause
    assert pause is not None
    assert pause.probes == 1


def test_a_probe_that_did_not_leave_after_all_leaves_room_for_another() -> None:
    queues = ManualQueues()
    queues.go("a", FAILED, OPENS_AT)
    queues.now += 30
    queues.put("a")
    queues.leave()

    queues.receivers.take_back(queues.under_way.pop())

    assert queues.receivers.rooms(queues.now).room("a") == 1


def test_a_paused_receiver_stays_paused_over_a_restart_and_is_probed_first() -> None:
    queues = ManualQueues()
    pause = Pause(opened_at=NOW_MS - 60_000, probe_at=NOW_MS + 5_000, probes=2, why="9 of 10")

    queues.receivers.restore([StoredReceiver(receiver="a", pause=pause)], queues.now, NOW_MS)

    assert queues.receivers.rooms(queues.now).room("a") == 0
    assert queues.receivers.condition("a").pause == pause
    queues.now += 5
    queues.put("a")
    assert queues.leave().total() == 1
    assert queues.under_way[0].probe


def test_a_receivers_own_number_of_connections_applies() -> None:
    queues = ManualQueues()
    queues.receivers.set_terms([StoredReceiver(receiver="a", terms=ReceiverTerms(connections=2))])
    queues.put("a", 50)
    for _ in range(5):
        assert queues.leave().total() == 2
        queues.end()

    queues.receivers.set_terms([])

    for _ in range(20):
        queues.leave()
        queues.end()
        queues.put("a", 20)
    assert queues.leave().total() == 20


@given(per_minute=st.integers(1, 6_000), steps=st.lists(st.floats(0.0, 2.0), max_size=200))
def test_a_rate_is_kept_over_any_stretch_of_time(per_minute: int, steps: list[float]) -> None:
    queues = ManualQueues()
    queues.receivers.set_terms([StoredReceiver(receiver="a", terms=ReceiverTerms(per_minute=per_minute))])
    queues.put("a", 5_000)
    began, left = queues.now, 0
    for step in steps:
        queues.now += step
        while queues.leave():
            left += len(queues.under_way)
            queues.end()
        assert left <= (queues.now - began + 0.1) * per_minute / 60 + 1


def test_a_rate_is_used_in_full_if_checked_in_time() -> None:
    queues = ManualQueues()
    queues.receivers.set_terms([StoredReceiver(receiver="a", terms=ReceiverTerms(per_minute=600))])
    queues.put("a", 1_000)
    left, began = 0, queues.now
    while queues.now < began + 10:
        while queues.leave():
            left += len(queues.under_way)
            queues.end()
        rest = queues.receivers.rest(queues.now)
        assert rest is not None
        assert 0 < rest <= 0.1 + 1e-6
        queues.now += rest + 0.003

    assert 98 <= left <= 102


def test_a_receivers_rate_delays_no_other_receiver() -> None:
    queues = ManualQueues()
    queues.receivers.set_terms([StoredReceiver(receiver="a", terms=ReceiverTerms(per_minute=1))])
    queues.put("a", 3)
    queues.put("b", 3)

    assert queues.leave() == Counter(a=1, b=3)
    assert queues.leave() == Counter()


def test_room_is_what_can_leave_at_once_and_what_will_be_done_soon() -> None:
    queues = ManualQueues()
    assert queues.receivers.rooms(queues.now).room("unknown") == FIRST_WIDTH
    queues.put("a", 40)
    for _ in range(3):
        queues.leave()
        queues.end()
    left = 40 - 4 - 8 - 16

    assert queues.receivers.rooms(queues.now).room("a") == 20 + 28 - left
    queues.now += 10
    assert queues.receivers.rooms(queues.now).room("a") == 20 - left


def test_nothing_is_claimed_ahead_for_an_unresponsive_receiver() -> None:
    queues = ManualQueues()
    queues.widened("a")
    queues.put("a", 20)
    queues.leave()

    assert queues.receivers.rooms(queues.now).room("a") == 0


def test_more_is_claimed_for_a_queue_that_runs_dry_only_if_more_is_due() -> None:
    queues = ManualQueues()
    queues.put("a", 4)
    queues.leave()
    queues.receivers.note_more(["a"])
    assert not queues.receivers.wants_more("a", queues.now)
    queues.end()
    assert queues.receivers.wants_more("a", queues.now)

    queues.receivers.note_more([])

    assert not queues.receivers.wants_more("a", queues.now)


def test_nothing_is_claimed_for_a_paused_receiver() -> None:
    queues = ManualQueues()
    queues.go("a", FAILED, OPENS_AT)
    queues.receivers.note_more(["a"])

    assert not queues.receivers.wants_more("a", queues.now)


def test_idle_queues_are_deleted_unless_they_have_state() -> None:
    queues = ManualQueues()
    queues.widened("idle")
    queues.go("paused", FAILED, OPENS_AT)
    queues.receivers.set_terms([StoredReceiver(receiver="set", terms=ReceiverTerms(per_minute=1))])
    queues.put("busy")
    queues.now += FORGET_AFTER_SECONDS + 1

    queues.receivers.forget_idle(queues.now)

    assert set(queues.receivers.rooms(queues.now).of) == {"paused", "set", "busy"}


def test_every_receiver_has_room_without_quotas() -> None:
    assert UNLIMITED_QUOTAS.room("anybody") > 1_000


@given(rooms=st.lists(st.integers(0, 50), max_size=30), limit=st.integers(0, 200))
def test_shares_are_fair_and_waste_nothing(rooms: list[int], limit: int) -> None:
    given_ = shares(rooms, limit)

    assert all(0 <= share <= room for share, room in zip(given_, rooms, strict=True))
    assert sum(given_) == min(limit, sum(rooms))
    short = [share for share, room in zip(given_, rooms, strict=True) if share < room]
    assert not short or max(given_) - min(short) <= 1


def test_if_there_is_not_one_for_each_the_first_ones_get_it() -> None:
    assert shares([0, 5, 5, 5], 2) == [0, 1, 1, 0]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "leave", "end", "fail", "wait", "drop"]), st.integers(0, 4)), max_size=120
    )
)
def test_whatever_happens_nothing_gets_stuck_and_limits_are_respected(steps: list[tuple[str, int]]) -> None:
    queues = ManualQueues(connections=6, receiver_connections=3)
    taken = left = dropped = 0
    for step, number in steps:
        name = f"receiver{number}"
        if step == "put":
            taken += queues.receivers.put(name, 0, queues.now)
        elif step == "leave":
            left += queues.leave().total()
            assert len(queues.under_way) <= 6
            assert all(count <= 3 for count in Counter(start.receiver for start in queues.under_way).values())
        elif step == "drop" and name in queues.receivers.rooms(queues.now).of:
            dropped += len(queues.receivers.drop(name))
        elif step == "wait":
            queues.now += 20.0 * number
        else:
            queues.end(ANSWERED if step == "end" else FAILED, count=number)
    for _ in range(taken + 1):
        left += queues.leave().total()
        queues.end()
        queues.now += 1_000
    assert taken == left + dropped
    assert queues.receivers.queued == 0
