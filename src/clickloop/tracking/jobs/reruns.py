"""Jobs that reprocess notices, and the preview of one."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.conversion.conversion import Change, ChangeKind
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import NoticeFilter, NoticeOutcome
from clickloop.logs.conversion_view import ConversionView, conversion_view
from clickloop.logs.listing import NOTICES
from clickloop.store.ledger.jobs.bulk_jobs import JobKind
from clickloop.tracking.jobs.bulk import OF_PREVIEW, BulkView, Jobs, job_view
from clickloop.tracking.notices import Intake
from clickloop.tracking.rerunning import preview_rerun

MAX_PREVIEWED = 100  # a preview is read by a person


class OutcomeChange(msgspec.Struct, kw_only=True):
    """A notice whose outcome would change."""

    notice_id: str
    outcome: NoticeOutcome
    reason: RefusalReason | None
    would_be: NoticeOutcome
    would_be_refused: Annotated[RefusalReason | None, Meta(description="The reason if it would be refused.")]


class ConversionChange(msgspec.Struct, kw_only=True):
    """A conversion that would change. A new one gets its final id when it is registered."""

    notice_id: str
    kind: Annotated[ChangeKind, Meta(description="The most important part that would change.")]
    before: Annotated[ConversionView | None, Meta(description="null if it would be new.")]
    after: ConversionView


class RerunView(BulkView, kw_only=True):
    """A job that reprocesses notices, or the preview of one."""

    rerun_id: Annotated[str | None, Meta(description="null in a preview.")]
    matched: int
    done: Annotated[int, Meta(description="Notices processed so far. A preview tries the oldest 500.")]
    made: Annotated[int, Meta(description="Notices whose result changed, or would change.")]
    owed: Annotated[int, Meta(description="Postbacks that would be created, in a preview.")]
    outcomes: Annotated[list[OutcomeChange], Meta(description="In a preview, the first 100.")]
    conversions: Annotated[list[ConversionChange], Meta(description="In a preview, the first 100.")]


def preview_reruns(intake: Intake, wanted: NoticeFilter, now_ms: int) -> RerunView:
    """Return the preview of a job. Nothing is written."""
    preview = preview_rerun(intake, wanted, now_ms)
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
        done=preview.examined,
        made=len(touched),
        owed=preview.owed,
        outcomes=outcomes,
        conversions=[_change_view(change) for change in preview.changes[:MAX_PREVIEWED]],
        **OF_PREVIEW,
    )


def _change_view(change: Change) -> ConversionChange:
    return ConversionChange(
        notice_id=change.notice_id,
        kind=change.kind,
        before=conversion_view(change.before) if change.before else None,
        after=conversion_view(change.after),
    )


RERUNS = Jobs(
    JobKind.RERUN,
    f"{NOTICES}/reruns",
    lambda job: job_view(RerunView, job, rerun_id=job.bulk_job_id, owed=0, outcomes=[], conversions=[]),
)
