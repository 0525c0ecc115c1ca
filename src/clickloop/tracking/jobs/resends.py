"""Jobs that resend postbacks, and the preview of one."""

from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.clock import Moment, optional_iso_text
from clickloop.logs.listing import POSTBACKS
from clickloop.postback.postback_log import PostbackFilter
from clickloop.postback.state import PostbackState
from clickloop.store.ledger.jobs.bulk_jobs import BulkJob, JobKind
from clickloop.store.ledger.queue.resends import StateScope, count_matching, count_superseded, time_span_of_matching
from clickloop.tracking.jobs.bulk import OF_PREVIEW, BulkView, Jobs, job_view
from clickloop.tracking.resending import NotResentReason, ResendMode, ResendRequest

ResendModeField = Annotated[
    ResendMode,
    Meta(description="as_it_was sends the same bytes again. anew builds the request from the current rule and set-up."),
]


class BulkResendView(BulkView, kw_only=True):
    """A job that resends postbacks, or the preview of one."""

    resend_id: Annotated[str | None, Meta(description="null in a preview.")]
    request: ResendModeField
    matched: Annotated[
        int,
        Meta(
            description="Pairs of a change and a rule whose latest postback matched. Unfinished ones only match by state."
        ),
    ]
    matched_by_state: Annotated[dict[str, int], Meta(description="The same by state, only in a preview.")]
    done: Annotated[int, Meta(description="Postbacks processed so far.")]
    made: Annotated[int, Meta(description="Postbacks resent so far.")]
    left_out: Annotated[dict[str, int], Meta(description="Postbacks left out, by reason.")]
    first_at: Annotated[
        Moment | None, Meta(description="In a preview, when the oldest match was created. null if there is none.")
    ] = None
    last_at: Annotated[Moment | None, Meta(description="In a preview, when the newest match was created.")] = None
    resumes_rule: Annotated[int | None, Meta(description="The paused rule that is resumed when the job has ended.")] = (
        None
    )


def preview_resends(tx: Connection, wanted: PostbackFilter, mode: ResendMode) -> BulkResendView:
    """Return the preview of a job."""
    by_state = count_matching(tx, wanted, StateScope.FINAL)
    superseded = count_superseded(tx, wanted)
    first_at, last_at = time_span_of_matching(tx, wanted, StateScope.FINAL) or (None, None)
    left_out = {NotResentReason.SUPERSEDED.value: superseded} if superseded else {}
    if mode is ResendMode.AS_IT_WAS and PostbackState.SKIPPED in by_state:
        left_out[NotResentReason.NOTHING_WAS_SENT.value] = by_state[PostbackState.SKIPPED]
    return BulkResendView(
        resend_id=None,
        request=mode,
        matched=sum(by_state.values()),
        matched_by_state={state.value: matched for state, matched in by_state.items()},
        done=0,
        made=0,
        left_out=left_out,
        first_at=optional_iso_text(first_at),
        last_at=optional_iso_text(last_at),
        **OF_PREVIEW,
    )


def _view(job: BulkJob) -> BulkResendView:
    asked = msgspec.json.decode(job.asked, type=ResendRequest)
    return job_view(
        BulkResendView,
        job,
        resend_id=job.bulk_job_id,
        request=asked.mode,
        matched_by_state={},
        resumes_rule=asked.resumes_rule,
        first_at=None,
        last_at=None,
    )


RESENDS = Jobs(JobKind.RESEND, f"{POSTBACKS}/resends", _view)
