"""Claiming: due postbacks are taken under a lease, of each lane no more than it has room for. ``tx`` is an open transaction.

However much waits, a claim reads only what it takes: it goes along the index from lane to lane, and in each from the longest due.
Lists go into a statement, and rows come out of it, as one JSON text: a statement for each row, and each row that SQLite's driver
steps to, would hand Python's lock to and fro between threads as often.
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
from clickloop.postback.delivery.lanes import EVERY_ROOM, Rooms, shares
from clickloop.postback.delivery.work import Claimed, Job
from clickloop.postback.retry import Tried
from clickloop.postback.rule import Request, Schedule, Success
from clickloop.store.ledger.logs.postback_states import IS_WAITING
from clickloop.store.ledger.queue.holding import note_probe, put_off
from clickloop.store.ledger.queue.lanes import waiting_lanes
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.sealing import opened_bytes
from clickloop.store.ledger.schema.tables import postbacks
from clickloop.store.ledger.setup.rules import Terms, terms_of
from clickloop.store.ledger.sqlite.claiming import BEGIN, DUE, LEASE, NEWEST, Due, read_due

BEHIND_MS = 500
"""A postback whose earlier one is under way is looked at again after this at the latest: the earlier one's end wakes it."""
PAUSED_MS = HOUR_MS
"""What waits for a paused rule is looked at this often, and when the rule is resumed."""
PUT_OFF_PER_CLAIM = 500
"""Postbacks of a paused rule postponed per claim, so that those behind them in the lane come to the front."""

NO_TERMS = Terms(Success(), Schedule(), False)
"""For a rule whose row is gone: what it owed is sent all the same."""

_read_request = msgspec.json.Decoder(Request).decode
_write_list = msgspec.json.Encoder().encode
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
) -> list[Due]:
    """Return the due rows of each lane, as many as its share, the longest due first; of the ``newest`` lanes the one created last."""
    by_share: dict[int, list[str]] = {}
    rows: list[Due] = []
    for name, share in zip(names, given, strict=True):
        if share and name in newest:
            rows += read_due(tx.scalar(NEWEST, {"lane": name, "now": now_ms}) or "[]")
        elif share:
            by_share.setdefault(share, []).append(name)
    for share, lanes in by_share.items():
        asked = {"lanes": _write_list(lanes).decode(), "now": now_ms, "most": share}
        rows += read_due(tx.scalar(DUE, asked) or "[]")
    # Longest due first, over all lanes; the id makes the order the same each time.
    rows.sort(key=lambda row: (row.next_attempt_at, row.postback_id))
    return rows


def _jobs_and_put_off(tx: Connection, rows: Sequence[Due], now_ms: int) -> list[Job]:
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
        .where(IS_WAITING, postbacks.c.receiver == lane, postbacks.c.next_attempt_at <= now_ms)
        .where(postbacks.c.rule_id == rule_id, postbacks.c.postback_id.not_in(taken))
        .order_by(postbacks.c.next_attempt_at, postbacks.c.postback_id)
        .limit(PUT_OFF_PER_CLAIM)
    )
    tx.execute(put_off(update(postbacks).where(postbacks.c.postback_id.in_(front)), now_ms + PAUSED_MS))


def lease(tx: Connection, jobs: Sequence[Job], now_ms: int, lease_ms: int) -> None:
    """Take the leases, and write the attempts before anything leaves. Raise RowCountError when another worker has one of them."""
    ids = _write_list([job.postback_id for job in jobs]).decode()
    # An attempt without a lease, or a lease without an attempt, would send a postback that nobody fences or nobody records.
    expect_rows(tx.execute(LEASE, {"ids": ids, "until": now_ms + lease_ms}), len(jobs), "leases of claimed postbacks")
    expect_rows(tx.execute(BEGIN, {"ids": ids, "now": now_ms}), len(jobs), "attempts of claimed postbacks")


def _job(row: Due, terms: Terms, dialect: Dialect) -> Job:
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
