"""Postback rules in the ledger as they are set up: one statement per function; ``tx`` is an open transaction."""

from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, and_, func, insert, select

from clickloop.postback.rule import Rule, Schedule, Trigger, rule_of_row
from clickloop.setup.record import RecordFields
from clickloop.store.ledger.schema.tables import postback_rules
from clickloop.store.ledger.setup.conditions import in_state, named_like
from clickloop.store.ledger.setup.versions import next_version, update_record


class KeptRule(RecordFields, frozen=True, kw_only=True):
    """A rule with its version and dates; ``id`` is the rule's."""

    rule: Rule
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None
    paused_at: int | None = None
    """Since when a receiver's 410 holds back what it owes."""
    probing_at: int | None = None
    """Since when one is let through first, after it was resumed; the others follow when that one is answered."""


def postback_url_of(rule: KeptRule | None) -> str:
    """The traffic source postback URL that a source's first rule holds; empty when there is none."""
    return "" if rule is None or rule.archived_at is not None else rule.rule.request.url


def insert_rule(tx: Connection, rule: Rule, now_ms: int, archived_at: int | None = None) -> int:
    """Adds a rule; answers its number."""
    result = tx.execute(
        insert(postback_rules)
        .values(
            **_columns(rule),
            source_id=rule.source_id,
            campaign_id=rule.campaign_id,
            created_at=now_ms,
            updated_at=now_ms,
            archived_at=archived_at,
            version=next_version(0, now_ms),
        )
        .returning(postback_rules.c.id)
    )
    return int(result.scalar_one())


def update_rule(tx: Connection, rule: Rule, version: int, now_ms: int, archived_at: int | None) -> None:
    """Rewrite a rule over that version. Raise StaleRecordError. Whom it belongs to never changes.

    The time at which its request was changed is stored: what waits was built before.
    """
    values = _columns(rule) | {"updated_at": now_ms, "archived_at": archived_at}
    if values["request"] != tx.scalar(select(postback_rules.c.request).where(postback_rules.c.id == rule.rule_id)):
        values["request_changed_at"] = now_ms
    update_record(tx, postback_rules, rule.rule_id, version, now_ms, values)


def find_kept_rule(tx: Connection, rule_id: int) -> KeptRule | None:
    """The rule of that number, archived or not."""
    row = tx.execute(select(postback_rules).where(postback_rules.c.id == rule_id)).mappings().one_or_none()
    return None if row is None else _kept(row)


def first_rules_of_sources(tx: Connection, source_ids: list[int]) -> dict[int, KeptRule]:
    """By source, its first rule, archived or not: the one that holds the traffic source postback URL."""
    first = (
        select(func.min(postback_rules.c.id))
        .where(postback_rules.c.source_id.in_(source_ids))
        .group_by(postback_rules.c.source_id)
    )
    rows = tx.execute(select(postback_rules).where(postback_rules.c.id.in_(first))).mappings()
    return {row["source_id"]: _kept(row) for row in rows}


def kept_rules_after(
    tx: Connection,
    after_id: int,
    limit: int,
    *,
    archived: bool = False,
    source_id: int | None = None,
    campaign_id: int | None = None,
    of_instance: bool = False,
    words: str = "",
) -> list[KeptRule]:
    """At most ``limit`` rules with higher numbers, ascending; what is given narrows: the owner, or having none, a part of the name."""
    query = select(postback_rules).where(
        and_(postback_rules.c.id > after_id, in_state(postback_rules, archived=archived))
    )
    if of_instance:
        query = query.where(and_(postback_rules.c.source_id.is_(None), postback_rules.c.campaign_id.is_(None)))
    if words:
        query = query.where(named_like(postback_rules, words))
    if source_id is not None:
        query = query.where(postback_rules.c.source_id == source_id)
    if campaign_id is not None:
        query = query.where(postback_rules.c.campaign_id == campaign_id)
    return [_kept(row) for row in tx.execute(query.order_by(postback_rules.c.id).limit(limit)).mappings()]


def live_rules_for_status(tx: Connection, key: str) -> list[KeptRule]:
    """The rules, switched on or off but not archived, whose conditions select the status. Looks at all rules: there are few."""
    query = select(postback_rules).where(in_state(postback_rules, archived=False)).order_by(postback_rules.c.id)
    kept = [_kept(row) for row in tx.execute(query).mappings()]
    return [one for one in kept if key in one.rule.conditions.statuses]


def live_alarm_rules(tx: Connection) -> list[KeptRule]:
    """Return the rules, switched on or off but not archived, that are sent for alarms. Looks at all rules: there are few."""
    query = select(postback_rules).where(in_state(postback_rules, archived=False)).order_by(postback_rules.c.id)
    kept = [_kept(row) for row in tx.execute(query).mappings()]
    return [one for one in kept if one.rule.conditions.trigger is Trigger.ALARM]


def _columns(rule: Rule) -> dict[str, Any]:
    usual = rule.schedule == Schedule()
    return {
        "name": rule.name,
        "active": rule.active,
        "request": msgspec.to_builtins(rule.request),
        "conditions": msgspec.to_builtins(rule.conditions),
        "success": msgspec.to_builtins(rule.success),
        "schedule": None if usual else list(rule.schedule.waits_seconds),
    }


def _kept(row: RowMapping) -> KeptRule:
    rule = rule_of_row(dict(row))
    return KeptRule(
        id=rule.rule_id,
        rule=rule,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
        version=row["version"],
        paused_at=row["paused_at"],
        probing_at=row["probing_at"],
    )
