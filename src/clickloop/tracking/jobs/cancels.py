"""Jobs that cancel postbacks, and the preview of one."""

from typing import Annotated

from msgspec import Meta
from sqlalchemy import Connection

from clickloop.logs.listing import POSTBACKS
from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.ledger.jobs.bulk_jobs import JobKind
from clickloop.store.ledger.queue.resends import StateScope, count_matching
from clickloop.tracking.jobs.bulk import OF_PREVIEW, BulkView, Jobs, job_view


class BulkCancelView(BulkView, kw_only=True):
    """A job that cancels postbacks, or the preview of one."""

    cancel_id: Annotated[str | None, Meta(description="null in a preview.")]
    matched: Annotated[int, Meta(description="Postbacks that matched when it was started.")]
    done: Annotated[int, Meta(description="Postbacks processed so far.")]
    made: Annotated[int, Meta(description="Postbacks cancelled so far.")]


def preview_cancels(tx: Connection, wanted: PostbackFilter) -> BulkCancelView:
    """Return the preview of a job."""
    matched = sum(count_matching(tx, wanted, StateScope.WAITING).values())
    return BulkCancelView(cancel_id=None, matched=matched, done=0, made=0, **OF_PREVIEW)


CANCELS = Jobs(
    JobKind.CANCEL, f"{POSTBACKS}/cancels", lambda job: job_view(BulkCancelView, job, cancel_id=job.bulk_job_id)
)
