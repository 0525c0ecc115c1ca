"""Statements for resending and cancelling postbacks. One statement per function; ``tx`` is an open transaction."""

import enum
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, tuple_, update

from clickloop.postback.due import SkipReason
from clickloop.postback.postback_log import PostbackFilter
from clickloop.postback.state import FINAL, SENT_OR_PENDING, PostbackState
from clickloop.store.ledger.logs.narrowing import Conditions, canonical, conditions_of
from clickloop.store.ledger.logs.postback_states import IS_WAITING
from clickloop.store.ledger.queue.holding import wake_followers
from clickloop.store.ledger.schema.tables import conversions, postback_rules, postbacks, receivers


class LatestPostback(msgspec.Struct, frozen=True, kw_only=True):
    """The latest postback for a change and rule, which a resend repeats. ``request``: as stored; None if it was skipped."""

    postback_id: str
    conversion_id: str
    version: int
    rule_id: int
    resend: int
    original_id: str
    """Its own id if it is the original."""
    click_id: str
    campaign_id: int
    source_id: int
    state: PostbackState
    reason: SkipReason | None
    findings: bytes
    request: bytes | None
    receiver: str
    attempts: int
    next_attempt_at: int | None
    held_from: int | None
    """When it was due, if it is deferred."""


class StateScope(enum.Enum):
    """The postbacks that a filter without a state selects."""

    FINAL = enum.auto()
    """Final postbacks, of each change and rule the latest one."""
    WAITING = enum.auto()
    """Waiting postbacks, paused or not."""


_later = postbacks.alias("later")
_COLUMNS = [postbacks.c[name] for name in LatestPostback.__struct_fields__ if name != "original_id"]
_ORIGINAL = func.coalesce(postbacks.c.original_id, postbacks.c.postback_id).label("original_id")


def find_latest_postback(tx: Connection, postback_id: str) -> LatestPostback | None:
    """Return the latest postback for the change and rule of this one; None if this one does not exist."""
    requested = postbacks.alias("requested")
    query = (
        select(*_COLUMNS, _ORIGINAL)
        .join(
            requested,
            and_(
                requested.c.conversion_id == postbacks.c.conversion_id,
                requested.c.version == postbacks.c.version,
                requested.c.rule_id == postbacks.c.rule_id,
            ),
        )
        .where(requested.c.postback_id == postback_id)
        .order_by(postbacks.c.resend.desc())
        .limit(1)
    )
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else _sent(row)


def matching_after(
    tx: Connection,
    filters: PostbackFilter,
    pool: StateScope,
    after_id: str,
    last_id: str,
    limit: int,
    ended_until: int | None = None,
) -> list[LatestPostback]:
    """Return at most ``limit`` matching postbacks with ids above ``after_id`` and up to ``last_id``, ascending.

    ``ended_until``: of final ones, only those that had ended by that moment.
    """
    query = _matching(select(*_COLUMNS, _ORIGINAL), filters, pool).where(
        postbacks.c.postback_id > after_id, postbacks.c.postback_id <= last_id
    )
    if ended_until is not None:
        query = query.where(or_(postbacks.c.finished_at.is_(None), postbacks.c.finished_at <= ended_until))
    rows = tx.execute(query.order_by(postbacks.c.postback_id).limit(limit)).mappings()
    return [_sent(row) for row in rows]


def count_matching(tx: Connection, filters: PostbackFilter, pool: StateScope) -> dict[PostbackState, int]:
    """Return the number of matching postbacks by state."""
    query = _matching(select(postbacks.c.state, func.count().label("matched")), filters, pool).group_by(
        postbacks.c.state
    )
    return {filters.state or PostbackState(row.state): row.matched for row in tx.execute(query)}


def newest_end(tx: Connection, filters: PostbackFilter, pool: StateScope) -> int:
    """Return when the last of the matching postbacks ended, in Unix milliseconds; 0: none has."""
    return tx.scalar(_matching(select(func.max(postbacks.c.finished_at)), filters, pool)) or 0


def time_span_of_matching(tx: Connection, filters: PostbackFilter, pool: StateScope) -> tuple[int, int] | None:
    """Return when the first and the last matching postback were created; None if none matches."""
    created_at = postbacks.c.created_at
    first, last = tx.execute(_matching(select(func.min(created_at), func.max(created_at)), filters, pool)).one()
    return None if first is None else (first, last)


def count_superseded(tx: Connection, filters: PostbackFilter) -> int:
    """Return the number of matching postbacks with a newer change of their conversion waiting, being sent or delivered."""
    newer = (
        select(_later.c.postback_id)
        .where(_later.c.conversion_id == postbacks.c.conversion_id, _later.c.rule_id == postbacks.c.rule_id)
        .where(_later.c.version > postbacks.c.version, _later.c.state.in_(SENT_OR_PENDING))
    )
    return tx.scalar(_matching(select(func.count()), filters, StateScope.FINAL).where(newer.exists())) or 0


def newest_on_the_way(tx: Connection, conversion_ids: Collection[str]) -> dict[tuple[str, int], int]:
    """Return by conversion and rule the newest version with a postback that is waiting, being sent or delivered."""
    key = (postbacks.c.conversion_id, postbacks.c.rule_id)
    query = (
        select(*key, func.max(postbacks.c.version))
        .where(postbacks.c.conversion_id.in_(conversion_ids), postbacks.c.state.in_(SENT_OR_PENDING))
        .group_by(*key)
    )
    return {(conversion_id, rule_id): version for conversion_id, rule_id, version in tx.execute(query)}


def newest_postback(tx: Connection) -> str:
    """Return the id of the newest postback; empty if there is none."""
    newest: str | None = tx.scalar(select(func.max(postbacks.c.postback_id)))
    return newest or ""


def attempts_made(tx: Connection, originals: Collection[tuple[str, int, int]]) -> dict[tuple[str, int, int], int]:
    """Return the number of attempts by conversion, version and rule, resends included."""
    key = (postbacks.c.conversion_id, postbacks.c.version, postbacks.c.rule_id)
    query = select(*key, func.sum(postbacks.c.attempts)).where(tuple_(*key).in_(list(originals))).group_by(*key)
    return {(conversion_id, version, rule_id): int(made) for conversion_id, version, rule_id, made in tx.execute(query)}


def cancel_waiting(tx: Connection, postback_id: str, now_ms: int) -> bool:
    """Cancel a waiting postback. Return False if it is not waiting."""
    return cancel_all(tx, [postback_id], now_ms) > 0


def cancel_all(tx: Connection, postback_ids: Sequence[str], now_ms: int) -> int:
    """Cancel the postbacks that wait, and wake the next ones in order. Return the number cancelled."""
    cancelled = replace_all(tx, postback_ids, now_ms)
    wake_followers(tx, postback_ids)
    return cancelled


def replace_all(tx: Connection, postback_ids: Sequence[str], now_ms: int) -> int:
    """Cancel those postbacks that wait, to be replaced in this transaction. Return the number cancelled."""
    waiting = update(postbacks).where(postbacks.c.postback_id.in_(postback_ids), IS_WAITING)
    ended = {"state": PostbackState.CANCELLED, "next_attempt_at": None, "held_from": None, "finished_at": now_ms}
    return tx.execute(waiting.values(**ended)).rowcount


def _matching(query: Select[Any], filters: PostbackFilter, pool: StateScope) -> Select[Any]:
    table = postbacks.c
    if filters.status is not None:
        query = query.join(conversions, conversions.c.conversion_id == table.conversion_id)
    own: Conditions = {
        "click_id": canonical(table.click_id),
        "state": _is_in_state,
        "status": lambda status: conversions.c.status_key == status,
    }
    if filters.state is None:
        query = query.where(IS_WAITING if pool is StateScope.WAITING else and_(_IS_LATEST, table.state.in_(FINAL)))
    return query.where(*conditions_of(filters, table.postback_id, table.created_at, own))


def _is_in_state(state: PostbackState) -> ColumnElement[bool]:
    if state is PostbackState.PAUSED:
        return and_(IS_WAITING, _IS_PAUSED)
    if state is PostbackState.WAITING:
        return and_(IS_WAITING, ~_IS_PAUSED)
    return and_(_IS_LATEST, postbacks.c.state == state)


_IS_LATEST = ~(
    select(_later.c.postback_id)
    .where(
        _later.c.conversion_id == postbacks.c.conversion_id,
        _later.c.version == postbacks.c.version,
        _later.c.rule_id == postbacks.c.rule_id,
        _later.c.resend > postbacks.c.resend,
    )
    .exists()
)
_IS_PAUSED = or_(
    select(postback_rules.c.id)
    .where(postback_rules.c.id == postbacks.c.rule_id, postback_rules.c.paused_at.is_not(None))
    .exists(),
    select(receivers.c.receiver)
    .where(receivers.c.receiver == postbacks.c.receiver, receivers.c.opened_at.is_not(None))
    .exists(),
)


def _sent(row: Any) -> LatestPostback:
    fields = {name: row[name] for name in LatestPostback.__struct_fields__}
    fields["state"] = PostbackState(row["state"])
    fields["reason"] = None if row["reason"] is None else SkipReason(row["reason"])
    return LatestPostback(**fields)
