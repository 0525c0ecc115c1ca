"""Rerun all stored notices that match a filter, for example after a mapping was corrected; with a preview of the changes."""

import contextlib
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.conversion.conversion import Change
from clickloop.conversion.notice_log import NoticeFilter, StoredNotice
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind
from clickloop.store.ledger.logs.notices import count_notices, newest_notice, notice_ids_after
from clickloop.tracking.notices import BATCH, Intake, NoticeResult, rerun, try_rerun

_encode = msgspec.json.Encoder().encode


class RerunPreview(msgspec.Struct, frozen=True):
    """The effect that a rerun would have. ``examined``: how many of the matching notices were tried, oldest first."""

    matched: int
    examined: int
    notices: tuple[tuple[StoredNotice, StoredNotice], ...]
    """Notices whose outcome or reason would change, before and after."""
    changes: tuple[Change, ...]
    """Changes of conversions, including new ones."""
    owed: int
    """Number of postbacks that would be created."""


def preview_rerun(intake: Intake, wanted: NoticeFilter, now_ms: int) -> RerunPreview:
    """Preview a rerun of all matching notices, tried on the oldest ``BATCH`` of them. Writes nothing."""
    with intake.ledger.read() as tx:
        matched = count_notices(tx, wanted)
        notice_ids = notice_ids_after(tx, wanted, "", newest_notice(tx), BATCH)
    trial = try_rerun(intake, notice_ids, now_ms)
    differing = tuple(
        (before, after)
        for before, after in trial.notices
        if (before.outcome, before.reason) != (after.outcome, after.reason)
    )
    return RerunPreview(matched, len(trial.notices), differing, trial.changes, trial.owed)


def start_rerun_job(tx: Connection, intake: Intake, wanted: NoticeFilter, now_ms: int) -> BulkJob:
    """Create a job over all notices that match now; ``run_rerun_batch`` runs it."""
    job = BulkJob(
        bulk_job_id=intake.new_id(),
        kind=JobKind.RERUN,
        asked=_encode(wanted),
        last_id=newest_notice(tx),
        matched=count_notices(tx, wanted),
        created_at=now_ms,
    )
    BULK_JOBS.insert(tx, job)
    return job


def run_rerun_batch(intake: Intake, job: BulkJob, now_ms: int) -> None:
    """Run the next batch of a job and record its progress in one transaction, so a crash neither skips nor repeats any."""
    wanted = msgspec.json.decode(job.asked, type=NoticeFilter)
    with intake.ledger.read() as tx:
        notice_ids = notice_ids_after(tx, wanted, job.done_id, job.last_id, BATCH)

    def tally(tx: Connection, before: Sequence[StoredNotice], results: Sequence[NoticeResult]) -> None:
        old = {notice.raw.notice_id: (notice.outcome, notice.version) for notice in before}
        changed = sum(
            old[result.notice.raw.notice_id] != (result.notice.outcome, result.notice.version) for result in results
        )
        if not BULK_JOBS.keep(tx, job.after(notice_ids, BATCH, changed, now_ms)):
            raise _StoppedError  # cancelled since the batch was read: roll the whole batch back

    if notice_ids:
        with contextlib.suppress(_StoppedError):
            rerun(intake, notice_ids, now_ms, tally)
    else:
        with intake.ledger.write() as tx:
            BULK_JOBS.keep(tx, job.after([], BATCH, 0, now_ms))


class _StoppedError(Exception):
    """The signal to roll back a batch whose job has been cancelled."""
