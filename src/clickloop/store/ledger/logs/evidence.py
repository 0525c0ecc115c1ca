"""Recent events as evidence for the check. One statement per function; ``tx`` is an open transaction.

``since`` is in Unix milliseconds; ids begin with their time, so that only newer rows are read.
``campaign_id`` None: of all campaigns.
"""

from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from clickloop.conversion.notice import RefusalReason
from clickloop.postback.due import SkipReason
from clickloop.postback.state import PostbackState
from clickloop.report.evidence import RefusedNotices, RuleEvidence
from clickloop.store.ledger.logs.period import id_from
from clickloop.store.ledger.logs.postback_states import HAS_ENDED_BADLY
from clickloop.store.ledger.schema.tables import attempts, conversions, notices, postbacks
from clickloop.store.period import Period

_IN_ORDER_OF_IDS = 0
"""Added to the column of GROUP BY, so that SQLite reads the newer rows by id, instead of all rows by the index of that column."""


_later = postbacks.alias("later")
_IS_RESENT = (
    select(_later.c.postback_id)
    .where(
        _later.c.conversion_id == postbacks.c.conversion_id,
        _later.c.version == postbacks.c.version,
        _later.c.rule_id == postbacks.c.rule_id,
        _later.c.resend > postbacks.c.resend,
    )
    .exists()
)
"""True for a postback that was resent: then the latest one for the same change and rule is what counts."""


def conversions_since(tx: Connection, since: int, campaign_id: int | None) -> dict[int, tuple[int, int]]:
    """Return by campaign the number of conversions registered, tests excluded, and when the last one was."""
    table = conversions.c
    query = (
        select(table.campaign_id, func.count(), func.max(table.created_at))
        .where(table.conversion_id >= _first_id(since), table.created_at >= since, table.test.is_(False))
        .group_by(table.campaign_id + _IN_ORDER_OF_IDS)
    )
    return {
        number: (count, last_at) for number, count, last_at in tx.execute(_of(query, table.campaign_id, campaign_id))
    }


def statuses_since(tx: Connection, since: int, campaign_id: int | None) -> dict[str, int]:
    """Return by current status the number of conversions registered."""
    table = conversions.c
    query = (
        select(table.status_key, func.count())
        .where(table.conversion_id >= _first_id(since), table.created_at >= since)
        .group_by(table.status_key)
    )
    return {str(key): int(count) for key, count in tx.execute(_of(query, table.campaign_id, campaign_id))}


def delivered_since(tx: Connection, since: int, campaign_id: int | None) -> dict[int, int]:
    """Return by campaign when its last postback was delivered."""
    table = postbacks.c
    query = (
        select(table.campaign_id, func.max(table.finished_at))
        .where(table.postback_id >= _first_id(since), table.state == PostbackState.DELIVERED)
        .group_by(table.campaign_id + _IN_ORDER_OF_IDS)
    )
    return {int(number): int(last_at) for number, last_at in tx.execute(_of(query, table.campaign_id, campaign_id))}


def rules_since(tx: Connection, since: int, campaign_id: int | None) -> list[RuleEvidence]:
    """Return by rule how many of its postbacks were delivered, and how many failed and were not resent."""
    table = postbacks.c
    query = (
        select(table.rule_id, table.state, func.count())
        .where(table.postback_id >= _first_id(since))
        .where(or_(table.state == PostbackState.DELIVERED, and_(table.state == PostbackState.FAILED, ~_IS_RESENT)))
        .group_by(table.rule_id + _IN_ORDER_OF_IDS, table.state)
    )
    counts: dict[int, dict[str, int]] = {}
    for rule_id, state, count in tx.execute(_of(query, table.campaign_id, campaign_id)):
        counts.setdefault(rule_id, {})[state] = count
    return [
        RuleEvidence(
            rule_id=rule_id,
            delivered=found.get(PostbackState.DELIVERED, 0),
            failed=found.get(PostbackState.FAILED, 0),
            last_error=last_error_of(tx, rule_id, since) if found.get(PostbackState.FAILED) else "",
        )
        for rule_id, found in sorted(counts.items())
    ]


def address_refused_since(tx: Connection, since: int, campaign_id: int | None) -> dict[int, int]:
    """Return by rule the number of postbacks skipped because sending to their address is not allowed."""
    table = postbacks.c
    query = (
        select(table.rule_id, func.count())
        .where(table.postback_id >= _first_id(since), table.reason == SkipReason.ADDRESS_REFUSED.value)
        .group_by(table.rule_id)
    )
    return {int(rule_id): int(count) for rule_id, count in tx.execute(_of(query, table.campaign_id, campaign_id))}


def last_error_of(tx: Connection, rule_id: int, since: int) -> str:
    """Return the error of the last attempt of a rule's newest failed postback; empty if there is none."""
    query = (
        select(attempts.c.error)
        .join(
            postbacks,
            and_(attempts.c.postback_id == postbacks.c.postback_id, attempts.c.number == postbacks.c.attempts),
        )
        .where(
            postbacks.c.rule_id == rule_id,
            postbacks.c.state == PostbackState.FAILED,
            postbacks.c.postback_id >= _first_id(since),
        )
        .order_by(postbacks.c.postback_id.desc())
        .limit(1)
    )
    return tx.scalar(query) or ""


def failed_since(tx: Connection, since: int) -> int:
    """Return how many postbacks created since then have failed and were not resent."""
    table = postbacks.c
    query = select(func.count()).where(
        HAS_ENDED_BADLY, table.state == PostbackState.FAILED, table.postback_id >= id_from(since), ~_IS_RESENT
    )
    return tx.scalar(query) or 0


def refused_since(tx: Connection, since: int, campaign_id: int | None) -> list[RefusedNotices]:
    """Return the number of refused notices by reason and network, most frequent first."""
    table = notices.c
    query = (
        select(table.reason, func.coalesce(table.network_id, 0), func.count(), func.max(table.at))
        .where(table.notice_id >= _first_id(since), table.at >= since, table.outcome == "refused")
        .group_by(table.reason, func.coalesce(table.network_id, 0))
        .order_by(func.count().desc(), table.reason)
    )
    rows = tx.execute(_of(query, table.campaign_id, campaign_id))
    return [
        RefusedNotices(reason=RefusalReason(reason), network_id=network_id, count=count, last_at=last_at)
        for reason, network_id, count, last_at in rows
    ]


def _first_id(since: int) -> str:
    return id_from(Period(since).earliest_id_at)


def _of(query: Select[Any], column: Any, campaign_id: int | None) -> Select[Any]:
    return query if campaign_id is None else query.where(column == campaign_id)
