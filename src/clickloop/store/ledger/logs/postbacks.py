"""Postbacks in the ledger (Conversions - Out). One statement per function; ``tx`` is an open transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, insert, not_, or_, select

from clickloop.postback.due import ConditionResult, DuePostback, SkippedPostback, SkipReason
from clickloop.postback.pause_reason import pause_reason
from clickloop.postback.postback_log import NewPostback, Postback, PostbackAttempt, PostbackFilter
from clickloop.postback.rule import PostbackRequest
from clickloop.postback.state import ENDED_UNDELIVERED, PostbackState
from clickloop.store.ledger.audit.row_checks import postback_check
from clickloop.store.ledger.logs.narrowing import Conditions, canonical, conditions_of
from clickloop.store.ledger.logs.postback_states import HAS_ENDED_BADLY, IS_UNFINISHED
from clickloop.store.ledger.schema.tables import attempts, conversions, postback_rules, postbacks, receivers

_MAX_NEWEST = 1_000
"""Maximum number of the newest postbacks searched for a delivered one, which no index finds."""
IDS_PER_QUERY = 500
"""Maximum number of ids per statement: engines limit the number of parameters."""

_write = msgspec.json.Encoder().encode
_read_request = msgspec.json.Decoder(PostbackRequest).decode
_read_findings = msgspec.json.Decoder(tuple[ConditionResult, ...]).decode


class EarlierDecision(msgspec.Struct, frozen=True):
    """The decision on a rule for an earlier change of a conversion. ``reason`` None: a postback was due."""

    conversion_id: str
    version: int
    rule_id: int
    reason: SkipReason | None


def insert_postbacks(tx: Connection, new: Sequence[NewPostback], now_ms: int) -> None:
    """Insert postbacks, due or skipped. Raise IntegrityError for a change and rule that were decided before."""
    if new:
        tx.execute(insert(postbacks), [_columns(postback, now_ms) for postback in new])


def earlier_decisions(tx: Connection, conversion_ids: Sequence[str]) -> list[EarlierDecision]:
    """Return how rules were decided for these conversions so far, by conversion and version, without resends."""
    columns = (postbacks.c.conversion_id, postbacks.c.version, postbacks.c.rule_id, postbacks.c.reason)
    found: list[EarlierDecision] = []
    for start in range(0, len(conversion_ids), IDS_PER_QUERY):
        rows = tx.execute(
            select(*columns)
            .where(
                postbacks.c.conversion_id.in_(conversion_ids[start : start + IDS_PER_QUERY]), postbacks.c.resend == 0
            )
            .order_by(postbacks.c.conversion_id, postbacks.c.version)
        )
        found += [EarlierDecision(row.conversion_id, row.version, row.rule_id, _reason(row.reason)) for row in rows]
    return found


def postbacks_before(tx: Connection, filters: PostbackFilter, before_id: str | None, limit: int) -> list[Postback]:
    """Return at most ``limit`` matching postbacks, newest first, before an id; None: from the newest."""
    table = postbacks.c
    query = _LOG.order_by(table.postback_id.desc()).limit(limit)
    query = query.where(*_conditions(tx, filters))
    if before_id is not None:
        query = query.where(table.postback_id < before_id)
    return [_postback(row) for row in tx.execute(query).mappings()]


def find_postback(tx: Connection, postback_id: str) -> Postback | None:
    """Return the postback with that id."""
    row = tx.execute(_LOG.where(postbacks.c.postback_id == postback_id)).mappings().one_or_none()
    return None if row is None else _postback(row)


def postbacks_of_click(tx: Connection, click_id: str, newest: int) -> list[Postback]:
    """Return the ``newest`` postbacks of a click's conversions, oldest first."""
    ids = select(postbacks.c.postback_id).where(postbacks.c.click_id == click_id)
    ids = ids.order_by(postbacks.c.postback_id.desc()).limit(newest)
    query = _LOG.where(postbacks.c.postback_id.in_(ids.scalar_subquery())).order_by(postbacks.c.postback_id)
    return [_postback(row) for row in tx.execute(query).mappings()]


def count_postbacks_of_click(tx: Connection, click_id: str) -> int:
    """Return the number of postbacks of a click's conversions."""
    return tx.scalar(select(func.count()).select_from(postbacks).where(postbacks.c.click_id == click_id)) or 0


def attempts_of(tx: Connection, postback_ids: Sequence[str]) -> dict[str, tuple[PostbackAttempt, ...]]:
    """Return the attempts by postback, in order, without postbacks that have none. At most ``IDS_PER_QUERY`` ids."""
    rows = tx.execute(
        select(attempts)
        .where(attempts.c.postback_id.in_(postback_ids))
        .order_by(attempts.c.postback_id, attempts.c.number)
    ).mappings()
    found: dict[str, list[PostbackAttempt]] = {}
    for row in rows:
        fields = {name: row[name] for name in PostbackAttempt.__struct_fields__}
        found.setdefault(row["postback_id"], []).append(PostbackAttempt(**fields))
    return {postback_id: tuple(made) for postback_id, made in found.items()}


def was_delivered_recently(tx: Connection) -> bool:
    """Return whether any of the ``_MAX_NEWEST`` newest postbacks was delivered."""
    newest = select(postbacks.c.state).order_by(postbacks.c.postback_id.desc()).limit(_MAX_NEWEST).subquery()
    return tx.scalar(select(newest.c.state).where(newest.c.state == "delivered").limit(1)) is not None


def latest_resend_of(tx: Connection, postback: Postback) -> Postback | None:
    """Return the latest resend of a postback for the same change and rule, if there is one."""
    table = postbacks.c
    query = _LOG.where(
        table.conversion_id == postback.conversion_id,
        table.version == postback.version,
        table.rule_id == postback.rule_id,
        table.resend > postback.resend,
    )
    row = tx.execute(query.order_by(table.resend.desc()).limit(1)).mappings().one_or_none()
    return None if row is None else _postback(row)


def count_unfinished(tx: Connection) -> int:
    """Return the number of postbacks that are waiting or being sent."""
    return tx.scalar(select(func.count()).select_from(postbacks).where(IS_UNFINISHED)) or 0


def _conditions(tx: Connection, filters: PostbackFilter) -> list[ColumnElement[bool]]:
    table = postbacks.c
    own: Conditions = {
        "click_id": canonical(table.click_id),
        "state": _is_shown_as,
        "status": lambda status: _is_of_status(tx, status),
    }
    return conditions_of(filters, table.postback_id, table.created_at, own)


def _is_of_status(tx: Connection, status: str) -> ColumnElement[bool]:
    """Return the condition that the conversion of a row has that status now.

    The conversions of a rare status are looked up first: else a page would search all postbacks for a few rows.
    """
    table = conversions.c
    # One more than fits, to see whether these are all.
    few = list(tx.scalars(select(table.conversion_id).where(table.status_key == status).limit(IDS_PER_QUERY + 1)))
    if len(few) <= IDS_PER_QUERY:
        return postbacks.c.conversion_id.in_(few)
    of_row = table.conversion_id == postbacks.c.conversion_id, table.status_key == status
    return select(table.conversion_id).where(*of_row).exists()


def _is_shown_as(state: PostbackState) -> ColumnElement[bool]:
    """Return the condition that a row of ``_LOG`` is shown in this state."""
    is_paused = or_(postback_rules.c.paused_at.is_not(None), receivers.c.opened_at.is_not(None))
    # Each includes the condition of its partial index, which SQLite would not derive from a parameter.
    if state is PostbackState.PAUSED:
        return and_(IS_UNFINISHED, postbacks.c.state == PostbackState.WAITING, is_paused)
    if state is PostbackState.WAITING:
        return and_(IS_UNFINISHED, postbacks.c.state == state, not_(is_paused))
    if state is PostbackState.SENDING:
        return and_(IS_UNFINISHED, postbacks.c.state == state)
    if state in ENDED_UNDELIVERED:
        return and_(HAS_ENDED_BADLY, postbacks.c.state == state)
    return postbacks.c.state == state


_LOG = (
    select(
        postbacks,
        postbacks.c.receiver,
        postback_rules.c.name.label("rule_name"),
        postback_rules.c.paused_at.label("rule_paused_at"),
        receivers.c.opened_at.label("receiver_paused_at"),
        attempts.c.status_code.label("last_status_code"),
        attempts.c.error.label("last_error"),
        attempts.c.answer.label("last_answer"),
        attempts.c.duration_ms.label("last_duration_ms"),
    )
    .join(postback_rules, postback_rules.c.id == postbacks.c.rule_id, isouter=True)
    .join(receivers, receivers.c.receiver == postbacks.c.receiver, isouter=True)
    .join(
        attempts,
        and_(attempts.c.postback_id == postbacks.c.postback_id, attempts.c.number == postbacks.c.attempts),
        isouter=True,
    )
)


def _columns(new: NewPostback, now_ms: int) -> dict[str, Any]:
    decision = new.decision
    due = decision if isinstance(decision, DuePostback) else None
    row = {
        "postback_id": new.postback_id,
        "conversion_id": new.conversion_id,
        "version": new.version,
        "rule_id": new.rule_id,
        "resend": new.resend,
        "original_id": new.original_id,
        "bulk_job_id": new.bulk_job_id,
        "click_id": new.click_id,
        "campaign_id": new.campaign_id,
        "source_id": new.source_id,
        "trigger": new.trigger,
        "state": PostbackState.WAITING if due else PostbackState.SKIPPED,
        "reason": decision.reason.value if isinstance(decision, SkippedPostback) else None,
        "findings": _write(decision.findings),
        "request": _write(due.request) if due else None,
        "receiver": new.receiver,
        "attempts": 0,
        "next_attempt_at": due.not_before if due else None,
        "lease_until": None,
        "lease_token": 0,
        "created_at": now_ms,
        "finished_at": None if due else now_ms,
    }
    row["row_check"] = postback_check(row)
    return row


def _postback(row: RowMapping) -> Postback:
    fields = {name: row[name] for name in Postback.__struct_fields__ if name != "hold"}
    state = PostbackState(row["state"])
    waits = state is PostbackState.WAITING
    fields["hold"] = pause_reason(row["rule_paused_at"], row["receiver_paused_at"]) if waits else None
    fields["state"] = state if fields["hold"] is None else PostbackState.PAUSED
    fields["rule_name"] = row["rule_name"] or ""
    fields["reason"] = _reason(row["reason"])
    fields["findings"] = _findings_of(row["findings"])
    fields["request"] = None if row["request"] is None else _request_of(row["request"])
    return Postback(**fields)


def _request_of(stored: bytes) -> PostbackRequest | None:
    """Return the request; None if it is damaged, so that one such row does not fail the page. The self-audit reports it."""
    try:
        return _read_request(stored)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _findings_of(stored: bytes) -> tuple[ConditionResult, ...]:
    """Return the findings; none if they are damaged."""
    try:
        return _read_findings(stored)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()


def _reason(text: str | None) -> SkipReason | None:
    return None if text is None else SkipReason(text)
