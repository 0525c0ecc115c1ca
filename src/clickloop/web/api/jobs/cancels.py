"""Cancelling many postbacks that wait: all that match, with a preview, as a job that can be stopped."""

from typing import Annotated

from litestar import Response, Router, get, post
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.log_filter import filter_in
from clickloop.postback.postback_log import CancelFilter, PostbackFilter
from clickloop.store.ledger.jobs.bulk_jobs import JobKind
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.queue.resends import Pool, count_sent
from clickloop.tracking.cancelling import start_cancels
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import Context
from clickloop.web.api.jobs.bulk import OF_PREVIEW, BulkView, Jobs, progress_of
from clickloop.web.api.logs.log_words import refuse_everything, refuse_unknown_status
from clickloop.web.api.logs.postbacks import NOUN
from clickloop.web.api.once import Done, Key, once
from clickloop.web.api.paging import Cursor, Limit, Page, RecordIdPath
from clickloop.web.api.problem import AnyRequest


class BulkCancel(CancelFilter, frozen=True, omit_defaults=True, kw_only=True):
    """Which of the postbacks that wait to cancel. At least one of the fields that narrow it is needed."""

    preview: Annotated[bool, Meta(description="true: only count; nothing is cancelled.")] = False


class BulkCancelView(BulkView, kw_only=True):
    """A job that cancels postbacks, or with ``preview`` what it would cover."""

    cancel_id: Annotated[str | None, Meta(description="null: it was a preview.")]
    matched: Annotated[int, Meta(description="How many waited when it was asked for.")]
    done: Annotated[int, Meta(description="How many the job has looked at.")]
    made: Annotated[int, Meta(description="How many it has cancelled.")]


def cancel_postbacks(
    context: Context, request: AnyRequest, data: JSONBody[BulkCancel], key: Key = ""
) -> Response[BulkCancelView]:
    """Starts a job that takes all that match and wait out of delivery. They can be sent again later. What is being sent at the
    moment is left alone. `preview` counts first. See how far it is at `GET /postbacks/cancels/{cancel_id}`.
    """
    wanted = filter_in(data, PostbackFilter)
    refuse_everything(wanted)
    with context.ledger.read() as tx:
        refuse_unknown_status(tx, data.status)
        if data.preview:
            matched = sum(count_sent(tx, wanted, Pool.WAITING).values())
            preview = BulkCancelView(cancel_id=None, matched=matched, done=0, made=0, **OF_PREVIEW)
            return Response(preview, status_code=200)

    def do(tx: Connection) -> Done:
        job = start_cancels(tx, context.desk(), wanted, context.clock())
        return Done(202, _JOBS.started(tx, context, job, data, Action.CANCELLED))

    return once(context, request, key, data, do)


def list_cancels(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[BulkCancelView]:
    """The jobs that cancel postbacks, the newest first."""
    return _JOBS.page(context, limit, cursor)


def read_cancel(context: Context, cancel_id: RecordIdPath) -> BulkCancelView:
    """A job that cancels postbacks."""
    return _JOBS.read(context, cancel_id)


def stop_cancel(context: Context, cancel_id: RecordIdPath) -> BulkCancelView:
    """Ends a job where it is. What it has cancelled stays so. One that has ended stays as it is."""
    return _JOBS.stop(context, cancel_id)


_JOBS = Jobs(
    JobKind.CANCEL, f"{NOUN}/cancels", lambda job: BulkCancelView(cancel_id=job.bulk_job_id, **progress_of(job))
)

router = Router(
    f"/{NOUN}",
    route_handlers=[
        post(
            "/cancel",
            status_code=202,
            dto=StrictBody,
            return_dto=None,
            sync_to_thread=True,
            summary="Cancel many postbacks",
        )(cancel_postbacks),
        get("/cancels", sync_to_thread=True, summary="List cancels")(list_cancels),
        get("/cancels/{cancel_id:str}", sync_to_thread=True, summary="See how far a cancel is")(read_cancel),
        post("/cancels/{cancel_id:str}/stop", status_code=200, sync_to_thread=True, summary="Stop a cancel")(
            stop_cancel
        ),
    ],
    tags=["Postbacks"],
)
