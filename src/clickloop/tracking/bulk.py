"""Run bulk jobs (resend, cancel, rerun) a batch at a time; they survive a restart."""

from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, KEPT_MS, JobKind, forget_answers
from clickloop.tracking.cancelling import work_off_cancels
from clickloop.tracking.notices import Desk
from clickloop.tracking.rerunning import work_off_reruns
from clickloop.tracking.resending import work_off_resends


def work_off_next(desk: Desk, now_ms: int) -> bool:
    """Run a batch of the oldest job and return True; wake delivery then. Return False, after one look-up, if there is no job."""
    with desk.ledger.read() as tx:
        job = next(iter(BULK_JOBS.unfinished(tx, 1)), None)
    if job is None:
        return False
    if job.kind is JobKind.RERUN:
        work_off_reruns(desk, job, now_ms)
        return True
    with desk.ledger.write() as tx:
        current = next(iter(BULK_JOBS.unfinished(tx, 1)), None)  # reread as the only writer: it may have been cancelled
        if current is not None and current.kind is JobKind.RESEND:
            work_off_resends(tx, desk, current, now_ms)
        elif current is not None and current.kind is JobKind.CANCEL:
            work_off_cancels(tx, current, now_ms)
    return True


def forget_old_answers(desk: Desk, now_ms: int) -> None:
    """Delete expired idempotency keys and their stored responses."""
    with desk.ledger.write() as tx:
        forget_answers(tx, now_ms - KEPT_MS)
