"""Postbacks at work: claiming under a lease, writing outcomes, rescuing. What ``postback.delivery`` asks of its store.

Statements are made once, so that the driver prepares them once; each moves many rows with one call.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, tuple_, update

from clickloop.clock import HOUR_MS
from clickloop.postback.retry import PASSING, Result, Tried
from clickloop.postback.rule import Request, Schedule, Success
from clickloop.postback.work import Claimed, Ended, Job
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.rules import Terms, pause_rule, terms_of
from clickloop.store.ledger.tables import attempts, postbacks

BEHIND_MS = 500
"""A postback whose earlier one is under way is looked at again after this."""
PAUSED_MS = HOUR_MS
"""What waits for a paused rule is looked at this often, and when the rule is resumed."""
ANSWER_BYTES = 1_000
"""So much of an answer's body is kept."""
LOST = "Clickloop stopped before the outcome was written: the receiver may or may not have got it."

NO_TERMS = Terms(Success(), Schedule(), False)
"""For a rule whose row is gone: what it owed is sent all the same."""

_read_request = msgspec.json.Decoder(Request).decode
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
_DUE = (
    select(
        postbacks.c.postback_id,
        postbacks.c.rule_id,
        postbacks.c.lease_token,
        postbacks.c.attempts,
        postbacks.c.request,
        _behind_until.label("behind_until"),
        case((postbacks.c.attempts > 0, _lost), else_=0).label("lost"),
        case((postbacks.c.attempts > 0, _rejections), else_=0).label("rejections"),
    )
    .where(postbacks.c.state == bindparam("waiting", "waiting", literal_execute=True))
    .where(postbacks.c.next_attempt_at <= bindparam("now"))
    .order_by(postbacks.c.next_attempt_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=postbacks)
)
_NEXT = select(func.min(postbacks.c.next_attempt_at)).where(
    postbacks.c.state == bindparam("waiting", "waiting", literal_execute=True)
)
_LEASE = (
    update(postbacks)
    .where(postbacks.c.postback_id == bindparam("id"), postbacks.c.state == "waiting")
    .values(
        state="sending",
        next_attempt_at=None,
        lease_until=bindparam("until"),
        lease_token=bindparam("token"),
        attempts=bindparam("attempt"),
    )
)
_BEGIN = insert(attempts)
_PUT_OFF = (
    update(postbacks)
    .where(postbacks.c.postback_id == bindparam("id"), postbacks.c.state == "waiting")
    .values(next_attempt_at=bindparam("at"))
)
_END_ATTEMPT = (
    update(attempts)
    .where(
        attempts.c.postback_id == bindparam("id"),
        attempts.c.number == bindparam("attempt"),
        attempts.c.result.is_(None),
    )
    .values(
        finished_at=bindparam("at"),
        result=bindparam("outcome"),
        status_code=bindparam("code"),
        answer=bindparam("body"),
        error=bindparam("why"),
        duration_ms=bindparam("took"),
    )
)
_END = (
    update(postbacks)
    .where(
        postbacks.c.postback_id == bindparam("id"),
        postbacks.c.lease_token == bindparam("token"),
        postbacks.c.state == "sending",
    )
    .values(
        state=bindparam("next_state"),
        next_attempt_at=bindparam("again_at"),
        finished_at=bindparam("final_at"),
        lease_until=None,
    )
)
_FORGET_ATTEMPT = delete(attempts).where(
    attempts.c.postback_id == bindparam("id"), attempts.c.number == bindparam("attempt"), attempts.c.result.is_(None)
)
_GIVE_BACK = (
    update(postbacks)
    .where(
        postbacks.c.postback_id == bindparam("id"),
        postbacks.c.lease_token == bindparam("token"),
        postbacks.c.state == "sending",
    )
    .values(state="waiting", next_attempt_at=bindparam("at"), lease_until=None, attempts=postbacks.c.attempts - 1)
)
_STATES = {Result.DELIVERED: "delivered", Result.AGAIN: "waiting", Result.FAILED: "failed"}


class LedgerPostbacks:
    """The ledger as the store of a ``postback.delivery.Delivery``. Each call is one transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def claim(self, now_ms: int, limit: int, lease_ms: int) -> Claimed:
        """Takes at most ``limit`` due postbacks, and writes the attempt of each, to be sent when this has returned."""
        with self._ledger.write() as tx:
            return claim_due(tx, now_ms, limit, lease_ms)

    def record(self, ended: Sequence[Ended]) -> None:
        """Writes outcomes."""
        with self._ledger.write() as tx:
            end_attempts(tx, ended)

    def release(self, jobs: Sequence[Job], now_ms: int) -> None:
        """Gives back what was claimed and not sent."""
        with self._ledger.write() as tx:
            give_back(tx, jobs, now_ms)

    def rescue(self, now_ms: int, everything: bool = False) -> int:
        """Puts what outlived its lease, or all that is under one, back to waiting."""
        with self._ledger.write() as tx:
            lose_attempts(tx, now_ms, everything)
            return take_back_leases(tx, now_ms, everything)

    def follow_clock(self, jump_ms: int) -> None:
        """Moves leases, and after a jump back also what waits."""
        with self._ledger.write() as tx:
            move_leases(tx, jump_ms)
            if jump_ms < 0:
                move_waiting(tx, jump_ms)

    def latest_moment(self) -> int | None:
        """When the newest postback was created."""
        with self._ledger.read() as tx:
            return latest_created_at(tx)


def claim_due(tx: Connection, now_ms: int, limit: int, lease_ms: int) -> Claimed:
    """Takes due postbacks. One behind an unfinished earlier one, or of a paused rule, is put off without an attempt."""
    due = tx.execute(_DUE, {"now": now_ms, "most": limit}).all()
    terms = terms_of(tx, {row.rule_id for row in due}) if due else {}
    jobs, put_off = [], []
    for row in due:
        if row.behind_until is not None:
            put_off.append({"id": row.postback_id, "at": max(row.behind_until, now_ms + BEHIND_MS)})
        elif terms.get(row.rule_id, NO_TERMS).paused:
            put_off.append({"id": row.postback_id, "at": now_ms + PAUSED_MS})
        else:
            tried = Tried(row.attempts + 1 - row.lost, row.rejections)
            rule_terms = terms.get(row.rule_id, NO_TERMS)
            jobs.append(
                _job(row.postback_id, row.rule_id, row.lease_token, row.attempts, tried, row.request, rule_terms)
            )
    if put_off:
        tx.execute(_PUT_OFF, put_off)
    if jobs:
        until = now_ms + lease_ms
        tx.execute(
            _LEASE,
            [{"id": job.postback_id, "until": until, "token": job.token, "attempt": job.attempt} for job in jobs],
        )
        tx.execute(
            _BEGIN, [{"postback_id": job.postback_id, "number": job.attempt, "started_at": now_ms} for job in jobs]
        )
    next_at = tx.scalar(_NEXT) if len(due) < limit else None
    return Claimed(tuple(jobs), len(due), next_at)


def _job(
    postback_id: str, rule_id: int, token: int, attempts_before: int, tried: Tried, request: bytes, terms: Terms
) -> Job:
    return Job(
        postback_id=postback_id,
        rule_id=rule_id,
        token=token + 1,
        attempt=attempts_before + 1,
        tried=tried,
        request=_request_of(request),
        success=terms.success,
        schedule=terms.schedule,
    )


def _request_of(stored: bytes) -> Request:
    """The stored request. A damaged one becomes one that cannot be sent: it fails alone, and holds nobody else up."""
    try:
        return _read_request(stored)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Request(url="")


def end_attempts(tx: Connection, ended: Sequence[Ended]) -> None:
    """Writes what became of attempts and of their postbacks. One whose lease was taken over touches nothing."""
    tx.execute(
        _END_ATTEMPT,
        [
            {
                "id": end.job.postback_id,
                "attempt": end.job.attempt,
                "at": end.at,
                "outcome": end.result.value,
                "code": end.outcome.status_code,
                "body": end.outcome.answer[:ANSWER_BYTES],
                "why": end.error or None,
                "took": end.outcome.duration_ms,
            }
            for end in ended
        ],
    )
    tx.execute(
        _END,
        [
            {
                "id": end.job.postback_id,
                "token": end.job.token,
                "next_state": _STATES[end.result],
                "again_at": end.again_at,
                "final_at": end.at if end.again_at is None else None,
            }
            for end in ended
        ],
    )
    for rule_id in {end.job.rule_id for end in ended if end.pauses_rule}:
        pause_rule(tx, rule_id, max(end.at for end in ended))


def give_back(tx: Connection, jobs: Sequence[Job], now_ms: int) -> None:
    """Puts claimed postbacks that were not sent back to waiting, due at once, and takes their attempts out again."""
    tx.execute(_FORGET_ATTEMPT, [{"id": job.postback_id, "attempt": job.attempt} for job in jobs])
    tx.execute(_GIVE_BACK, [{"id": job.postback_id, "token": job.token, "at": now_ms} for job in jobs])


def lose_attempts(tx: Connection, now_ms: int, everything: bool) -> None:
    """Marks the attempts under expired leases (or all) as unknown."""
    stuck = select(postbacks.c.postback_id).where(postbacks.c.state == "sending")
    if not everything:
        stuck = stuck.where(postbacks.c.lease_until <= now_ms)
    tx.execute(
        update(attempts)
        .where(attempts.c.postback_id.in_(stuck), attempts.c.result.is_(None))
        .values(result=Result.UNKNOWN.value, finished_at=now_ms, error=LOST)
    )


def take_back_leases(tx: Connection, now_ms: int, everything: bool) -> int:
    """Puts postbacks under expired leases (or all) back to waiting, due at once; answers how many."""
    rescued = update(postbacks).where(postbacks.c.state == "sending")
    if not everything:
        rescued = rescued.where(postbacks.c.lease_until <= now_ms)
    return tx.execute(rescued.values(state="waiting", next_attempt_at=now_ms, lease_until=None)).rowcount


def move_leases(tx: Connection, by_ms: int) -> None:
    """Moves the end of every lease."""
    tx.execute(
        update(postbacks).where(postbacks.c.state == "sending").values(lease_until=postbacks.c.lease_until + by_ms)
    )


def move_waiting(tx: Connection, by_ms: int) -> None:
    """Moves the moment of everything that waits."""
    tx.execute(
        update(postbacks)
        .where(postbacks.c.state == "waiting")
        .values(next_attempt_at=postbacks.c.next_attempt_at + by_ms)
    )


def latest_created_at(tx: Connection) -> int | None:
    """When the newest postback was created, by its id; None when there is none."""
    newest = select(postbacks.c.created_at).order_by(postbacks.c.postback_id.desc()).limit(1)
    created_at: int | None = tx.scalar(newest)
    return created_at
