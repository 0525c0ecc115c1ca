"""Postbacks at work: writing outcomes, giving back, rescuing, following the clock. What ``postback.delivery.worker`` asks of its store.

Statements are made once, so that the driver prepares them once; each moves many rows with one call.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, select, update

from clickloop.postback.delivery.breaker import Verdict, verdict_of
from clickloop.postback.delivery.lane import Asked, KeptLane, Standing
from clickloop.postback.delivery.lanes import EVERY_ROOM, Rooms
from clickloop.postback.delivery.work import Claimed, Ended, Job, Recorded
from clickloop.postback.retry import Result
from clickloop.postback.state import PostbackState
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.postback_states import IS_SENDING, IS_WAITING
from clickloop.store.ledger.queue.claiming import claim_due
from clickloop.store.ledger.queue.holding import (
    WOKEN_PER_BATCH,
    end_probe,
    pause_rule,
    wake_followers,
    wake_held,
    wake_to_probe,
)
from clickloop.store.ledger.queue.lanes import forget_asked, keep_standing, kept_lanes
from clickloop.store.ledger.schema.tables import attempts, postbacks
from clickloop.store.ledger.setup.settings import read_setting, write_setting

DELIVERY_CLOCK = "delivery_clock"
"""The name of the setting that ``note_clock`` writes."""
ANSWER_BYTES = 1_000
"""Maximum number of bytes kept of an answer's body."""
LOST = "Clickloop stopped before the outcome was written: the receiver may or may not have got it."

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
        IS_SENDING,
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
        IS_SENDING,
    )
    .values(
        state=PostbackState.WAITING,
        next_attempt_at=bindparam("at"),
        lease_until=None,
        attempts=postbacks.c.attempts - 1,
    )
)
_NEXT_STATE = {
    Result.DELIVERED: PostbackState.DELIVERED,
    Result.AGAIN: PostbackState.WAITING,
    Result.FAILED: PostbackState.FAILED,
}


class LedgerPostbacks:
    """The ledger as the store of a ``postback.delivery.worker.Delivery``. Each call is one transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def claim(self, now_ms: int, limit: int, lease_ms: int, rooms: Rooms = EVERY_ROOM) -> Claimed:
        """Takes at most ``limit`` due postbacks, and writes the attempt of each, to be sent when this has returned."""
        with self._ledger.write() as tx:
            return claim_due(tx, now_ms, limit, lease_ms, rooms)

    def record(self, ended: Sequence[Ended]) -> Recorded:
        """Writes outcomes."""
        with self._ledger.write() as tx:
            return end_attempts(tx, ended)

    def wake_held(self) -> bool:
        """Lets some of what rules have held go on that are not held any more."""
        with self._ledger.write() as tx:
            return wake_held(tx) == WOKEN_PER_BATCH

    def lanes(self) -> tuple[KeptLane, ...]:
        """What users have set for receivers, and who is paused."""
        with self._ledger.read() as tx:
            return kept_lanes(tx)

    def keep_standings(self, standings: Mapping[str, Standing], done: Mapping[str, Asked]) -> None:
        """Keeps by lane how its receiver stands, and that what somebody asked of it is done."""
        with self._ledger.write() as tx:
            for lane, asked in done.items():
                forget_asked(tx, lane, asked)
            for lane, standing in standings.items():
                keep_standing(tx, lane, standing)

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

    def note_clock(self, now_ms: int) -> None:
        """Remember the moment by delivery's clock."""
        with self._ledger.write() as tx:
            write_setting(tx, DELIVERY_CLOCK, now_ms)

    def latest_moment(self) -> int | None:
        """Return the moment that was noted last, else when the newest postback was created."""
        with self._ledger.read() as tx:
            noted = read_setting(tx, DELIVERY_CLOCK, int)
            return latest_created_at(tx) if noted is None else noted


def end_attempts(tx: Connection, ended: Sequence[Ended]) -> Recorded:
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
                "next_state": _NEXT_STATE[end.result],
                "again_at": end.again_at,
                "final_at": end.at if end.again_at is None else None,
            }
            for end in ended
        ],
    )
    gone = [end for end in ended if end.pauses_rule and _has_failed(tx, end.job)]
    # Sorted: two transactions that lock rows in different orders would wait for each other in PostgreSQL.
    rule_ids = sorted({end.job.rule_id for end in gone})
    probes = [end for end in ended if end.job.probes_rule and not end.pauses_rule]
    for rule_id in {end.job.rule_id for end in probes if not _was_asked(end)}:
        wake_to_probe(tx, rule_id)
    return Recorded(
        paused=tuple(rule_id for rule_id in rule_ids if pause_rule(tx, rule_id, max(end.at for end in gone))),
        resumed=tuple(
            end.job.rule_id for end in probes if _was_asked(end) and end_probe(tx, end.job.rule_id, end.job.postback_id)
        ),
        woken=wake_followers(tx, [end.job.postback_id for end in ended if end.again_at is None]),
    )


def _was_asked(end: Ended) -> bool:
    """Whether the attempt reached out at all, so that its outcome says something."""
    return verdict_of(end.outcome) is not Verdict.NOT_ASKED


def _has_failed(tx: Connection, job: Job) -> bool:
    """Whether a postback has failed under this job's lease, and not under one that came after it."""
    failed = select(postbacks.c.postback_id).where(
        postbacks.c.postback_id == job.postback_id,
        postbacks.c.lease_token == job.token,
        postbacks.c.state == PostbackState.FAILED,
    )
    return tx.scalar(failed) is not None


def give_back(tx: Connection, jobs: Sequence[Job], now_ms: int) -> None:
    """Puts claimed postbacks that were not sent back to waiting, due at once, and takes their attempts out again."""
    tx.execute(_FORGET_ATTEMPT, [{"id": job.postback_id, "attempt": job.attempt} for job in jobs])
    tx.execute(_GIVE_BACK, [{"id": job.postback_id, "token": job.token, "at": now_ms} for job in jobs])


def lose_attempts(tx: Connection, now_ms: int, everything: bool) -> None:
    """Marks the attempts under expired leases (or all) as unknown."""
    stuck = select(postbacks.c.postback_id).where(IS_SENDING)
    if not everything:
        stuck = stuck.where(postbacks.c.lease_until <= now_ms)
    tx.execute(
        update(attempts)
        .where(attempts.c.postback_id.in_(stuck), attempts.c.result.is_(None))
        .values(result=Result.UNKNOWN.value, finished_at=now_ms, error=LOST)
    )


def take_back_leases(tx: Connection, now_ms: int, everything: bool) -> int:
    """Puts postbacks under expired leases (or all) back to waiting, due at once; answers how many."""
    rescued = update(postbacks).where(IS_SENDING)
    if not everything:
        rescued = rescued.where(postbacks.c.lease_until <= now_ms)
    return tx.execute(rescued.values(state=PostbackState.WAITING, next_attempt_at=now_ms, lease_until=None)).rowcount


def move_leases(tx: Connection, by_ms: int) -> None:
    """Moves the end of every lease."""
    tx.execute(update(postbacks).where(IS_SENDING).values(lease_until=postbacks.c.lease_until + by_ms))


def move_waiting(tx: Connection, by_ms: int) -> None:
    """Moves the moment of everything that waits."""
    tx.execute(
        update(postbacks)
        .where(IS_WAITING)
        .values(next_attempt_at=postbacks.c.next_attempt_at + by_ms, held_from=postbacks.c.held_from + by_ms)
    )


def latest_created_at(tx: Connection) -> int | None:
    """When the newest postback was created, by its id; None when there is none."""
    newest = select(postbacks.c.created_at).order_by(postbacks.c.postback_id.desc()).limit(1)
    created_at: int | None = tx.scalar(newest)
    return created_at
