"""Working off the jobs over many records that the user asked for, a batch at a time; they survive a restart."""

from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, KEPT_MS, JobKind, forget_answers
from clickloop.tracking.cancelling import work_off_cancels
from clickloop.tracking.notices import Desk
from clickloop.tracking.rerunning import work_off_reruns
from clickloop.tracking.resending import work_off_resends


def work_off_next(desk: Desk, now_ms: int) -> bool:
    """Does a batch of the oldest job; False: there is none. Then wake delivery. Costs one look-up when there is nothing to do."""
    with desk.ledger.read() as tx:
        job = next(iter(BULK_JOBS.unfinished(tx, 1)), None)
    if job is None:
        return False
    if job.kind is JobKind.RERUN:
        work_off_reruns(desk, job, now_ms)
        return True
    with desk.ledger.write() as tx:
        current = next(iter(BULK_JOBS.unfinished(tx, 1)), None)  # as it stands now that nobody else can write
        if current is not None and current.kind is JobKind.RESEND:
            work_off_resends(tx, desk, current, now_ms)
        elif current is not None and current.kind is JobKind.CANCEL:
            work_off_cancels(tx, current, now_ms)
    return True


def forget_old_answers(desk: Desk, now_ms: int) -> None:
    """Removes what was kept under the keys of requests long ago."""
    with desk.ledger.write() as tx:
        forget_answers(tx, now_ms - KEPT_MS)
