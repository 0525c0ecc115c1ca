"""Holding back in the ledger: rules that a 410 has paused, the one that is let through when a rule is resumed, and what they hold.

What is held back keeps in ``held_from`` when it was due, so that it goes on from there and nothing else leaves sooner than it
should. One statement per function; ``tx`` is an open transaction.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Update, func, select, update

from clickloop.store.ledger.logs.postback_states import IS_WAITING
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.tables import postback_rules, postbacks
from clickloop.store.ledger.sqlite.json_lists import json_values

WOKEN_PER_BATCH = 10_000
"""Postbacks woken per transaction, so that no other writer waits long."""
WOKEN_TO_PROBE = 20
"""Maximum number of postponed postbacks examined when a rule is resumed; the first that can leave is the probe."""

_write_list = msgspec.json.Encoder().encode
_ended = json_values("ids", "ended")
_before = postbacks.alias("before")
_held = postbacks.alias("held")
_WAKE_FOLLOWERS = (
    update(postbacks)
    .where(
        postbacks.c.postback_id.in_(
            select(_held.c.postback_id)
            .select_from(_ended.join(_before, _before.c.postback_id == _ended.c.value))
            .join(_held, (_held.c.rule_id == _before.c.rule_id) & (_held.c.conversion_id == _before.c.conversion_id))
            .where(_held.c.held_from.is_not(None))
        )
    )
    .values(next_attempt_at=postbacks.c.held_from, held_from=None)
)


class HeldByRule(msgspec.Struct, frozen=True, kw_only=True):
    """A paused rule. ``waiting``: how many postbacks wait for it, due or not."""

    rule_id: int
    name: str
    paused_at: int
    archived: bool
    waiting: int


def put_off(what: Update, until: Any) -> Update:
    """The statement that looks at what it changes again at a moment, and keeps when that was due."""
    table = postbacks.c
    return what.values(next_attempt_at=until, held_from=func.coalesce(table.held_from, table.next_attempt_at))


def pause_rule(tx: Connection, rule_id: int, now_ms: int) -> bool:
    """Holds back what a rule owes. False: it was paused before, and keeps its moment."""
    paused = tx.execute(
        update(postback_rules)
        .where(postback_rules.c.id == rule_id, postback_rules.c.paused_at.is_(None))
        .values(paused_at=now_ms, probing_at=None, probe_id=None)
    )
    return paused.rowcount > 0


def is_paused(tx: Connection, rule_id: int) -> bool:
    """Whether a rule is paused."""
    paused = select(postback_rules.c.id).where(postback_rules.c.id == rule_id, postback_rules.c.paused_at.is_not(None))
    return tx.scalar(paused) is not None


def resume_rule(tx: Connection, rule_id: int, now_ms: int) -> bool:
    """Lets the first postback that is due leave, and all others when it is answered with anything but 410. False: it was not paused.

    A rule that nothing waits for goes on at once.
    """
    probing_at = now_ms if count_waiting(tx, rule_id, at_most=1) else None
    resumed = tx.execute(
        update(postback_rules)
        .where(postback_rules.c.id == rule_id, postback_rules.c.paused_at.is_not(None))
        .values(paused_at=None, probing_at=probing_at, probe_id=None)
    )
    if resumed.rowcount:
        wake_to_probe(tx, rule_id)
    return resumed.rowcount > 0


def wake_to_probe(tx: Connection, rule_id: int) -> None:
    """Makes the first of what a rule has put off due, so that one of them is let through."""
    first = (
        select(postbacks.c.postback_id)
        .where(postbacks.c.held_from.is_not(None), postbacks.c.rule_id == rule_id)
        .order_by(postbacks.c.held_from, postbacks.c.postback_id)
        .limit(WOKEN_TO_PROBE)
    )
    tx.execute(_wake(first))


def note_probe(tx: Connection, rule_id: int, postback_id: str) -> None:
    """Keeps which postback of a resumed rule is let through first."""
    noted = tx.execute(
        update(postback_rules)
        .where(postback_rules.c.id == rule_id, postback_rules.c.probing_at.is_not(None))
        .values(probe_id=postback_id)
    )
    expect_rows(noted, 1, f"the probe of postback rule {rule_id}")


def end_probe(tx: Connection, rule_id: int, postback_id: str) -> bool:
    """Lets a rule go on whose first postback was answered; then call ``wake_held``. False: it is not this one that it waits for."""
    ended = tx.execute(
        update(postback_rules)
        .where(postback_rules.c.id == rule_id, postback_rules.c.probe_id == postback_id)
        .values(probing_at=None, probe_id=None)
    )
    return ended.rowcount > 0


def wake_held(tx: Connection, limit: int = WOKEN_PER_BATCH) -> int:
    """Lets what was put off go on from when it was due, unless its rule is still held. When it answers ``limit``, call it again."""
    free = select(postback_rules.c.id).where(
        postback_rules.c.paused_at.is_(None), postback_rules.c.probing_at.is_(None)
    )
    held = select(postbacks.c.postback_id).where(postbacks.c.held_from.is_not(None), postbacks.c.rule_id.in_(free))
    return tx.execute(_wake(held.limit(limit))).rowcount


def wake_followers(tx: Connection, postback_ids: Sequence[str]) -> int:
    """Lets what stood behind these, which are final now, be looked at at once; answers how many that are."""
    return tx.execute(_WAKE_FOLLOWERS, {"ids": _write_list(postback_ids).decode()}).rowcount


def count_waiting(tx: Connection, rule_id: int, at_most: int = 1_000_000_000) -> int:
    """How many postbacks of a rule wait, due or not; no more than ``at_most`` are looked for."""
    waiting = select(postbacks.c.postback_id).where(IS_WAITING, postbacks.c.rule_id == rule_id).limit(at_most)
    return tx.scalar(select(func.count()).select_from(waiting.subquery())) or 0


def waits_from_before(tx: Connection, rule_id: int) -> bool:
    """Whether a postback waits that was built before the rule's request was changed."""
    changed_at = select(postback_rules.c.request_changed_at).where(postback_rules.c.id == rule_id).scalar_subquery()
    waiting = select(postbacks.c.postback_id).where(
        IS_WAITING, postbacks.c.rule_id == rule_id, postbacks.c.created_at <= changed_at
    )
    return tx.scalar(waiting.limit(1)) is not None


def rules_that_hold(tx: Connection) -> list[HeldByRule]:
    """The paused rules, each with what it holds; archived ones as long as they hold anything. Reads what waits if there is any."""
    table = postback_rules.c
    paused = tx.execute(
        select(table.id, table.name, table.paused_at, table.archived_at)
        .where(table.paused_at.is_not(None))
        .order_by(table.id)
    ).all()
    if not paused:
        return []
    rows = tx.execute(
        select(postbacks.c.rule_id, func.count().label("waiting"))
        .where(IS_WAITING, postbacks.c.rule_id.in_([row.id for row in paused]))
        .group_by(postbacks.c.rule_id)
    )
    waiting = {row.rule_id: row.waiting for row in rows}
    held = [
        HeldByRule(
            rule_id=row.id,
            name=row.name,
            paused_at=row.paused_at,
            archived=row.archived_at is not None,
            waiting=waiting.get(row.id, 0),
        )
        for row in paused
    ]
    return [rule for rule in held if rule.waiting or not rule.archived]


def _wake(which: Any) -> Update:
    return (
        update(postbacks)
        .where(postbacks.c.postback_id.in_(which))
        .values(next_attempt_at=postbacks.c.held_from, held_from=None)
    )
