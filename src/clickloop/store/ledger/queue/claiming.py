"""Claiming due postbacks under a lease, for each receiver at most as many as it has room for. ``tx`` is an open transaction.

The statements are in ``sqlite.claiming``; lists go into them, and rows come out, as JSON (see ``sqlite.json_lists``).
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import (
    Connection,
    Dialect,
    bindparam,
    select,
    update,
)

from clickloop.clock import HOUR_MS
from clickloop.machine.secret_box import SecretError
from clickloop.postback.delivery.receiver_queues import UNLIMITED_QUOTAS, Quotas, shares
from clickloop.postback.delivery.work import ClaimBatch, Job
from clickloop.postback.retry import AttemptCounts
from clickloop.postback.rule import PostbackRequest, Schedule, Success
from clickloop.store.ledger.logs.postback_states import IS_WAITING
from clickloop.store.ledger.queue.holding import deferral, record_probe
from clickloop.store.ledger.queue.receivers import waiting_receivers
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.sealing import opened_bytes
from clickloop.store.ledger.schema.tables import postbacks
from clickloop.store.ledger.setup.rules import RuleTerms, rule_terms_of
from clickloop.store.ledger.sqlite.claiming import BEGIN, DUE, LEASE, NEWEST, Due, read_due

FOLLOWER_RETRY_MS = 500
"""Longest time until a postback behind an unfinished earlier one is examined again; the end of the earlier one wakes it."""
PAUSED_RULE_RETRY_MS = HOUR_MS
"""Interval at which postbacks of a paused rule are examined again; resuming the rule wakes them at once."""
MAX_DEFERRED_PER_CLAIM = 500
"""Maximum number of postbacks of a paused rule deferred per claim, so that those behind them in the queue come to the front."""

_DEFAULT_TERMS = RuleTerms(Success(), Schedule(), False)
"""For a rule whose row is gone: its postbacks are still sent."""

_read_request = msgspec.json.Decoder(PostbackRequest).decode
_write_list = msgspec.json.Encoder().encode
_DEFER = deferral(
    update(postbacks).where(postbacks.c.postback_id == bindparam("id"), IS_WAITING),
    bindparam("at"),
)


def claim_due(tx: Connection, now_ms: int, limit: int, lease_ms: int, rooms: Quotas = UNLIMITED_QUOTAS) -> ClaimBatch:
    """Claim at most ``limit`` due postbacks. Those behind an unfinished earlier one, or of a paused rule, are deferred."""
    waiting = waiting_receivers(tx)
    due = _rotated([each.receiver for each in waiting if each.at <= now_ms], rooms.after)
    limits = shares([rooms.room(receiver) for receiver in due], limit)
    rows = _due_rows(tx, due, limits, now_ms, rooms.newest)
    jobs = _jobs_of(tx, rows, now_ms)
    if jobs:
        lease(tx, jobs, now_ms, lease_ms)
    taken = Counter(row.receiver for row in rows)
    more = any(taken[receiver] == share < rooms.room(receiver) for receiver, share in zip(due, limits, strict=True))
    return ClaimBatch(
        jobs=tuple(jobs),
        seen=len(rows),
        next_at=min((each.at for each in waiting if each.at > now_ms), default=None),
        more=more,
        full=tuple(receiver for receiver in due if taken[receiver] >= rooms.room(receiver)),
        last=next((receiver for receiver, share in zip(reversed(due), reversed(limits), strict=True) if share), ""),
    )


def _rotated(names: list[str], after: str) -> list[str]:
    """Return the sorted names, starting after the one that was served last."""
    begin = bisect_right(names, after)
    return names[begin:] + names[:begin]


def _due_rows(
    tx: Connection, names: Sequence[str], limits: Sequence[int], now_ms: int, newest: Collection[str]
) -> list[Due]:
    """Return the due postbacks, longest due first: of each receiver up to its limit, of ``newest`` ones the one created last."""
    by_share: dict[int, list[str]] = {}
    rows: list[Due] = []
    for name, share in zip(names, limits, strict=True):
        if share and name in newest:
            rows += read_due(tx.scalar(NEWEST, {"receiver": name, "now": now_ms}) or "[]")
        elif share:
            by_share.setdefault(share, []).append(name)
    # One statement per limit, not per receiver.
    for share, receivers in by_share.items():
        parameters = {"receivers": _write_list(receivers).decode(), "now": now_ms, "most": share}
        rows += read_due(tx.scalar(DUE, parameters) or "[]")
    # Longest due first, over all receivers; the id makes the order deterministic.
    rows.sort(key=lambda row: (row.next_attempt_at, row.postback_id))
    return rows


def _jobs_of(tx: Connection, rows: Sequence[Due], now_ms: int) -> list[Job]:
    """Return what can be sent, and defer the rest. A resumed rule sends one postback, its probe, until that has an outcome."""
    terms = rule_terms_of(tx, {row.rule_id for row in rows}) if rows else {}
    blocked = {number for number, known in terms.items() if known.paused or known.probe_under_way}
    jobs, deferred, blocked_here = [], [], set()
    for row in rows:
        rule_terms = terms.get(row.rule_id, _DEFAULT_TERMS)
        if row.rule_id in blocked:
            deferred.append({"id": row.postback_id, "at": now_ms + PAUSED_RULE_RETRY_MS})
            blocked_here.add((row.receiver, row.rule_id))
        elif row.behind_until is not None:
            deferred.append({"id": row.postback_id, "at": max(row.behind_until, now_ms + FOLLOWER_RETRY_MS)})
        else:
            jobs.append(_job(row, rule_terms, tx.dialect))
            if rule_terms.probing:
                record_probe(tx, row.rule_id, row.postback_id)
                blocked.add(row.rule_id)
    if deferred:
        expect_rows(tx.execute(_DEFER, deferred), len(deferred), "deferred postbacks")
    for receiver, rule_id in blocked_here:
        _defer_rule(tx, receiver, rule_id, now_ms, {job.postback_id for job in jobs})
    return jobs


def _defer_rule(tx: Connection, receiver: str, rule_id: int, now_ms: int, taken: Collection[str]) -> None:
    """Defer further due postbacks of a rule, which would fill the next claims of that receiver."""
    front = (
        select(postbacks.c.postback_id)
        .where(IS_WAITING, postbacks.c.receiver == receiver, postbacks.c.next_attempt_at <= now_ms)
        .where(postbacks.c.rule_id == rule_id, postbacks.c.postback_id.not_in(taken))
        .order_by(postbacks.c.next_attempt_at, postbacks.c.postback_id)
        .limit(MAX_DEFERRED_PER_CLAIM)
    )
    tx.execute(deferral(update(postbacks).where(postbacks.c.postback_id.in_(front)), now_ms + PAUSED_RULE_RETRY_MS))


def lease(tx: Connection, jobs: Sequence[Job], now_ms: int, lease_ms: int) -> None:
    """Take the leases and write the attempts, before anything is sent. Raise RowCountError if another worker has one of them."""
    ids = _write_list([job.postback_id for job in jobs]).decode()
    # A lease without an attempt would send something unrecorded; an attempt without a lease could be sent twice.
    expect_rows(tx.execute(LEASE, {"ids": ids, "until": now_ms + lease_ms}), len(jobs), "leases of claimed postbacks")
    expect_rows(tx.execute(BEGIN, {"ids": ids, "now": now_ms}), len(jobs), "attempts of claimed postbacks")


def _job(row: Due, terms: RuleTerms, dialect: Dialect) -> Job:
    return Job(
        postback_id=row.postback_id,
        rule_id=row.rule_id,
        receiver=row.receiver,
        token=row.lease_token + 1,
        attempt=row.attempts + 1,
        tried=AttemptCounts(row.attempts + 1 - row.lost, row.rejections),
        request=_request_of(row.request, dialect),
        success=terms.success,
        schedule=terms.schedule,
        probes_rule=terms.probing,
    )


def _request_of(stored: str, dialect: Dialect) -> PostbackRequest:
    """Return the stored request from its hexadecimal digits. A damaged one becomes one without a URL, so that it fails alone."""
    try:
        return _read_request(opened_bytes(dialect, bytes.fromhex(stored)))
    except (msgspec.DecodeError, UnicodeDecodeError, SecretError):
        return PostbackRequest(url="")
