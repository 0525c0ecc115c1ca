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
from clickloop.store.ledger.jobs.bulk_jobs import JobKind
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.tracking.rerunning import Preview, preview_rerun, start_reruns
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs.bulk import OF_PREVIEW, BulkView, Jobs, progress_of
from clickloop.web.api.logs.log_words import ConversionView, conversion_view, refuse_everything
from clickloop.web.api.logs.notices import NOUN
from clickloop.web.api.once import Done, Key, once
from clickloop.web.api.paging import Cursor, Limit, Page, RecordIdPath
from clickloop.web.api.problem import AnyRequest

MAX_PREVIEWED = 100  # a preview is looked at by a person


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


class RerunView(BulkView, kw_only=True):
    """A job that runs notices again, or with ``preview`` what it would do."""

    rerun_id: Annotated[str | None, Meta(description="null: it was a preview.")]
    matched: int
    done: Annotated[int, Meta(description="How many were run, or of a preview tried: the oldest 500.")]
    made: Annotated[int, Meta(description="How many came, or would come, to something else.")]
    owed: Annotated[int, Meta(description="Of a preview: postbacks that would be owed.")]
    outcomes: Annotated[list[OutcomeChange], Meta(description="Of a preview, the first 100.")]
    conversions: Annotated[list[ConversionChange], Meta(description="Of a preview, the first 100.")]


def rerun_notices(
    context: Context, request: AnyRequest, data: JSONBody[BulkRerun], key: Key = ""
) -> Response[RerunView]:
    """Starts a job that reads all that match now again by today's settings, and owes what follows. `preview` tells first what would
    change: it is the same step, taken back. See how far it is at `GET /notices/reruns/{rerun_id}`.
    """
    wanted = filter_in(data, NoticeFilter)
    refuse_everything(wanted)
    if data.preview:
        return Response(_preview(preview_rerun(context.desk(), wanted, context.clock())), status_code=200)

    def do(tx: Connection) -> Done:
        return Done(202, start_rerun(tx, context, data))

    return once(context, request, key, data, do)


def start_rerun(tx: Connection, context: ApiContext, data: BulkRerun) -> RerunView:
    """Start the job."""
    job = start_reruns(tx, context.desk(), filter_in(data, NoticeFilter), context.clock())
    return _JOBS.started(tx, context, job, data, Action.RERUN)


def list_reruns(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[RerunView]:
    """The jobs that run notices again, the newest first."""
    return _JOBS.page(context, limit, cursor)


def read_rerun(context: Context, rerun_id: RecordIdPath) -> RerunView:
    """A job that runs notices again."""
    return _JOBS.read(context, rerun_id)


def stop_rerun(context: Context, rerun_id: RecordIdPath) -> RerunView:
    """Ends a job where it is. What it has run stays so. One that has ended stays as it is."""
    return _JOBS.stop(context, rerun_id)


def _preview(preview: Preview) -> RerunView:
    outcomes = [
        OutcomeChange(
            notice_id=before.raw.notice_id,
            outcome=before.outcome,
            reason=before.reason,
            would_be=after.outcome,
            would_be_refused=after.reason,
        )
        for before, after in preview.notices[:MAX_PREVIEWED]
    ]
    touched = {before.raw.notice_id for before, _ in preview.notices} | {change.notice_id for change in preview.changes}
    return RerunView(
        rerun_id=None,
        matched=preview.matched,
        done=preview.looked_at,
        made=len(touched),
        owed=preview.owed,
        outcomes=outcomes,
        conversions=[_change(change) for change in preview.changes[:MAX_PREVIEWED]],
        **OF_PREVIEW,
    )


def _change(change: Change) -> ConversionChange:
    return ConversionChange(
        notice_id=change.notice_id,
        kind=change.kind,
        before=conversion_view(change.before) if change.before else None,
        after=conversion_view(change.after),
    )


_JOBS = Jobs(
    JobKind.RERUN,
    f"{NOUN}/reruns",
    lambda job: RerunView(rerun_id=job.bulk_job_id, owed=0, outcomes=[], conversions=[], **progress_of(job)),
)

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
        post("/reruns/{rerun_id:str}/stop", status_code=200, sync_to_thread=True, summary="Stop a rerun")(stop_rerun),
    ],
    tags=["Notices"],
)
