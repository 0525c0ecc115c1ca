"""Claiming: due postbacks are taken under a lease, of each lane no more than it has room for. ``tx`` is an open transaction.

However much waits, a claim reads only what it takes: it goes along the index from lane to lane, and in each from the longest due.
Lists go into a statement, and rows come out of it, as one JSON text: a statement for each row, and each row that SQLite's driver
steps to, would hand Python's lock to and fro between threads as often.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Dialect,
    Select,
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
from clickloop.postback.state import UNFINISHED, PostbackState
from clickloop.postback.work import Claimed, Job
from clickloop.secret_box import SecretError
from clickloop.store.ledger.holding import note_probe, put_off
from clickloop.store.ledger.lanes import waiting_lanes
from clickloop.store.ledger.postback_states import IS_WAITING, in_state
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.rules import Terms, terms_of
from clickloop.store.ledger.sealing import opened_bytes
from clickloop.store.ledger.tables import attempts, postbacks

BEHIND_MS = 500
"""A postback whose earlier one is under way is looked at again after this at the latest: the earlier one's end wakes it."""
PAUSED_MS = HOUR_MS
"""What waits for a paused rule is looked at this often, and when the rule is resumed."""
NEWEST_LOOKED_AT = 200
"""Postbacks, the last ones due, among which a probe of the newest finds the one created last: no index has that order."""
PUT_OFF_PER_CLAIM = 500
"""Postbacks of a paused rule postponed per claim, so that those behind them in the lane come to the front."""

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
        _earlier.c.state.in_(UNFINISHED),
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
_is_due = in_state(_queued.c.state, PostbackState.WAITING) & (_queued.c.next_attempt_at <= bindparam("now"))
_first_of_lane = (
    select(_queued.c.postback_id)
    .where(_is_due, _queued.c.lane == _picked.c.value)
    # The order of the partial index: SQLite stops after ``most`` rows instead of sorting the lane.
    .order_by(_queued.c.next_attempt_at, _queued.c.postback_id)
    .limit(bindparam("most"))
    .correlate(_picked)
)
_last_of_lane = (
    select(_queued.c.postback_id)
    .where(_is_due, _queued.c.lane == bindparam("lane"))
    .order_by(_queued.c.next_attempt_at.desc(), _queued.c.postback_id.desc())
    .limit(NEWEST_LOOKED_AT)
    .subquery("last_of_lane")
)
_COLUMNS = select(
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


class _Due(msgspec.Struct, frozen=True, array_like=True):
    """A row that is due. ``request``: as stored, in hexadecimal digits, for it may be damaged."""

    postback_id: str
    rule_id: int
    lane: str
    lease_token: int
    attempts: int
    next_attempt_at: int
    request: str
    behind_until: int | None
    lost: int
    rejections: int


def _as_json(query: Select[Any]) -> Select[Any]:
    """The rows of a query as one JSON text of ``_Due``."""
    found = query.subquery("found")
    # JSON of SQLite takes no blobs, and one text is decoded faster than many rows.
    columns = [func.hex(column) if column.name == "request" else column for column in found.c]
    return select(func.json_group_array(func.json_array(*columns)))


_read_due = msgspec.json.Decoder(list[_Due]).decode
_DUE = _as_json(
    # ON 1: the IN below says which rows belong to a lane, and a join needs some condition.
    _COLUMNS.select_from(_picked.join(postbacks, literal_column("1"))).where(
        postbacks.c.postback_id.in_(_first_of_lane)
    )
)
_NEWEST = _as_json(
    _COLUMNS.where(postbacks.c.postback_id == select(func.max(_last_of_lane.c.postback_id)).scalar_subquery())
)
_claimed = select(func.json_each(bindparam("ids")).table_valued("value", name="claimed").c.value)
_LEASE = (
    update(postbacks)
    .where(postbacks.c.postback_id.in_(_claimed), IS_WAITING)
    .values(
        state=PostbackState.SENDING,
        next_attempt_at=None,
        held_from=None,
        lease_until=bindparam("until"),
        # A new token fences off whoever held the lease before: its outcome no longer counts.
        lease_token=postbacks.c.lease_token + 1,
        # Counted before it leaves: after a crash an attempt may have been made, so it counts.
        attempts=postbacks.c.attempts + 1,
    )
)
_BEGIN = insert(attempts).from_select(
    ["postback_id", "number", "started_at"],
    select(postbacks.c.postback_id, postbacks.c.attempts, bindparam("now", type_=BigInteger)).where(
        postbacks.c.postback_id.in_(_claimed)
    ),
)
_PUT_OFF = put_off(
    update(postbacks).where(postbacks.c.postback_id == bindparam("id"), IS_WAITING),
    bindparam("at"),
)


def claim_due(tx: Connection, now_ms: int, limit: int, lease_ms: int, rooms: Rooms = EVERY_ROOM) -> Claimed:
    """Takes due postbacks. One behind an unfinished earlier one, or of a paused rule, is put off without an attempt."""
    waiting = waiting_lanes(tx)
    due = _in_turn([lane.lane for lane in waiting if lane.at <= now_ms], rooms.after)
    given = shares([rooms.room(lane) for lane in due], limit)
    rows = _due_rows(tx, due, given, now_ms, rooms.newest)
    jobs = _jobs_and_put_off(tx, rows, now_ms)
    if jobs:
        lease(tx, jobs, now_ms, lease_ms)
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


def _due_rows(
    tx: Connection, names: Sequence[str], given: Sequence[int], now_ms: int, newest: Collection[str]
) -> list[_Due]:
    """Of each lane so many as are given to it, the longest due first; of the ``newest`` lanes the one that was made last."""
    by_share: dict[int, list[str]] = {}
    rows: list[_Due] = []
    for name, share in zip(names, given, strict=True):
        if share and name in newest:
            rows += _read_due(tx.scalar(_NEWEST, {"lane": name, "now": now_ms}) or "[]")
        elif share:
            by_share.setdefault(share, []).append(name)
    for share, lanes in by_share.items():
        asked = {"lanes": _write_list(lanes).decode(), "now": now_ms, "most": share}
        rows += _read_due(tx.scalar(_DUE, asked) or "[]")
    # Longest due first, over all lanes; the id makes the order the same each time.
    rows.sort(key=lambda row: (row.next_attempt_at, row.postback_id))
    return rows


def _jobs_and_put_off(tx: Connection, rows: Sequence[_Due], now_ms: int) -> list[Job]:
    """What can be sent; the rest is put off. Of a rule that was resumed only one is sent until that one is answered."""
    terms = terms_of(tx, {row.rule_id for row in rows}) if rows else {}
    held = {number for number, known in terms.items() if known.paused or known.probe_under_way}
    jobs, later, paused = [], [], set()
    for row in rows:
        rule_terms = terms.get(row.rule_id, NO_TERMS)
        if row.rule_id in held:
            later.append({"id": row.postback_id, "at": now_ms + PAUSED_MS})
            paused.add((row.lane, row.rule_id))
        elif row.behind_until is not None:
            later.append({"id": row.postback_id, "at": max(row.behind_until, now_ms + BEHIND_MS)})
        else:
            jobs.append(_job(row, rule_terms, tx.dialect))
            if rule_terms.probing:
                note_probe(tx, row.rule_id, row.postback_id)
                held.add(row.rule_id)
    if later:
        expect_rows(tx.execute(_PUT_OFF, later), len(later), "postbacks put off")
    for lane, rule_id in paused:
        _put_off_rule(tx, lane, rule_id, now_ms, {job.postback_id for job in jobs})
    return jobs


def _put_off_rule(tx: Connection, lane: str, rule_id: int, now_ms: int, taken: Collection[str]) -> None:
    front = (
        select(postbacks.c.postback_id)
        .where(IS_WAITING, postbacks.c.lane == lane, postbacks.c.next_attempt_at <= now_ms)
        .where(postbacks.c.rule_id == rule_id, postbacks.c.postback_id.not_in(taken))
        .order_by(postbacks.c.next_attempt_at, postbacks.c.postback_id)
        .limit(PUT_OFF_PER_CLAIM)
    )
    tx.execute(put_off(update(postbacks).where(postbacks.c.postback_id.in_(front)), now_ms + PAUSED_MS))


def lease(tx: Connection, jobs: Sequence[Job], now_ms: int, lease_ms: int) -> None:
    """Take the leases, and write the attempts before anything leaves. Raise RowCountError when another worker has one of them."""
    ids = _write_list([job.postback_id for job in jobs]).decode()
    # An attempt without a lease, or a lease without an attempt, would send a postback that nobody fences or nobody records.
    expect_rows(tx.execute(_LEASE, {"ids": ids, "until": now_ms + lease_ms}), len(jobs), "leases of claimed postbacks")
    expect_rows(tx.execute(_BEGIN, {"ids": ids, "now": now_ms}), len(jobs), "attempts of claimed postbacks")


def _job(row: _Due, terms: Terms, dialect: Dialect) -> Job:
    return Job(
        postback_id=row.postback_id,
        rule_id=row.rule_id,
        lane=row.lane,
        token=row.lease_token + 1,
        attempt=row.attempts + 1,
        tried=Tried(row.attempts + 1 - row.lost, row.rejections),
        request=_request_of(row.request, dialect),
        success=terms.success,
        schedule=terms.schedule,
        probes_rule=terms.probing,
    )


def _request_of(stored: str, dialect: Dialect) -> Request:
    """The stored request, given in hexadecimal digits. A damaged one becomes one that cannot be sent: it fails alone."""
    try:
        return _read_request(opened_bytes(dialect, bytes.fromhex(stored)))
    except (msgspec.DecodeError, UnicodeDecodeError, SecretError):
        return Request(url="")
