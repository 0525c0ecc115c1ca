"""Reprocessing many notices after a mapping or setting was corrected: jobs with a preview that can be stopped."""

from typing import Annotated

from litestar import Response, Router, get, post
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.conversion.notice_log import NoticeFilter
from clickloop.log_filter import extract_filter
from clickloop.logs.filter_checks import require_filter
from clickloop.logs.listing import NOTICES
from clickloop.logs.page import Page
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.tracking.jobs.idempotency import NewAnswer
from clickloop.tracking.jobs.reruns import RERUNS, RerunView, preview_reruns
from clickloop.tracking.rerunning import start_rerun_job
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.once import Key, once
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import AnyRequest, expect_found


class BulkRerun(NoticeFilter, frozen=True, omit_defaults=True, kw_only=True):
    """The notices to reprocess. At least one filter is required."""

    preview: Annotated[bool, Meta(description="true to only see what would change. Nothing is stored or sent.")] = False


def rerun_notices(
    context: Context, request: AnyRequest, data: JSONBody[BulkRerun], key: Key = ""
) -> Response[RerunView]:
    """Start a job that reprocesses all notices that match now with the current settings, and create the postbacks that follow.
    Use `preview` to see what would change: it does the same and rolls back. See the progress at `GET /notices/reruns/{rerun_id}`.
    """
    wanted = extract_filter(data, NoticeFilter)
    require_filter(wanted)
    if data.preview:
        return Response(preview_reruns(context.intake(), wanted, context.clock()), status_code=200)

    def do(tx: Connection) -> NewAnswer:
        return NewAnswer(202, start_rerun(tx, context, data))

    return once(context, request, key, data, do)


def start_rerun(tx: Connection, context: ApiContext, data: BulkRerun) -> RerunView:
    """Start a job."""
    job = start_rerun_job(tx, context.intake(), extract_filter(data, NoticeFilter), context.clock())
    return RERUNS.started(tx, context, job, data, Action.RERUN)


def list_reruns(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[RerunView]:
    """List jobs that reprocess notices, newest first."""
    return RERUNS.page(context, limit, cursor)


def read_rerun(context: Context, rerun_id: RecordIdPath) -> RerunView:
    """Return a job that reprocesses notices."""
    return expect_found(RERUNS.find(context, rerun_id.lower()), "rerun with that ID")


def stop_rerun(context: Context, rerun_id: RecordIdPath) -> RerunView:
    """Stop a job. What it has reprocessed stays as it is. A job that has ended is left alone."""
    return expect_found(RERUNS.stop(context, rerun_id.lower()), "rerun with that ID")


router = Router(
    f"/{NOTICES}",
    route_handlers=[
        post("/rerun", status_code=202, sync_to_thread=True, summary="Reprocess many notices")(rerun_notices),
        get("/reruns", sync_to_thread=True, summary="List reruns")(list_reruns),
        get("/reruns/{rerun_id:str}", sync_to_thread=True, summary="Read a rerun and its progress")(read_rerun),
        post("/reruns/{rerun_id:str}/stop", status_code=200, sync_to_thread=True, summary="Stop a rerun")(stop_rerun),
    ],
    tags=["Notices"],
)
