"""Receivers in the ledger: fair claims, stored limits and conditions, and the backlog of paused rules."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.ending import ended_of
from clickloop.postback.delivery.lane import Asked, KeptLane, LaneTerms, Standing
from clickloop.postback.delivery.lanes import EVERY_ROOM, Rooms
from clickloop.postback.delivery.work import Claimed
from clickloop.postback.due import Owed
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.retry import Outcome
from clickloop.postback.rule import Request, RequestTemplate, Rule
from clickloop.record_id import RecordIds
from clickloop.store.ledger.logs.postbacks import insert_postbacks
from clickloop.store.ledger.queue.claiming import PAUSED_MS, PUT_OFF_PER_CLAIM
from clickloop.store.ledger.queue.holding import pause_rule
from clickloop.store.ledger.queue.lanes import (
    WaitingLane,
    ask_of_lane,
    keep_standing,
    kept_lanes,
    set_lane_terms,
    waiting_counts,
    waiting_lanes,
)
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.schema.tables import postback_rules, postbacks, receivers
from clickloop.store.ledger.setup.postback_rules import insert_rule
from tests.empty_stores import open_ledger

NOW = 1_800_000_000_000
LEASE = 60_000
IDS = RecordIds(lambda: NOW)
PAUSE = Pause(opened_at=NOW, probe_at=NOW + 30_000, why="10 of 10 attempts within 5 minutes failed.")


class Store:
    """A fresh ledger with two rules, and shortcuts to create and claim postbacks."""

    def __init__(self, folder: Path) -> None:
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.work = LedgerPostbacks(self.ledger)
        rule = Rule(rule_id=0, name="Rule", request=RequestTemplate(url="https://source.example/"))
        with self.ledger.write() as tx:
            self.rule_id, self.other_rule_id = insert_rule(tx, rule, NOW), insert_rule(tx, rule, NOW)

    def owe(self, receiver: str, count: int = 1, at: int = NOW, rule_id: int | None = None) -> list[str]:
        new = [
            NewPostback(
                postback_id=IDS(),
                conversion_id=IDS(),
                version=1,
                rule_id=rule_id or self.rule_id,
                click_id=IDS(),
                campaign_id=7,
                source_id=3,
                trigger="new",
                decision=Owed(Request(url=f"https://{receiver}/"), at, ()),
                lane=receiver,
            )
            for _ in range(count)
        ]
        with self.ledger.write() as tx:
            insert_postbacks(tx, new, NOW)
        return [postback.postback_id for postback in new]

    def claim(self, limit: int = 100, rooms: Rooms = EVERY_ROOM, now_ms: int = NOW) -> Claimed:
        return self.work.claim(now_ms, limit, LEASE, rooms)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.ledger.close()


def receivers_of(claimed: Claimed) -> Counter[str]:
    return Counter(job.lane for job in claimed.jobs)


def test_the_backlog_of_one_receiver_does_not_fill_a_claim(store: Store) -> None:
    store.owe("backlog:80", 300, at=NOW - 1_000_000)
    for number in range(9):
        store.owe(f"receiver{number}:80", 2)

    taken = receivers_of(store.claim(limit=100))

    assert taken == Counter({f"receiver{number}:80": 2 for number in range(9)} | {"backlog:80": 10})


def test_a_claim_takes_for_each_receiver_no_more_than_it_has_room_for(store: Store) -> None:
    for receiver in ("a:80", "b:80", "c:80"):
        store.owe(receiver, 10)

    claimed = store.claim(rooms=Rooms(3, {"b:80": 5, "c:80": 0}))

    assert receivers_of(claimed) == Counter({"a:80": 3, "b:80": 5})
    assert (claimed.full, claimed.more) == (("a:80", "b:80", "c:80"), False)


def test_a_claim_says_whether_more_is_due_and_has_room(store: Store) -> None:
    store.owe("a:80", 10)

    assert store.claim(limit=5, rooms=Rooms(8, {})).more
    assert not store.claim(limit=50, rooms=Rooms(8, {})).more


def test_receivers_take_turns_when_a_claim_cannot_serve_all(store: Store) -> None:
    for number in range(6):
        store.owe(f"receiver{number}:80", 10)
    taken: Counter[str] = Counter()
    after = ""
    for _ in range(3):
        claimed = store.claim(limit=4, rooms=Rooms(100, {}, after))
        taken += receivers_of(claimed)
        after = claimed.last

    assert taken == Counter({f"receiver{number}:80": 2 for number in range(6)})


def test_the_longest_due_of_a_receiver_comes_first_then_the_oldest(store: Store) -> None:
    (late,) = store.owe("a:80")
    (second,) = store.owe("a:80")
    (early,) = store.owe("a:80", at=NOW - 5)

    order = [store.claim(limit=1).jobs[0].postback_id for _ in range(3)]

    assert order == [early, late, second]


def test_a_claim_returns_when_the_next_is_due_of_receivers_that_had_nothing_due(
    store: Store,
) -> None:
    store.owe("a:80")
    store.owe("a:80", at=NOW + 700)
    store.owe("b:80", at=NOW + 900)

    assert store.claim().next_at == NOW + 900
    assert store.claim() == Claimed((), 0, NOW + 700)


def test_waiting_receivers_are_found_with_when_their_first_is_due(store: Store) -> None:
    store.owe("b:80", at=NOW + 5)
    store.owe("b:80", at=NOW + 2)
    store.owe("a:80", 3)
    store.owe("c:80")
    store.claim(limit=1, rooms=Rooms(0, {"c:80": 1}))

    with store.ledger.read() as tx:
        assert waiting_lanes(tx) == [WaitingLane("a:80", NOW), WaitingLane("b:80", NOW + 2)]
        assert waiting_counts(tx, ["a:80", "c:80"]) == {"a:80": 3}


def test_a_claim_searches_and_never_scans_what_waits(store: Store) -> None:
    statements: list[tuple[str, tuple[object, ...]]] = []

    def note(_c: object, _cursor: object, text: str, values: tuple[object, ...], _x: object, many: bool) -> None:
        statements.append((text, values[0] if many else values))  # type: ignore[arg-type]

    store.owe("a:80", 3)
    event.listen(store.ledger.engine, "before_cursor_execute", note)
    store.claim()
    event.remove(store.ledger.engine, "before_cursor_execute", note)

    with store.ledger.read() as tx:
        plans = [
            [row[-1] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()]
            for text, values in statements
            if not text.startswith("BEGIN")
        ]
    steps = [step for plan in plans for step in plan]
    assert any("ix_postbacks_due (receiver=? AND next_attempt_at<?)" in step for step in steps)
    assert {step for step in steps if step.startswith("SCAN")} <= {
        "SCAN steps",
        "SCAN picked VIRTUAL TABLE INDEX 1:",
        "SCAN claimed VIRTUAL TABLE INDEX 1:",
    }


def test_limits_set_by_users_and_conditions_are_stored_independently(store: Store) -> None:
    terms = LaneTerms(connections=2, per_minute=60)
    with store.ledger.write() as tx:
        set_lane_terms(tx, "a:80", terms)
        keep_standing(tx, "a:80", Standing(pause=PAUSE))
        keep_standing(tx, "b:80", Standing(pause=PAUSE))
    assert store.work.lanes() == (
        KeptLane(lane="a:80", terms=terms, pause=PAUSE),
        KeptLane(lane="b:80", pause=PAUSE),
    )

    store.work.keep_standings({"a:80": Standing(), "b:80": Standing()}, {})

    assert store.work.lanes() == (KeptLane(lane="a:80", terms=terms),)


def test_a_pause_without_a_probe_cannot_be_stored(store: Store) -> None:
    with pytest.raises(IntegrityError), store.ledger.write() as tx:
        tx.execute(receivers.insert().values(receiver="a:80", opened_at=NOW, probes=0, why=""))


def test_a_receiver_that_probes_the_newest_gets_the_due_postback_created_last(store: Store) -> None:
    store.owe("a:80", 30, at=NOW - 50)
    (newest,) = store.owe("a:80", at=NOW - 100)
    store.owe("a:80", at=NOW + 1)

    claimed = store.claim(rooms=Rooms(4, {"a:80": 1}, "", frozenset({"a:80"})))

    assert [job.postback_id for job in claimed.jobs] == [newest]


def test_a_command_is_stored_until_it_is_done_or_has_nothing_to_end(store: Store) -> None:
    def commands() -> list[Asked | None]:
        return [each.asked for each in store.work.lanes()]

    def request(command: Asked) -> bool:
        with store.ledger.write() as tx:
            return ask_of_lane(tx, "a:80", command)

    assert not request(Asked.PROBE)
    store.work.keep_standings({"a:80": Standing(pause=PAUSE)}, {})
    assert request(Asked.PROBE)
    store.work.keep_standings({"a:80": Standing(pause=PAUSE)}, {"a:80": Asked.RESUME})
    assert commands() == [Asked.PROBE]
    store.work.keep_standings({}, {"a:80": Asked.PROBE})
    assert commands() == [None]
    request(Asked.RESUME)
    store.work.keep_standings({"a:80": Standing()}, {})
    assert commands() == []


def test_a_paused_rules_backlog_does_not_block_what_is_behind_it_in_the_queue(store: Store) -> None:
    store.owe("chat:443", PUT_OFF_PER_CLAIM, at=NOW - 10)
    (other,) = store.owe("chat:443", rule_id=store.other_rule_id)
    with store.ledger.write() as tx:
        pause_rule(tx, store.rule_id, NOW)

    first, second = store.claim(rooms=Rooms(4, {})), store.claim(rooms=Rooms(4, {}))

    assert first.jobs == ()
    assert [job.postback_id for job in second.jobs] == [other]
    with store.ledger.read() as tx:
        due_at = set(tx.scalars(select(postbacks.c.next_attempt_at).where(postbacks.c.state == "waiting")))
    assert due_at == {NOW + PAUSED_MS}


def test_a_rule_that_a_410_pauses_is_reported_once(store: Store) -> None:
    store.owe("a:80", 2)
    first, second = store.claim().jobs
    gone = Outcome(status_code=410)

    assert store.work.record([ended_of(first, gone, NOW + 1, lambda: 0.5)]).paused == (store.rule_id,)
    assert store.work.record([ended_of(second, gone, NOW + 2, lambda: 0.5)]).paused == ()


def test_a_late_410_under_an_outdated_lease_pauses_no_rule(store: Store) -> None:
    store.owe("a:80")
    (stale,) = store.claim().jobs
    store.work.rescue(NOW + LEASE)
    (fresh,) = store.claim(now_ms=NOW + LEASE).jobs
    store.work.record([ended_of(fresh, Outcome(status_code=200), NOW + LEASE, lambda: 0.5)])

    assert store.work.record([ended_of(stale, Outcome(status_code=410), NOW + LEASE, lambda: 0.5)]).paused == ()

    with store.ledger.read() as tx:
        assert tx.scalar(select(postback_rules.c.paused_at).where(postback_rules.c.id == store.rule_id)) is None
        assert kept_lanes(tx) == ()
