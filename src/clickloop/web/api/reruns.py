"""Running stored notices again, all that match a filter, after a mapping or setting was corrected."""

from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.conversion.conversion import Change, ChangeKind
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import NoticeFilter, Outcome
from clickloop.log_filter import filter_in
from clickloop.store.ledger.bulk_jobs import BulkJob, JobKind, find_job, jobs_before
from clickloop.store.ledger.changes_log import Action
from clickloop.tracking.rerunning import Preview, preview_rerun, start_reruns
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.log_words import ConversionView, conversion_view, refuse_everything
from clickloop.web.api.notices import NOUN
from clickloop.web.api.noting import note_change
from clickloop.web.api.once import Done, Key, once
from clickloop.web.api.paging import Cursor, Limit, Page, RecordIdPath, page_of, read_cursor
from clickloop.web.api.problem import AnyRequest, not_found
from clickloop.web.api.wire import Moment, moment_text, optional_moment_text

MOST_SHOWN = 100


class BulkRerun(NoticeFilter, frozen=True, omit_defaults=True, kw_only=True):
    """Which notices to run again. At least one of the fields that narrow it is needed."""

    preview: Annotated[bool, Meta(description="true: only tell what would change; nothing is stored or sent.")] = False


class OutcomeChange(msgspec.Struct, kw_only=True):
    """A notice whose outcome would become another."""

    notice_id: str
    outcome: Outcome
    reason: RefusalReason | None
    would_be: Outcome
    would_be_refused: Annotated[RefusalReason | None, Meta(description="Why, if it would be refused.")]


class ConversionChange(msgspec.Struct, kw_only=True):
    """A conversion that would change. One that would be new gets its id when it is registered."""

    notice_id: str
    kind: Annotated[ChangeKind, Meta(description="What would change, the weightiest first.")]
    before: Annotated[ConversionView | None, Meta(description="null: it would be new.")]
    after: ConversionView


class RerunView(msgspec.Struct, kw_only=True):
    """A job that runs notices again, or with ``preview`` what it would do."""

    rerun_id: Annotated[str | None, Meta(description="null: it was a preview.")]
    matched: int
    done: Annotated[int, Meta(description="How many were run, or of a preview tried: the oldest 500.")]
    made: Annotated[int, Meta(description="How many came, or would come, to something else.")]
    owed: Annotated[int, Meta(description="Of a preview: postbacks that would be owed.")]
    outcomes: Annotated[list[OutcomeChange], Meta(description="Of a preview, the first 100.")]
    conversions: Annotated[list[ConversionChange], Meta(description="Of a preview, the first 100.")]
    finished: bool
    created_at: Moment | None
    finished_at: Moment | None


def rerun_notices(
    context: Context, request: AnyRequest, data: JSONBody[BulkRerun], key: Key = ""
) -> Response[RerunView]:
    """Starts a job that reads all that match now again by today's settings, and owes what follows. `preview` tells first what would
    change: it is the same step, taken back. See how far it is at `GET /notices/reruns/{rerun_id}`.
    """
    wanted = _wanted(data)
    if data.preview:
        return Response(_preview(preview_rerun(context.desk(), wanted, context.clock())), status_code=200)

    def do(tx: Connection) -> Done:
        return Done(202, start_rerun(tx, context, data))

    return once(context, request, key, data, do)


def start_rerun(tx: Connection, context: ApiContext, data: BulkRerun) -> RerunView:
    """Starts the job. Raises InvalidInputError when nothing narrows it down."""
    view = _view(start_reruns(tx, context.desk(), _wanted(data), context.clock()))
    asked = msgspec.to_builtins(data) | {"matched": view.matched}
    note_change(tx, context, _JOBS, view.rerun_id, after=asked, action=Action.RERUN)
    return view


def list_reruns(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[RerunView]:
    """The jobs that run notices again, the newest first."""
    before = read_cursor(_JOBS, cursor) or None
    with context.ledger.read() as tx:
        found = jobs_before(tx, JobKind.RERUN, before, limit + 1)
    return page_of(found, limit, _JOBS, lambda job: job.bulk_job_id, _view)


def read_rerun(context: Context, rerun_id: RecordIdPath) -> RerunView:
    """A job that runs notices again."""
    with context.ledger.read() as tx:
        job = find_job(tx, rerun_id.lower(), JobKind.RERUN)
    if job is None:
        raise not_found("rerun of that id")
    return _view(job)


def _wanted(data: BulkRerun) -> NoticeFilter:
    wanted = filter_in(data, NoticeFilter)
    refuse_everything(wanted)
    return wanted


def _preview(preview: Preview) -> RerunView:
    outcomes = [
        OutcomeChange(
            notice_id=before.raw.notice_id,
            outcome=before.outcome,
            reason=before.reason,
            would_be=after.outcome,
            would_be_refused=after.reason,
        )
        for before, after in preview.notices[:MOST_SHOWN]
    ]
    touched = {before.raw.notice_id for before, _ in preview.notices} | {change.notice_id for change in preview.changes}
    return RerunView(
        rerun_id=None,
        matched=preview.matched,
        done=preview.looked_at,
        made=len(touched),
        owed=preview.owed,
        outcomes=outcomes,
        conversions=[_change(change) for change in preview.changes[:MOST_SHOWN]],
        finished=False,
        created_at=None,
        finished_at=None,
    )


def _change(change: Change) -> ConversionChange:
    return ConversionChange(
        notice_id=change.notice_id,
        kind=change.kind,
        before=conversion_view(change.before) if change.before else None,
        after=conversion_view(change.after),
    )


def _view(job: BulkJob) -> RerunView:
    return RerunView(
        rerun_id=job.bulk_job_id,
        matched=job.matched,
        done=job.done,
        made=job.made,
        owed=0,
        outcomes=[],
        conversions=[],
        finished=job.is_finished,
        created_at=moment_text(job.created_at),
        finished_at=optional_moment_text(job.finished_at),
    )


_JOBS = f"{NOUN}/reruns"

router = Router(
    f"/{NOUN}",
    route_handlers=[
        post(
            "/rerun",
            status_code=202,
            dto=StrictBody,
            return_dto=None,
            sync_to_thread=True,
            summary="Run many notices again",
        )(rerun_notices),
        get("/reruns", sync_to_thread=True, summary="List reruns")(list_reruns),
        get("/reruns/{rerun_id:str}", sync_to_thread=True, summary="See how far a rerun is")(read_rerun),
    ],
    tags=["Notices"],
)
