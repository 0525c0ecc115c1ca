"""Statements that claim due postbacks.

However much waits, a claim reads only what it takes: it seeks in the index per receiver, and starts at the longest due.
"""

import msgspec
from sqlalchemy import (
    BigInteger,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    update,
)

from clickloop.postback.retry import TRANSIENT_CODES, Result
from clickloop.postback.state import UNFINISHED, PostbackState
from clickloop.store.ledger.logs.postback_states import IS_WAITING, in_state
from clickloop.store.ledger.schema.tables import attempts, postbacks
from clickloop.store.ledger.sqlite.json_lists import json_rows, json_values

_NEWEST_EXAMINED = 200
"""Postbacks, those due last, among which the one created last is picked as a probe: no index has that order."""

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
        attempts.c.status_code.not_in(TRANSIENT_CODES),
    )
    .scalar_subquery()
)
_picked = json_values("receivers", "picked")
_queued = postbacks.alias("queued")
_is_due = in_state(_queued.c.state, PostbackState.WAITING) & (_queued.c.next_attempt_at <= bindparam("now"))
_first_of_receiver = (
    select(_queued.c.postback_id)
    .where(_is_due, _queued.c.receiver == _picked.c.value)
    # The order of the partial index: SQLite stops after ``most`` rows instead of sorting the queue.
    .order_by(_queued.c.next_attempt_at, _queued.c.postback_id)
    .limit(bindparam("most"))
    .correlate(_picked)
)
_last_of_receiver = (
    select(_queued.c.postback_id)
    .where(_is_due, _queued.c.receiver == bindparam("receiver"))
    .order_by(_queued.c.next_attempt_at.desc(), _queued.c.postback_id.desc())
    .limit(_NEWEST_EXAMINED)
    .subquery("last_of_receiver")
)
_COLUMNS = select(
    postbacks.c.postback_id,
    postbacks.c.rule_id,
    postbacks.c.receiver,
    postbacks.c.lease_token,
    postbacks.c.attempts,
    postbacks.c.next_attempt_at,
    postbacks.c.request,
    _behind_until.label("behind_until"),
    case((postbacks.c.attempts > 0, _lost), else_=0).label("lost"),
    case((postbacks.c.attempts > 0, _rejections), else_=0).label("rejections"),
)


class Due(msgspec.Struct, frozen=True, array_like=True):
    """A due postback. ``request``: as stored, in hexadecimal, since it may be damaged."""

    postback_id: str
    rule_id: int
    receiver: str
    lease_token: int
    attempts: int
    next_attempt_at: int
    request: str
    behind_until: int | None
    lost: int
    rejections: int


read_due = msgspec.json.Decoder(list[Due]).decode
DUE = json_rows(
    # ON 1: the IN below selects the rows of each receiver, and a join needs some condition.
    _COLUMNS.select_from(_picked.join(postbacks, literal_column("1"))).where(
        postbacks.c.postback_id.in_(_first_of_receiver)
    ),
    "request",
)
NEWEST = json_rows(
    _COLUMNS.where(postbacks.c.postback_id == select(func.max(_last_of_receiver.c.postback_id)).scalar_subquery()),
    "request",
)
_claimed = select(json_values("ids", "claimed").c.value)
LEASE = (
    update(postbacks)
    .where(postbacks.c.postback_id.in_(_claimed), IS_WAITING)
    .values(
        state=PostbackState.SENDING,
        next_attempt_at=None,
        held_from=None,
        lease_until=bindparam("until"),
        # A new token fences off the previous worker: its outcome no longer counts.
        lease_token=postbacks.c.lease_token + 1,
        # Counted before it is sent: after a crash the request may have been sent, so it counts.
        attempts=postbacks.c.attempts + 1,
    )
)
BEGIN = insert(attempts).from_select(
    ["postback_id", "number", "started_at"],
    select(postbacks.c.postback_id, postbacks.c.attempts, bindparam("now", type_=BigInteger)).where(
        postbacks.c.postback_id.in_(_claimed)
    ),
)
