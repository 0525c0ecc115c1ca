"""Receivers in the ledger: fair claims, stored limits and conditions, and the backlog of paused rules."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.ending import ended_of
from clickloop.postback.delivery.receiver_queue import ReceiverCommand, ReceiverCondition, ReceiverTerms, StoredReceiver
from clickloop.postback.delivery.receiver_queues import UNLIMITED_QUOTAS, Quotas
from clickloop.postback.delivery.work import ClaimBatch
from clickloop.postback.due import DuePostback
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.retry import AttemptOutcome
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate
from clickloop.record_id import RecordIds
from clickloop.store.ledger.logs.postbacks import insert_postbacks
from clickloop.store.ledger.queue.claiming import MAX_DEFERRED_PER_CLAIM, PAUSED_RULE_RETRY_MS
from clickloop.store.ledger.queue.holding import pause_rule
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.queue.receivers import (
    WaitingReceiver,
    request_command,
    save_condition,
    set_receiver_terms,
    stored_receivers,
    waiting_counts,
    waiting_receivers,
)
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
        rule = PostbackRule(rule_id=0, name="Rule", request=RequestTemplate(url="https://source.example/"))
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
                decision=DuePostback(PostbackRequest(url=f"https://{receiver}/"), at, ()),
                receiver=receiver,
            )
            for _ in range(count)
        ]
        with self.ledger.write() as tx:
            insert_postbacks(tx, new, NOW)
        return [postback.postback_id for postback in new]

    def claim(self, limit: int = 100, rooms: Quotas = UNLIMITED_QUOTAS, now_ms: int = NOW) -> ClaimBatch:
        return self.work.claim(now_ms, limit, LEASE, rooms)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.ledger.close()


def receivers_of(claimed: ClaimBatch) -> Counter[str]:
    return Counter(job.receiver for job in claimed.jobs)


def test_the_backlog_of_one_receiver_does_not_fill_a_claim(store: Store) -> None:
    store.owe("backlog:80", 300, at=NOW - 1_000_000)
    for number in range(9):
        store.owe(f"receiver{number}:80", 2)

    taken = receivers_of(store.claim(limit=100))

    assert taken == Counter({f"receiver{number}:80": 2 for number in range(9)} | {"backlog:80": 10})


def test_a_claim_takes_for_each_receiver_no_more_than_it_has_room_for(store: Store) -> None:
    for receiver in ("a:80", "b:80", "c:80"):
        store.owe(receiver, 10)

    claimed = store.claim(rooms=Quotas(3, {"b:80": 5, "c:80": 0}))

    assert receivers_of(claimed) == Counter({"a:80": 3, "b:80": 5})
    assert (claimed.full, claimed.more) == (("a:80", "b:80", "c:80"), False)


def test_a_claim_says_whether_more_is_due_and_has_room(store: Store) -> None:
    store.owe("a:80", 10)

    assert store.claim(limit=5, rooms=Quotas(8, {})).more
    assert not store.claim(limit=50, rooms=Quotas(8, {})).more


def test_receivers_take_turns_when_a_claim_cannot_serve_all(store: Store) -> None:
    for number in range(6):
        store.owe(f"receiver{number}:80", 10)
    taken: Counter[str] = Counter()
    after = ""
    for _ in range(3):
        claimed = store.claim(limit=4, rooms=Quotas(100, {}, after))
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
    assert store.claim() == ClaimBatch((), 0, NOW + 700)


def test_waiting_receivers_are_found_with_when_their_first_is_due(store: Store) -> None:
    store.owe("b:80", at=NOW + 5)
    store.owe("b:80", at=NOW + 2)
    store.owe("a:80", 3)
    store.owe("c:80")
    store.claim(limit=1, rooms=Quotas(0, {"c:80": 1}))

    with store.ledger.read() as tx:
        assert waiting_receivers(tx) == [WaitingReceiver("a:80", NOW), WaitingReceiver("b:80", NOW + 2)]
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
    terms = ReceiverTerms(connections=2, per_minute=60)
    with store.ledger.write() as tx:
        set_receiver_terms(tx, "a:80", terms)
        save_condition(tx, "a:80", ReceiverCondition(pause=PAUSE))
        save_condition(tx, "b:80", ReceiverCondition(pause=PAUSE))
    assert store.work.receivers() == (
        StoredReceiver(receiver="a:80", terms=terms, pause=PAUSE),
        StoredReceiver(receiver="b:80", pause=PAUSE),
    )

    store.work.save_receiver_conditions({"a:80": ReceiverCondition(), "b:80": ReceiverCondition()}, {})

    assert store.work.receivers() == (StoredReceiver(receiver="a:80", terms=terms),)


def test_a_pause_without_a_probe_cannot_be_stored(store: Store) -> None:
    with pytest.raises(IntegrityError), store.ledger.write() as tx:
        tx.execute(receivers.insert().values(receiver="a:80", opened_at=NOW, probes=0, why=""))


def test_a_receiver_that_probes_the_newest_gets_the_due_postback_created_last(store: Store) -> None:
    store.owe("a:80", 30, at=NOW - 50)
    (newest,) = store.owe("a:80", at=NOW - 100)
    store.owe("a:80", at=NOW + 1)

    claimed = store.claim(rooms=Quotas(4, {"a:80": 1}, "", frozenset({"a:80"})))

    assert [job.postback_id for job in claimed.jobs] == [newest]


def test_a_command_is_stored_until_it_is_done_or_has_nothing_to_end(store: Store) -> None:
    def commands() -> list[ReceiverCommand | None]:
        return [each.command for each in store.work.receivers()]

    def request(command: ReceiverCommand) -> bool:
        with store.ledger.write() as tx:
            return request_command(tx, "a:80", command)

    assert not request(ReceiverCommand.PROBE)
    store.work.save_receiver_conditions({"a:80": ReceiverCondition(pause=PAUSE)}, {})
    assert request(ReceiverCommand.PROBE)
    store.work.save_receiver_conditions({"a:80": ReceiverCondition(pause=PAUSE)}, {"a:80": ReceiverCommand.RESUME})
    assert commands() == [ReceiverCommand.PROBE]
    store.work.save_receiver_conditions({}, {"a:80": ReceiverCommand.PROBE})
    assert commands() == [None]
    request(ReceiverCommand.RESUME)
    store.work.save_receiver_conditions({"a:80": ReceiverCondition()}, {})
    assert commands() == []


def test_a_paused_rules_backlog_does_not_block_what_is_behind_it_in_the_queue(store: Store) -> None:
    store.owe("chat:443", MAX_DEFERRED_PER_CLAIM, at=NOW - 10)
    (other,) = store.owe("chat:443", rule_id=store.other_rule_id)
    with store.ledger.write() as tx:
        pause_rule(tx, store.rule_id, NOW)

    first, second = store.claim(rooms=Quotas(4, {})), store.claim(rooms=Quotas(4, {}))

    assert first.jobs == ()
    assert [job.postback_id for job in second.jobs] == [other]
    with store.ledger.read() as tx:
        due_at = set(tx.scalars(select(postbacks.c.next_attempt_at).where(postbacks.c.state == "waiting")))
    assert due_at == {NOW + PAUSED_RULE_RETRY_MS}


def test_a_rule_that_a_410_pauses_is_reported_once(store: Store) -> None:
    store.owe("a:80", 2)
    first, second = store.claim().jobs
    gone = AttemptOutcome(status_code=410)

    assert store.work.record([ended_of(first, gone, NOW + 1, lambda: 0.5)]).paused == (store.rule_id,)
    assert store.work.record([ended_of(second, gone, NOW + 2, lambda: 0.5)]).paused == ()


def test_a_late_410_under_an_outdated_lease_pauses_no_rule(store: Store) -> None:
    store.owe("a:80")
    (stale,) = store.claim().jobs
    store.work.rescue(NOW + LEASE)
    (fresh,) = store.claim(now_ms=NOW + LEASE).jobs
    store.work.record([ended_of(fresh, AttemptOutcome(status_code=200), NOW + LEASE, lambda: 0.5)])

    assert store.work.record([ended_of(stale, AttemptOutcome(status_code=410), NOW + LEASE, lambda: 0.5)]).paused == ()

    with store.ledger.read() as tx:
        assert tx.scalar(select(postback_rules.c.paused_at).where(postback_rules.c.id == store.rule_id)) is None
        assert stored_receivers(tx) == ()
