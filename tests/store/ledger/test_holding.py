"""Deferred postbacks keep when they were due: behind a paused rule, its probe, or an earlier postback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from clickloop.clock import HOUR_MS
from clickloop.postback.delivery.ending import ended_of
from clickloop.postback.delivery.work import Job, RecordingResult
from clickloop.postback.due import DuePostback
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.retry import AttemptOutcome, Trouble
from clickloop.postback.rule import PostbackRequest
from clickloop.store.ledger.logs.postbacks import insert_postbacks
from clickloop.store.ledger.queue.claiming import FOLLOWER_RETRY_MS, PAUSED_RULE_RETRY_MS
from clickloop.store.ledger.queue.holding import (
    PausedRule,
    pause_rule,
    paused_rules,
    resume_rule,
    wake_followers,
    wake_resumed,
)
from clickloop.store.ledger.schema.tables import postback_rules, postbacks
from tests.store.ledger.test_receivers import IDS, LEASE, NOW, Store

HOLD_SECONDS = 3_600


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.ledger.close()


def pause(store: Store) -> None:
    with store.ledger.write() as tx:
        pause_rule(tx, store.rule_id, NOW)


def resume(store: Store, now_ms: int = NOW) -> bool:
    with store.ledger.write() as tx:
        return resume_rule(tx, store.rule_id, now_ms)


def condition(store: Store) -> tuple[bool, bool]:
    """Return whether the rule is paused, and whether it is probing."""
    with store.ledger.read() as tx:
        row = tx.execute(select(postback_rules).where(postback_rules.c.id == store.rule_id)).one()
    return row.paused_at is not None, row.probing_at is not None


def due_times(store: Store) -> dict[str, int | None]:
    with store.ledger.read() as tx:
        rows = tx.execute(select(postbacks.c.postback_id, postbacks.c.next_attempt_at)).all()
    return {row.postback_id: row.next_attempt_at for row in rows}


def end(store: Store, job: Job, code: int = 200, trouble: Trouble | None = None) -> RecordingResult:
    outcome = AttemptOutcome(status_code=None if trouble else code, trouble=trouble)
    return store.work.record([ended_of(job, outcome, NOW, lambda: 0.5)])


def owe_change(store: Store, version: int, at: int = NOW) -> str:
    """Create the postback for one more change of the same conversion."""
    postback_id = IDS()
    new = NewPostback(
        postback_id=postback_id,
        conversion_id="a" * 26,
        version=version,
        rule_id=store.rule_id,
        click_id=IDS(),
        campaign_id=7,
        source_id=3,
        trigger="status",
        decision=DuePostback(PostbackRequest(url="https://a/"), at, ()),
        receiver="a:80",
    )
    with store.ledger.write() as tx:
        insert_postbacks(tx, [new], NOW)
    return postback_id


def test_a_resumed_rule_sends_a_probe_and_the_others_follow_once_it_is_answered(store: Store) -> None:
    owed = store.owe("a:80", 50)
    pause(store)
    assert store.claim().jobs == ()

    assert resume(store)

    (probe,) = store.claim().jobs
    assert (probe.postback_id, probe.probes_rule, condition(store)) == (owed[0], True, (False, True))
    assert store.claim().jobs == ()
    assert end(store, probe, 500).resumed == (store.rule_id,)
    assert condition(store) == (False, False)
    assert not store.work.wake_resumed()
    assert {job.postback_id for job in store.claim().jobs} == set(owed[1:])


def test_a_second_410_pauses_the_rule_again_and_costs_one_postback_only(store: Store) -> None:
    store.owe("a:80", 50)
    pause(store)
    store.claim()
    resume(store)
    (probe,) = store.claim().jobs

    assert end(store, probe, 410) == RecordingResult(paused=(store.rule_id,))

    assert condition(store) == (True, False)
    with store.ledger.read() as tx:
        states = list(tx.scalars(select(postbacks.c.state)))
    assert (states.count("failed"), states.count("waiting")) == (1, 49)


def test_a_woken_postback_is_due_when_it_was_before(store: Store) -> None:
    (due,) = store.owe("a:80", at=NOW - 5)
    (delayed,) = store.owe("a:80", at=NOW + HOLD_SECONDS * 1_000)
    pause(store)
    store.claim()
    assert due_times(store)[due] == NOW + PAUSED_RULE_RETRY_MS

    resume(store)
    (probe,) = store.claim().jobs
    end(store, probe)
    store.work.wake_resumed()

    assert probe.postback_id == due
    assert due_times(store)[delayed] == NOW + HOLD_SECONDS * 1_000
    assert store.claim(now_ms=NOW + 1_000).jobs == ()


def test_a_postback_deferred_twice_keeps_when_it_was_first_due(store: Store) -> None:
    first, second = store.owe("a:80", 2, at=NOW - 5)
    pause(store)
    store.claim()
    store.claim(now_ms=NOW + PAUSED_RULE_RETRY_MS)
    resume(store)

    assert (due_times(store)[first], due_times(store)[second]) == (NOW - 5, NOW - 5)


def test_a_rule_without_waiting_postbacks_resumes_without_a_probe(store: Store) -> None:
    pause(store)

    assert resume(store)

    assert condition(store) == (False, False)
    assert not resume(store)


def test_a_delayed_postback_is_the_probe_when_it_becomes_due(store: Store) -> None:
    store.owe("a:80", at=NOW + HOUR_MS)
    pause(store)
    resume(store)

    assert (store.claim().jobs, condition(store)) == ((), (False, True))
    (probe,) = store.claim(now_ms=NOW + HOUR_MS).jobs
    assert probe.probes_rule


@pytest.mark.parametrize("lost", ["released", "rescued"])
def test_a_probe_without_an_outcome_makes_way_for_another_probe(store: Store, lost: str) -> None:
    store.owe("a:80", 2)
    pause(store)
    store.claim()
    resume(store)
    (probe,) = store.claim().jobs
    if lost == "released":
        store.work.release([probe], NOW)
    else:
        store.work.rescue(NOW + LEASE)

    (again,) = store.claim(now_ms=NOW + LEASE).jobs

    assert again.probes_rule
    assert end(store, again).resumed == (store.rule_id,)


def test_a_probe_that_was_never_sent_says_nothing_and_another_is_sent(store: Store) -> None:
    store.owe("a:80", 2)
    pause(store)
    store.claim()
    resume(store)
    (probe,) = store.claim().jobs

    assert end(store, probe, trouble=Trouble.UNSENDABLE).resumed == ()

    (following,) = store.claim().jobs
    assert following.probes_rule


def test_a_postback_behind_an_earlier_one_is_due_at_once_when_that_is_final(store: Store) -> None:
    owe_change(store, 1)
    later = owe_change(store, 2)
    (first,) = store.claim().jobs
    assert due_times(store)[later] == NOW + FOLLOWER_RETRY_MS

    assert end(store, first).woken == 1

    assert [job.postback_id for job in store.claim().jobs] == [later]


def test_a_postback_behind_one_that_is_retried_keeps_waiting(store: Store) -> None:
    owe_change(store, 1)
    owe_change(store, 2)
    (first,) = store.claim().jobs

    assert end(store, first, 500).woken == 0

    assert store.claim().jobs == ()


def test_followers_are_woken_once(store: Store) -> None:
    earlier = owe_change(store, 1)
    owe_change(store, 2)
    store.claim()
    with store.ledger.write() as tx:
        assert wake_followers(tx, [earlier]) == 1
        assert wake_followers(tx, [earlier]) == 0
        assert wake_followers(tx, []) == 0


def test_deferred_postbacks_are_woken_in_batches(store: Store) -> None:
    store.owe("a:80", 5)
    store.owe("b:80", 1, rule_id=store.other_rule_id)
    with store.ledger.write() as tx:
        pause_rule(tx, store.rule_id, NOW)
        pause_rule(tx, store.other_rule_id, NOW)
    store.claim()
    with store.ledger.write() as tx:
        tx.execute(update(postback_rules).where(postback_rules.c.id == store.rule_id).values(paused_at=None))
        assert [wake_resumed(tx, limit=3) for _ in range(3)] == [3, 2, 0]


def test_paused_rules_count_what_waits_and_archived_ones_show_while_something_does(store: Store) -> None:
    store.owe("a:80", 3)
    with store.ledger.write() as tx:
        pause_rule(tx, store.rule_id, NOW)
        pause_rule(tx, store.other_rule_id, NOW)
        tx.execute(update(postback_rules).values(archived_at=NOW))
        assert paused_rules(tx) == [
            PausedRule(rule_id=store.rule_id, name="Rule", paused_at=NOW, archived=True, waiting=3)
        ]


def test_only_waiting_postbacks_can_be_deferred(store: Store) -> None:
    store.owe("a:80")
    with pytest.raises(IntegrityError), store.ledger.write() as tx:
        tx.execute(update(postbacks).values(state="cancelled", next_attempt_at=None, finished_at=NOW, held_from=NOW))


def test_a_clock_set_back_shifts_deferred_postbacks_too(store: Store) -> None:
    store.owe("a:80")
    pause(store)
    store.claim()
    store.work.follow_clock(-HOUR_MS)
    with store.ledger.read() as tx:
        assert tx.scalar(select(postbacks.c.held_from)) == NOW - HOUR_MS
