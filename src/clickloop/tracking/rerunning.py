"""Running stored notices again after a mapping was corrected: all that match a filter, with a preview of what would change."""

import contextlib
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.conversion.conversion import Change
from clickloop.conversion.notice_log import NoticeFilter, StoredNotice
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind
from clickloop.store.ledger.logs.notices import count_notices, newest_notice, notice_ids_after
from clickloop.tracking.notices import BATCH, Desk, NoticeResult, rerun, try_rerun

_encode = msgspec.json.Encoder().encode


class Preview(msgspec.Struct, frozen=True):
    """What running notices again would do. ``looked_at``: the number of those that match which were tried, the oldest first."""

    matched: int
    looked_at: int
    notices: tuple[tuple[StoredNotice, StoredNotice], ...]
    """Those whose outcome would become another: as they stand, and as they would."""
    changes: tuple[Change, ...]
    """Of conversions, new ones too."""
    owed: int
    """Postbacks that would be owed."""


def preview_rerun(desk: Desk, wanted: NoticeFilter, now_ms: int) -> Preview:
    """What running again all that match would do, tried on the oldest ``BATCH`` of them; nothing is written."""
    with desk.ledger.read() as tx:
        matched = count_notices(tx, wanted)
        notice_ids = notice_ids_after(tx, wanted, "", newest_notice(tx), BATCH)
    trial = try_rerun(desk, notice_ids, now_ms)
    differing = tuple(
        (before, after)
        for before, after in trial.notices
        if (before.outcome, before.reason) != (after.outcome, after.reason)
    )
    return Preview(matched, len(trial.notices), differing, trial.changes, trial.owed)


def start_reruns(tx: Connection, desk: Desk, wanted: NoticeFilter, now_ms: int) -> BulkJob:
    """Writes down a job over all that match now; ``work_off_reruns`` does it."""
    job = BulkJob(
        bulk_job_id=desk.new_id(),
        kind=JobKind.RERUN,
        asked=_encode(wanted),
        last_id=newest_notice(tx),
        matched=count_notices(tx, wanted),
        created_at=now_ms,
    )
    BULK_JOBS.insert(tx, job)
    return job


def work_off_reruns(desk: Desk, job: BulkJob, now_ms: int) -> None:
    """Does the next batch of a job and writes down how far it is: one transaction, so a crash neither skips nor counts any twice."""
    wanted = msgspec.json.decode(job.asked, type=NoticeFilter)
    with desk.ledger.read() as tx:
        notice_ids = notice_ids_after(tx, wanted, job.done_id, job.last_id, BATCH)

    def tally(tx: Connection, before: Sequence[StoredNotice], results: Sequence[NoticeResult]) -> None:
        stood = {notice.raw.notice_id: (notice.outcome, notice.version) for notice in before}
        came_to = sum(
            stood[result.notice.raw.notice_id] != (result.notice.outcome, result.notice.version) for result in results
        )
        if not BULK_JOBS.keep(tx, job.after(notice_ids, BATCH, came_to, now_ms)):
            raise _StoppedError  # since the batch was read: it is taken back as a whole

    if notice_ids:
        with contextlib.suppress(_StoppedError):
            rerun(desk, notice_ids, now_ms, tally)
    else:
        with desk.ledger.write() as tx:
            BULK_JOBS.keep(tx, job.after([], BATCH, 0, now_ms))


class _StoppedError(Exception):
    """Ends the transaction of a batch whose job somebody has stopped."""
