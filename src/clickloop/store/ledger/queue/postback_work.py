"""The ledger as the store of ``postback.delivery.worker``: claims, outcomes, released and expired leases, clock jumps.

Statements are built once, so that the driver prepares them once; each handles many rows in one call.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, select, update

from clickloop.postback.delivery.breaker import AttemptVerdict, verdict_of
from clickloop.postback.delivery.receiver_queue import ReceiverCommand, ReceiverCondition, StoredReceiver
from clickloop.postback.delivery.receiver_queues import UNLIMITED_QUOTAS, Quotas
from clickloop.postback.delivery.work import ClaimBatch, EndedAttempt, Job, RecordingResult
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
    wake_resumed,
    wake_to_probe,
)
from clickloop.store.ledger.queue.receivers import clear_command, save_condition, stored_receivers
from clickloop.store.ledger.schema.tables import attempts, postbacks
from clickloop.store.ledger.setup.settings import read_setting, write_setting

DELIVERY_CLOCK = "delivery_clock"
"""Name of the setting that ``note_clock`` writes."""
MAX_ANSWER_BYTES = 1_000
"""Maximum number of bytes stored of a response body."""
LOST = "Clickloop stopped before it stored the outcome: the receiver may or may not have received the request."

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
    """A ledger as the store of a ``postback.delivery.worker.Delivery``. Each method is one transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def claim(self, now_ms: int, limit: int, lease_ms: int, rooms: Quotas = UNLIMITED_QUOTAS) -> ClaimBatch:
        """Claim at most ``limit`` due postbacks and write their attempts. They may be sent once this returns."""
        with self._ledger.write() as tx:
            return claim_due(tx, now_ms, limit, lease_ms, rooms)

    def record(self, ended: Sequence[EndedAttempt]) -> RecordingResult:
        """Store outcomes of attempts."""
        with self._ledger.write() as tx:
            return end_attempts(tx, ended)

    def wake_resumed(self) -> bool:
        """Wake some deferred postbacks of rules that are no longer paused. Return whether there may be more."""
        with self._ledger.write() as tx:
            return wake_resumed(tx) == WOKEN_PER_BATCH

    def receivers(self) -> tuple[StoredReceiver, ...]:
        """Return what is stored of receivers: limits, pauses and commands."""
        with self._ledger.read() as tx:
            return stored_receivers(tx)

    def save_receiver_conditions(
        self, standings: Mapping[str, ReceiverCondition], done: Mapping[str, ReceiverCommand]
    ) -> None:
        """Store the conditions of receivers, and remove the commands that are done."""
        with self._ledger.write() as tx:
            for receiver, command in done.items():
                clear_command(tx, receiver, command)
            for receiver, condition in standings.items():
                save_condition(tx, receiver, condition)

    def release(self, jobs: Sequence[Job], now_ms: int) -> None:
        """Return claimed postbacks that were not sent to the queue."""
        with self._ledger.write() as tx:
            give_back(tx, jobs, now_ms)

    def rescue(self, now_ms: int, everything: bool = False) -> int:
        """Return postbacks with expired leases, or all that are leased, to the queue. Return their number."""
        with self._ledger.write() as tx:
            mark_attempts_unknown(tx, now_ms, everything)
            return end_leases(tx, now_ms, everything)

    def follow_clock(self, jump_ms: int) -> None:
        """Shift leases by a jump of the clock; after a jump back also the times of waiting postbacks."""
        with self._ledger.write() as tx:
            move_leases(tx, jump_ms)
            if jump_ms < 0:
                move_waiting(tx, jump_ms)

    def note_clock(self, now_ms: int) -> None:
        """Store the time of delivery's clock."""
        with self._ledger.write() as tx:
            write_setting(tx, DELIVERY_CLOCK, now_ms)

    def latest_moment(self) -> int | None:
        """Return the time stored last by ``note_clock``, else when the newest postback was created."""
        with self._ledger.read() as tx:
            noted = read_setting(tx, DELIVERY_CLOCK, int)
            return latest_created_at(tx) if noted is None else noted


def end_attempts(tx: Connection, ended: Sequence[EndedAttempt]) -> RecordingResult:
    """Store the outcomes of attempts, and the new states of their postbacks. An outdated lease changes no postback."""
    tx.execute(
        _END_ATTEMPT,
        [
            {
                "id": end.job.postback_id,
                "attempt": end.job.attempt,
                "at": end.at,
                "outcome": end.result.value,
                "code": end.outcome.status_code,
                "body": end.outcome.answer[:MAX_ANSWER_BYTES],
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
                "again_at": end.retry_at,
                "final_at": end.at if end.retry_at is None else None,
            }
            for end in ended
        ],
    )
    rejected = [end for end in ended if end.pauses_rule and _has_failed(tx, end.job)]
    # Sorted: in PostgreSQL, two transactions that lock rows in different orders could deadlock.
    rule_ids = sorted({end.job.rule_id for end in rejected})
    probes = [end for end in ended if end.job.probes_rule and not end.pauses_rule]
    for rule_id in {end.job.rule_id for end in probes if not _was_asked(end)}:
        wake_to_probe(tx, rule_id)
    return RecordingResult(
        paused=tuple(rule_id for rule_id in rule_ids if pause_rule(tx, rule_id, max(end.at for end in rejected))),
        resumed=tuple(
            end.job.rule_id for end in probes if _was_asked(end) and end_probe(tx, end.job.rule_id, end.job.postback_id)
        ),
        woken=wake_followers(tx, [end.job.postback_id for end in ended if end.retry_at is None]),
    )


def _was_asked(end: EndedAttempt) -> bool:
    """Return whether the attempt contacted the receiver, so that its outcome says something about it."""
    return verdict_of(end.outcome) is not AttemptVerdict.NOT_ASKED


def _has_failed(tx: Connection, job: Job) -> bool:
    """Return whether a postback failed under the lease of this job, not under a later one."""
    failed = select(postbacks.c.postback_id).where(
        postbacks.c.postback_id == job.postback_id,
        postbacks.c.lease_token == job.token,
        postbacks.c.state == PostbackState.FAILED,
    )
    return tx.scalar(failed) is not None


def give_back(tx: Connection, jobs: Sequence[Job], now_ms: int) -> None:
    """Make claimed postbacks that were not sent wait again, due at once, and delete their attempts."""
    tx.execute(_FORGET_ATTEMPT, [{"id": job.postback_id, "attempt": job.attempt} for job in jobs])
    tx.execute(_GIVE_BACK, [{"id": job.postback_id, "token": job.token, "at": now_ms} for job in jobs])


def mark_attempts_unknown(tx: Connection, now_ms: int, everything: bool) -> None:
    """Set the result of the unfinished attempts under expired leases, or under all, to unknown."""
    stuck = select(postbacks.c.postback_id).where(IS_SENDING)
    if not everything:
        stuck = stuck.where(postbacks.c.lease_until <= now_ms)
    tx.execute(
        update(attempts)
        .where(attempts.c.postback_id.in_(stuck), attempts.c.result.is_(None))
        .values(result=Result.UNKNOWN.value, finished_at=now_ms, error=LOST)
    )


def end_leases(tx: Connection, now_ms: int, everything: bool) -> int:
    """Make postbacks with expired leases, or all that are leased, wait again, due at once. Return their number."""
    rescued = update(postbacks).where(IS_SENDING)
    if not everything:
        rescued = rescued.where(postbacks.c.lease_until <= now_ms)
    return tx.execute(rescued.values(state=PostbackState.WAITING, next_attempt_at=now_ms, lease_until=None)).rowcount


def move_leases(tx: Connection, by_ms: int) -> None:
    """Shift the end of every lease."""
    tx.execute(update(postbacks).where(IS_SENDING).values(lease_until=postbacks.c.lease_until + by_ms))


def move_waiting(tx: Connection, by_ms: int) -> None:
    """Shift the times of all waiting postbacks."""
    tx.execute(
        update(postbacks)
        .where(IS_WAITING)
        .values(next_attempt_at=postbacks.c.next_attempt_at + by_ms, held_from=postbacks.c.held_from + by_ms)
    )


def latest_created_at(tx: Connection) -> int | None:
    """Return when the postback with the highest id was created; None if there is none."""
    newest = select(postbacks.c.created_at).order_by(postbacks.c.postback_id.desc()).limit(1)
    created_at: int | None = tx.scalar(newest)
    return created_at
