"""Run bulk jobs (resend, cancel, rerun) a batch at a time; they survive a restart."""

from clickloop.store.ledger.jobs.bulk_jobs import ANSWER_RETENTION_MS, BULK_JOBS, JobKind, delete_answers_before
from clickloop.tracking.cancelling import run_cancel_batch
from clickloop.tracking.notices import Intake
from clickloop.tracking.rerunning import run_rerun_batch
from clickloop.tracking.resending import run_resend_batch


def run_next_batch(intake: Intake, now_ms: int) -> bool:
    """Run a batch of the oldest job and return True; wake delivery then. Return False, after one look-up, if there is no job."""
    with intake.ledger.read() as tx:
        job = next(iter(BULK_JOBS.unfinished(tx, 1)), None)
    if job is None:
        return False
    if job.kind is JobKind.RERUN:
        run_rerun_batch(intake, job, now_ms)
        return True
    with intake.ledger.write() as tx:
        current = next(iter(BULK_JOBS.unfinished(tx, 1)), None)  # reread as the only writer: it may have been cancelled
        if current is not None and current.kind is JobKind.RESEND:
            run_resend_batch(tx, intake, current, now_ms)
        elif current is not None and current.kind is JobKind.CANCEL:
            run_cancel_batch(tx, current, now_ms)
    return True


def delete_expired_responses(intake: Intake, now_ms: int) -> None:
    """Delete expired idempotency keys and their stored responses."""
    with intake.ledger.write() as tx:
        delete_answers_before(tx, now_ms - ANSWER_RETENTION_MS)
