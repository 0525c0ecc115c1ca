"""Postback rules in the ledger, as set-up records. One statement per function; ``tx`` is an open transaction."""

from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, and_, func, insert, select

from clickloop.postback.rule import PostbackRule, Schedule, Trigger, rule_of_row
from clickloop.setup.record import RecordFields
from clickloop.store.ledger.schema.tables import postback_rules
from clickloop.store.ledger.setup.conditions import in_state, named_like
from clickloop.store.ledger.setup.versions import next_version, update_record


class StoredRule(RecordFields, frozen=True, kw_only=True):
    """A rule with its version and dates. ``id``: the rule's number."""

    rule: PostbackRule
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None
    paused_at: int | None = None
    """When a 410 of a receiver paused it; None if it is not paused."""
    probing_at: int | None = None
    """When it was resumed; None once its probe, the postback sent first, has an outcome."""


def postback_url_of(rule: StoredRule | None) -> str:
    """Return the postback URL in a source's first rule; empty if there is no such rule or it is archived."""
    return "" if rule is None or rule.archived_at is not None else rule.rule.request.url


def insert_rule(tx: Connection, rule: PostbackRule, now_ms: int, archived_at: int | None = None) -> int:
    """Insert a rule. Return its number."""
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


def update_rule(tx: Connection, rule: PostbackRule, version: int, now_ms: int, archived_at: int | None) -> None:
    """Update a rule at that version. Raise StaleRecordError for another one. Its source or campaign never changes.

    Store when its request was changed, because waiting postbacks were built from the previous one.
    """
    values = _columns(rule) | {"updated_at": now_ms, "archived_at": archived_at}
    if values["request"] != tx.scalar(select(postback_rules.c.request).where(postback_rules.c.id == rule.rule_id)):
        values["request_changed_at"] = now_ms
    update_record(tx, postback_rules, rule.rule_id, version, now_ms, values)


def find_stored_rule(tx: Connection, rule_id: int) -> StoredRule | None:
    """Return the rule with that number, archived or not."""
    row = tx.execute(select(postback_rules).where(postback_rules.c.id == rule_id)).mappings().one_or_none()
    return None if row is None else _of_row(row)


def first_rules_of_sources(tx: Connection, source_ids: list[int]) -> dict[int, StoredRule]:
    """Return the first rule of each source, archived or not, which holds the source's postback URL."""
    first = (
        select(func.min(postback_rules.c.id))
        .where(postback_rules.c.source_id.in_(source_ids))
        .group_by(postback_rules.c.source_id)
    )
    rows = tx.execute(select(postback_rules).where(postback_rules.c.id.in_(first))).mappings()
    return {row["source_id"]: _of_row(row) for row in rows}


def stored_rules_after(
    tx: Connection,
    after_id: int,
    limit: int,
    *,
    archived: bool = False,
    source_id: int | None = None,
    campaign_id: int | None = None,
    of_instance: bool = False,
    words: str = "",
) -> list[StoredRule]:
    """Return at most ``limit`` live or archived rules with numbers above ``after_id``, ascending.

    ``of_instance``: only rules without a source or campaign. ``words``: part of the name.
    """
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
    return [_of_row(row) for row in tx.execute(query.order_by(postback_rules.c.id).limit(limit)).mappings()]


def live_rules_for_status(tx: Connection, key: str) -> list[StoredRule]:
    """Return the live rules, on or off, whose conditions select the status. Reads all rules, of which there are few."""
    return [each for each in _live_rules(tx) if key in each.rule.conditions.statuses]


def live_alarm_rules(tx: Connection) -> list[StoredRule]:
    """Return the live rules, on or off, that are sent for alarms. Reads all rules, of which there are few."""
    return [each for each in _live_rules(tx) if each.rule.conditions.trigger is Trigger.ALARM]


def live_view_rules(tx: Connection) -> list[StoredRule]:
    """Return the live rules, on or off, that send views. Reads all rules, of which there are few."""
    return [each for each in _live_rules(tx) if each.rule.conditions.trigger is Trigger.VIEW]


def _live_rules(tx: Connection) -> list[StoredRule]:
    query = select(postback_rules).where(in_state(postback_rules, archived=False)).order_by(postback_rules.c.id)
    return [_of_row(row) for row in tx.execute(query).mappings()]


def _columns(rule: PostbackRule) -> dict[str, Any]:
    has_default_schedule = rule.schedule == Schedule()
    return {
        "name": rule.name,
        "active": rule.active,
        "request": msgspec.to_builtins(rule.request),
        "conditions": msgspec.to_builtins(rule.conditions),
        "success": msgspec.to_builtins(rule.success),
        "schedule": None if has_default_schedule else list(rule.schedule.waits_seconds),
    }


def _of_row(row: RowMapping) -> StoredRule:
    rule = rule_of_row(dict(row))
    return StoredRule(
        id=rule.rule_id,
        rule=rule,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
        version=row["version"],
        paused_at=row["paused_at"],
        probing_at=row["probing_at"],
    )
