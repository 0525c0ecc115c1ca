"""Jobs that cancel postbacks, and the preview of one."""

from typing import Annotated

from msgspec import Meta
from sqlalchemy import Connection

from clickloop.logs.listing import POSTBACKS
from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.ledger.jobs.bulk_jobs import JobKind
from clickloop.store.ledger.queue.resends import Pool, count_sent
from clickloop.tracking.jobs.bulk import OF_PREVIEW, BulkView, Jobs, job_view


class BulkCancelView(BulkView, kw_only=True):
    """A job that cancels postbacks, or with ``preview`` what it would cover."""

    cancel_id: Annotated[str | None, Meta(description="null: it was a preview.")]
    matched: Annotated[int, Meta(description="How many waited when it was asked for.")]
    done: Annotated[int, Meta(description="How many the job has looked at.")]
    made: Annotated[int, Meta(description="How many it has cancelled.")]


def preview_cancels(tx: Connection, wanted: PostbackFilter) -> BulkCancelView:
    """Return what a job would cover now."""
    matched = sum(count_sent(tx, wanted, Pool.WAITING).values())
    return BulkCancelView(cancel_id=None, matched=matched, done=0, made=0, **OF_PREVIEW)


CANCELS = Jobs(
    JobKind.CANCEL, f"{POSTBACKS}/cancels", lambda job: job_view(BulkCancelView, job, cancel_id=job.bulk_job_id)
)
