"""Claiming: due postbacks are taken under a lease, of each lane no more than it has room for. ``tx`` is an open transaction.

However much waits, a claim reads only what it takes: it goes along the index from lane to lane, and in each from the longest due.
Lists go into a statement as one JSON text: a statement for each row would hand Python's lock to and fro between threads as often.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    update,
)

from clickloop.clock import HOUR_MS
from clickloop.postback.lanes import EVERY_ROOM, Rooms, shares
from clickloop.postback.retry import PASSING, Result, Tried
from clickloop.postback.rule import Request, Schedule, Success
from clickloop.postback.work import Claimed, Job
from clickloop.store.ledger.lanes import IS_WAITING, waiting_lanes
from clickloop.store.ledger.rules import Terms, terms_of
from clickloop.store.ledger.tables import attempts, postbacks

BEHIND_MS = 500
"""A postback whose earlier one is under way is looked at again after this."""
PAUSED_MS = HOUR_MS
"""What waits for a paused rule is looked at this often, and when the rule is resumed."""
PUT_OFF_AT_ONCE = 500
"""So much of a paused rule is put off by one claim, so that what stands behind it in its lane comes to the front."""

NO_TERMS = Terms(Success(), Schedule(), False)
"""For a rule whose row is gone: what it owed is sent all the same."""

_read_request = msgspec.json.Decoder(Request).decode
_write_list = msgspec.json.Encoder().encode
_earlier = postbacks.alias("earlier")
_behind_until = (
    select(func.max(func.coalesce(_earlier.c.next_attempt_at, 0)))
    .where(
        _earlier.c.conversion_id == postbacks.c.conversion_id,
        _earlier.c.rule_id == postbacks.c.rule_id,
        tuple_(_earlier.c.version, _earlier.c.resend) < tuple_(postbacks.c.version, postbacks.c.resend),
        _earlier.c.state.in_(("waiting", "sending")),
    )
    .scalar_subquery()
)
_lost = (
    select(func.count())
    .where(attempts.c.postback_id == postbacks.c.postback_id, attempts.c.result == Result.UNKNOWN.value)
    .scalar_subquery()
)
_rejections = (
    select(func.count())
    .where(
        attempts.c.postback_id == postbacks.c.postback_id,
        attempts.c.result == Result.AGAIN.value,
        attempts.c.status_code.between(300, 499),
        attempts.c.status_code.not_in(PASSING),
    )
    .scalar_subquery()
)
_picked = func.json_each(bindparam("lanes")).table_valued("value", name="picked")
_queued = postbacks.alias("queued")
_first_of_lane = (
    select(_queued.c.postback_id)
    .where(_queued.c.state == literal_column("'waiting'"))
    .where(_queued.c.lane == _picked.c.value, _queued.c.next_attempt_at <= bindparam("now"))
    .order_by(_queued.c.next_attempt_at, _queued.c.postback_id)
    .limit(bindparam("most"))
    .correlate(_picked)
)
_DUE = (
    select(
        postbacks.c.postback_id,
        postbacks.c.rule_id,
        postbacks.c.lane,
        postbacks.c.lease_token,
        postbacks.c.attempts,
        postbacks.c.next_attempt_at,
        postbacks.c.request,
        _behind_until.label("behind_until"),
        case((postbacks.c.attempts > 0, _lost), else_=0).label("lost"),
        case((postbacks.c.attempts > 0, _rejections), else_=0).label("rejections"),
    )
    .select_from(_picked.join(postbacks, literal_column("1")))
    .where(postbacks.c.postback_id.in_(_first_of_lane))
)
_claimed = select(func.json_each(bindparam("ids")).table_valued("value", name="claimed").c.value)
_LEASE = (
    update(postbacks)
    .where(postbacks.c.postback_id.in_(_claimed), postbacks.c.state == "waiting")
    .values(
        state="sending",
        next_attempt_at=None,
        lease_until=bindparam("until"),
        lease_token=postbacks.c.lease_token + 1,
        attempts=postbacks.c.attempts + 1,
    )
)
_BEGIN = insert(attempts).from_select(
    ["postback_id", "number", "started_at"],
    select(postbacks.c.postback_id, postbacks.c.attempts, bindparam("now", type_=BigInteger)).where(
        postbacks.c.postback_id.in_(_claimed)
    ),
)
_PUT_OFF = (
    update(postbacks)
    .where(postbacks.c.postback_id == bindparam("id"), postbacks.c.state == "waiting")
    .values(next_attempt_at=bindparam("at"))
)


def claim_due(tx: Connection, now_ms: int, limit: int, lease_ms: int, rooms: Rooms = EVERY_ROOM) -> Claimed:
    """Takes due postbacks. One behind an unfinished earlier one, or of a paused rule, is put off without an attempt."""
    waiting = waiting_lanes(tx)
    due = _in_turn([lane.lane for lane in waiting if lane.at <= now_ms], rooms.after)
    given = shares([rooms.room(lane) for lane in due], limit)
    rows = _due_rows(tx, due, given, now_ms)
    jobs = _jobs_and_put_off(tx, rows, now_ms)
    if jobs:
        _lease(tx, jobs, now_ms, lease_ms)
    taken = Counter(row.lane for row in rows)
    more = any(taken[lane] == share < rooms.room(lane) for lane, share in zip(due, given, strict=True))
    return Claimed(
        jobs=tuple(jobs),
        seen=len(rows),
        next_at=min((lane.at for lane in waiting if lane.at > now_ms), default=None),
        more=more,
        full=tuple(lane for lane in due if taken[lane] >= rooms.room(lane)),
        last=next((lane for lane, share in zip(reversed(due), reversed(given), strict=True) if share), ""),
    )


def _in_turn(names: list[str], after: str) -> list[str]:
    """The names, beginning behind the one that was served last."""
    begin = bisect_right(names, after)
    return names[begin:] + names[:begin]


def _due_rows(tx: Connection, names: Sequence[str], given: Sequence[int], now_ms: int) -> list[Row[Any]]:
    """Of each lane so many as are given to it, the longest due first."""
    by_share: dict[int, list[str]] = {}
    for name, share in zip(names, given, strict=True):
        if share:
            by_share.setdefault(share, []).append(name)
    rows: list[Row[Any]] = []
    for share, lanes in by_share.items():
        rows += tx.execute(_DUE, {"lanes": _write_list(lanes).decode(), "now": now_ms, "most": share})
    rows.sort(key=lambda row: (row.next_attempt_at, row.postback_id))
    return rows


def _jobs_and_put_off(tx: Connection, rows: Sequence[Row[Any]], now_ms: int) -> list[Job]:
    """What can be sent; the rest is put off."""
    terms = terms_of(tx, {row.rule_id for row in rows}) if rows else {}
    jobs, behind, paused = [], [], set()
    for row in rows:
        rule_terms = terms.get(row.rule_id, NO_TERMS)
        if rule_terms.paused:
            paused.add((row.lane, row.rule_id))
        elif row.behind_until is not None:
            behind.append({"id": row.postback_id, "at": max(row.behind_until, now_ms + BEHIND_MS)})
        else:
            jobs.append(_job(row, rule_terms))
    if behind:
        tx.execute(_PUT_OFF, behind)
    for lane, rule_id in paused:
        _put_off_rule(tx, lane, rule_id, now_ms)
    return jobs


def _put_off_rule(tx: Connection, lane: str, rule_id: int, now_ms: int) -> None:
    front = (
        select(postbacks.c.postback_id)
        .where(IS_WAITING, postbacks.c.lane == lane, postbacks.c.next_attempt_at <= now_ms)
        .where(postbacks.c.rule_id == rule_id)
        .order_by(postbacks.c.next_attempt_at, postbacks.c.postback_id)
        .limit(PUT_OFF_AT_ONCE)
    )
    tx.execute(update(postbacks).where(postbacks.c.postback_id.in_(front)).values(next_attempt_at=now_ms + PAUSED_MS))


def _lease(tx: Connection, jobs: Sequence[Job], now_ms: int, lease_ms: int) -> None:
    """Takes the leases, and writes the attempts before anything leaves."""
    ids = _write_list([job.postback_id for job in jobs]).decode()
    tx.execute(_LEASE, {"ids": ids, "until": now_ms + lease_ms})
    tx.execute(_BEGIN, {"ids": ids, "now": now_ms})


def _job(row: Row[Any], terms: Terms) -> Job:
    return Job(
        postback_id=row.postback_id,
        rule_id=row.rule_id,
        lane=row.lane,
        token=row.lease_token + 1,
        attempt=row.attempts + 1,
        tried=Tried(row.attempts + 1 - row.lost, row.rejections),
        request=_request_of(row.request),
        success=terms.success,
        schedule=terms.schedule,
    )


def _request_of(stored: bytes) -> Request:
    """The stored request. A damaged one becomes one that cannot be sent: it fails alone, and holds nobody else up."""
    try:
        return _read_request(stored)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Request(url="")
