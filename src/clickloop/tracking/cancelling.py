"""Cancel all waiting postbacks that match a filter, a batch at a time."""

import msgspec
from sqlalchemy import Connection

from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind
from clickloop.store.ledger.queue.resends import StateScope, cancel_all, count_matching, matching_after, newest_postback
from clickloop.tracking.notices import Intake

BATCH = 1_000
"""Postbacks per transaction: other writers may write in between."""

_encode = msgspec.json.Encoder().encode


def start_cancel_job(tx: Connection, intake: Intake, wanted: PostbackFilter, now_ms: int) -> BulkJob:
    """Create a job over all waiting postbacks that match now; ``run_cancel_batch`` runs it."""
    job = BulkJob(
        bulk_job_id=intake.new_id(),
        kind=JobKind.CANCEL,
        asked=_encode(wanted),
        last_id=newest_postback(tx),
        matched=sum(count_matching(tx, wanted, StateScope.WAITING).values()),
        created_at=now_ms,
    )
    BULK_JOBS.insert(tx, job)
    return job


def run_cancel_batch(tx: Connection, job: BulkJob, now_ms: int) -> BulkJob:
    """Run the next batch of a job and record its progress, in the caller's transaction. Return the job as it is then."""
    wanted = msgspec.json.decode(job.asked, type=PostbackFilter)
    batch = matching_after(tx, wanted, StateScope.WAITING, job.done_id, job.last_id, BATCH)
    cancelled = cancel_all(tx, [sent.postback_id for sent in batch], now_ms)
    job = job.after([sent.postback_id for sent in batch], BATCH, cancelled, now_ms)
    BULK_JOBS.keep(tx, job)
    return job
