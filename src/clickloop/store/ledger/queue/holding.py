"""Deferred postbacks: rules that a 410 has paused, and the probe that is sent first when a rule is resumed.

A deferred postback keeps in ``held_from`` when it was due, and becomes due at that time again when the reason ends. One statement
per function; ``tx`` is an open transaction.
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
"""Maximum number of postbacks woken per transaction, so that no other writer waits long."""
WOKEN_TO_PROBE = 20
"""Maximum number of deferred postbacks made due when a rule is resumed; the first that can be sent is the probe."""

_write_list = msgspec.json.Encoder().encode
_final = json_values("ids", "final")
_before = postbacks.alias("before")
_deferred = postbacks.alias("deferred")
_WAKE_FOLLOWERS = (
    update(postbacks)
    .where(
        postbacks.c.postback_id.in_(
            select(_deferred.c.postback_id)
            .select_from(_final.join(_before, _before.c.postback_id == _final.c.value))
            .join(
                _deferred,
                (_deferred.c.rule_id == _before.c.rule_id) & (_deferred.c.conversion_id == _before.c.conversion_id),
            )
            .where(_deferred.c.held_from.is_not(None))
        )
    )
    .values(next_attempt_at=postbacks.c.held_from, held_from=None)
)


class PausedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A paused rule. ``waiting``: the number of its waiting postbacks, due or not."""

    rule_id: int
    name: str
    paused_at: int
    archived: bool
    waiting: int


def deferral(of: Update, until: Any) -> Update:
    """Extend an UPDATE of postbacks to make them due at a later time and keep when they were due."""
    table = postbacks.c
    return of.values(next_attempt_at=until, held_from=func.coalesce(table.held_from, table.next_attempt_at))


def pause_rule(tx: Connection, rule_id: int, now_ms: int) -> bool:
    """Pause a rule. Return False if it already was; then it keeps the time since when."""
    paused = tx.execute(
        update(postback_rules)
        .where(postback_rules.c.id == rule_id, postback_rules.c.paused_at.is_(None))
        .values(paused_at=now_ms, probing_at=None, probe_id=None)
    )
    return paused.rowcount > 0


def is_rule_paused(tx: Connection, rule_id: int) -> bool:
    """Return whether a rule is paused."""
    paused = select(postback_rules.c.id).where(postback_rules.c.id == rule_id, postback_rules.c.paused_at.is_not(None))
    return tx.scalar(paused) is not None


def resume_rule(tx: Connection, rule_id: int, now_ms: int) -> bool:
    """Resume a rule: its first due postback is sent as a probe, the others follow once its outcome is not a 410.

    Without waiting postbacks there is no probe. Return False if the rule was not paused.
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
    """Make the first deferred postbacks of a rule due, so that one of them is sent as its probe."""
    first = (
        select(postbacks.c.postback_id)
        .where(postbacks.c.held_from.is_not(None), postbacks.c.rule_id == rule_id)
        .order_by(postbacks.c.held_from, postbacks.c.postback_id)
        .limit(WOKEN_TO_PROBE)
    )
    tx.execute(_wake(first))


def record_probe(tx: Connection, rule_id: int, postback_id: str) -> None:
    """Store which postback of a resumed rule is its probe."""
    noted = tx.execute(
        update(postback_rules)
        .where(postback_rules.c.id == rule_id, postback_rules.c.probing_at.is_not(None))
        .values(probe_id=postback_id)
    )
    expect_rows(noted, 1, f"the probe of postback rule {rule_id}")


def end_probe(tx: Connection, rule_id: int, postback_id: str) -> bool:
    """End the probing of a rule; then call ``wake_resumed``. Return False if this postback is not its probe."""
    ended = tx.execute(
        update(postback_rules)
        .where(postback_rules.c.id == rule_id, postback_rules.c.probe_id == postback_id)
        .values(probing_at=None, probe_id=None)
    )
    return ended.rowcount > 0


def wake_resumed(tx: Connection, limit: int = WOKEN_PER_BATCH) -> int:
    """Make at most ``limit`` deferred postbacks of rules that neither pause nor probe due as before. Return the number.

    Call it again while it returns ``limit``.
    """
    free = select(postback_rules.c.id).where(
        postback_rules.c.paused_at.is_(None), postback_rules.c.probing_at.is_(None)
    )
    deferred = select(postbacks.c.postback_id).where(postbacks.c.held_from.is_not(None), postbacks.c.rule_id.in_(free))
    return tx.execute(_wake(deferred.limit(limit))).rowcount


def wake_followers(tx: Connection, postback_ids: Sequence[str]) -> int:
    """Wake deferred postbacks of the same conversion and rule as these, which are final now. Return the number."""
    return tx.execute(_WAKE_FOLLOWERS, {"ids": _write_list(postback_ids).decode()}).rowcount


def count_waiting(tx: Connection, rule_id: int, at_most: int = 1_000_000_000) -> int:
    """Return the number of waiting postbacks of a rule, due or not, counting up to ``at_most``."""
    waiting = select(postbacks.c.postback_id).where(IS_WAITING, postbacks.c.rule_id == rule_id).limit(at_most)
    return tx.scalar(select(func.count()).select_from(waiting.subquery())) or 0


def is_older_request_waiting(tx: Connection, rule_id: int) -> bool:
    """Return whether a postback is waiting that was built before the rule's request was changed."""
    changed_at = select(postback_rules.c.request_changed_at).where(postback_rules.c.id == rule_id).scalar_subquery()
    waiting = select(postbacks.c.postback_id).where(
        IS_WAITING, postbacks.c.rule_id == rule_id, postbacks.c.created_at <= changed_at
    )
    return tx.scalar(waiting.limit(1)) is not None


def paused_rules(tx: Connection) -> list[PausedRule]:
    """Return the paused rules; archived ones only while postbacks wait for them. Reads their waiting postbacks, however many."""
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
    rules = [
        PausedRule(
            rule_id=row.id,
            name=row.name,
            paused_at=row.paused_at,
            archived=row.archived_at is not None,
            waiting=waiting.get(row.id, 0),
        )
        for row in paused
    ]
    return [rule for rule in rules if rule.waiting or not rule.archived]


def _wake(which: Any) -> Update:
    return (
        update(postbacks)
        .where(postbacks.c.postback_id.in_(which))
        .values(next_attempt_at=postbacks.c.held_from, held_from=None)
    )
