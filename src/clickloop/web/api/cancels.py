"""Cancelling many postbacks that wait: all that match, with a preview, as a job that can be stopped."""

from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.store.ledger.bulk_jobs import BulkJob, JobKind, find_job, jobs_before, stop_job
from clickloop.store.ledger.changes_log import Action
from clickloop.store.ledger.resends import count_sent
from clickloop.tracking.cancelling import start_cancels
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import Context
from clickloop.web.api.log_words import refuse_unknown_status
from clickloop.web.api.noting import note_change
from clickloop.web.api.once import Done, Key, once
from clickloop.web.api.paging import Cursor, Limit, Page, RecordIdPath, page_of, read_cursor
from clickloop.web.api.postback_choice import PostbackChoice, WaitingState, filter_of
from clickloop.web.api.postbacks import NOUN
from clickloop.web.api.problem import AnyRequest, not_found
from clickloop.web.api.wire import Moment, moment_text, optional_moment_text


class BulkCancel(PostbackChoice, kw_only=True):
    """Which of the postbacks that wait to cancel. At least one of the fields that narrow it is needed."""

    preview: Annotated[bool, Meta(description="true: only count; nothing is cancelled.")] = False
    state: Annotated[
        WaitingState | None, Meta(description="Only what is held back, or only what is not; left out: both.")
    ] = None


class BulkCancelView(msgspec.Struct, kw_only=True):
    """A job that cancels postbacks, or with ``preview`` what it would cover."""

    cancel_id: Annotated[str | None, Meta(description="null: it was a preview.")]
    matched: Annotated[int, Meta(description="How many waited when it was asked for.")]
    done: Annotated[int, Meta(description="How many the job has looked at.")]
    made: Annotated[int, Meta(description="How many it has cancelled.")]
    finished: Annotated[bool, Meta(description="Nothing more will be done.")]
    stopped: Annotated[bool, Meta(description="A user stopped it.")]
    created_at: Moment | None
    finished_at: Moment | None


def cancel_postbacks(
    context: Context, request: AnyRequest, data: JSONBody[BulkCancel], key: Key = ""
) -> Response[BulkCancelView]:
    """Starts a job that takes all that match and wait out of delivery. They can be sent again later. What is being sent at the
    moment is left alone. `preview` counts first. See how far it is at `GET /postbacks/cancels/{cancel_id}`.
    """
    wanted = filter_of(data, data.state)
    if data.state is None:
        wanted = msgspec.structs.replace(wanted, waiting=True)
    with context.ledger.read() as tx:
        refuse_unknown_status(tx, data.status)
        if data.preview:
            return Response(_preview(sum(count_sent(tx, wanted).values())), status_code=200)

    def do(tx: Connection) -> Done:
        view = _view(start_cancels(tx, context.desk(), wanted, context.clock()))
        asked = msgspec.to_builtins(data) | {"matched": view.matched}
        note_change(tx, context, _JOBS, view.cancel_id, after=asked, action=Action.CANCELLED)
        return Done(202, view)

    return once(context, request, key, data, do)


def list_cancels(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[BulkCancelView]:
    """The jobs that cancel postbacks, the newest first."""
    before = read_cursor(_JOBS, cursor) or None
    with context.ledger.read() as tx:
        found = jobs_before(tx, JobKind.CANCEL, before, limit + 1)
    return page_of(found, limit, _JOBS, lambda job: job.bulk_job_id, _view)


def read_cancel(context: Context, cancel_id: RecordIdPath) -> BulkCancelView:
    """A job that cancels postbacks."""
    with context.ledger.read() as tx:
        return _view(_job(tx, cancel_id))


def stop_cancel(context: Context, cancel_id: RecordIdPath) -> BulkCancelView:
    """Ends a job where it is. What it has cancelled stays so. One that has ended stays as it is."""
    with context.ledger.write() as tx:
        before = _view(_job(tx, cancel_id))
        stop_job(tx, cancel_id.lower(), JobKind.CANCEL, context.clock())
        view = _view(_job(tx, cancel_id))
        note_change(tx, context, _JOBS, view.cancel_id, before, view)
    return view


def _job(tx: Connection, cancel_id: str) -> BulkJob:
    job = find_job(tx, cancel_id.lower(), JobKind.CANCEL)
    if job is None:
        raise not_found("cancel of that id")
    return job


def _preview(matched: int) -> BulkCancelView:
    return BulkCancelView(
        cancel_id=None,
        matched=matched,
        done=0,
        made=0,
        finished=False,
        stopped=False,
        created_at=None,
        finished_at=None,
    )


def _view(job: BulkJob) -> BulkCancelView:
    return BulkCancelView(
        cancel_id=job.bulk_job_id,
        matched=job.matched,
        done=job.done,
        made=job.made,
        finished=job.is_finished,
        stopped=job.stopped,
        created_at=moment_text(job.created_at),
        finished_at=optional_moment_text(job.finished_at),
    )


_JOBS = f"{NOUN}/cancels"

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
