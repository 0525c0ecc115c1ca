"""Cancelling many waiting postbacks: jobs with a preview that can be stopped."""

from typing import Annotated

from litestar import Response, Router, get, post
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.log_filter import extract_filter
from clickloop.logs.filter_checks import check_status, require_filter
from clickloop.logs.listing import POSTBACKS
from clickloop.logs.page import Page
from clickloop.postback.postback_log import CancelFilter, PostbackFilter
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.tracking.cancelling import start_cancel_job
from clickloop.tracking.jobs.cancels import CANCELS, BulkCancelView, preview_cancels
from clickloop.tracking.jobs.idempotency import NewAnswer
from clickloop.web.api.context import Context
from clickloop.web.api.once import Key, once
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import AnyRequest, expect_found


class BulkCancel(CancelFilter, frozen=True, omit_defaults=True, kw_only=True):
    """The waiting postbacks to cancel. At least one filter is required."""

    preview: Annotated[bool, Meta(description="true to only count. Nothing is cancelled.")] = False


def cancel_postbacks(
    context: Context, request: AnyRequest, data: JSONBody[BulkCancel], key: Key = ""
) -> Response[BulkCancelView]:
    """Start a job that cancels all waiting postbacks that match. They can be resent later. Postbacks that are just being sent
    are left alone. Use `preview` to count first. See the progress at `GET /postbacks/cancels/{cancel_id}`.
    """
    wanted = extract_filter(data, PostbackFilter)
    require_filter(wanted)
    with context.ledger.read() as tx:
        check_status(tx, data.status)
        if data.preview:
            return Response(preview_cancels(tx, wanted), status_code=200)

    def do(tx: Connection) -> NewAnswer:
        job = start_cancel_job(tx, context.intake(), wanted, context.clock())
        return NewAnswer(202, CANCELS.started(tx, context, job, data, Action.CANCELLED))

    return once(context, request, key, data, do)


def list_cancels(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[BulkCancelView]:
    """List jobs that cancel postbacks, newest first."""
    return CANCELS.page(context, limit, cursor)


def read_cancel(context: Context, cancel_id: RecordIdPath) -> BulkCancelView:
    """Return a job that cancels postbacks."""
    return expect_found(CANCELS.find(context, cancel_id.lower()), "cancel with that ID")


def stop_cancel(context: Context, cancel_id: RecordIdPath) -> BulkCancelView:
    """Stop a job. What it has cancelled stays cancelled. A job that has ended is left alone."""
    return expect_found(CANCELS.stop(context, cancel_id.lower()), "cancel with that ID")


router = Router(
    f"/{POSTBACKS}",
    route_handlers=[
        post("/cancel", status_code=202, sync_to_thread=True, summary="Cancel many postbacks")(cancel_postbacks),
        get("/cancels", sync_to_thread=True, summary="List cancels")(list_cancels),
        get("/cancels/{cancel_id:str}", sync_to_thread=True, summary="Read a cancel and its progress")(read_cancel),
        post("/cancels/{cancel_id:str}/stop", status_code=200, sync_to_thread=True, summary="Stop a cancel")(
            stop_cancel
        ),
    ],
    tags=["Postbacks"],
)
