"""Resending of all postbacks that match a filter, with a count first. The job runs in the background."""

from typing import Any

from litestar import get

from clickloop.postback.due import SkipReason
from clickloop.postback.postback_log import ResendFilter
from clickloop.postback.state import PostbackState
from clickloop.tracking.jobs.resends import BulkResendView
from clickloop.tracking.resending import NotResentReason, ResendMode
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import resends as api
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.panel.frame.field_names import label
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer
from clickloop.web.panel.jobs.bulk_jobs import BulkPage
from clickloop.web.panel.logs.log_page import LogQuery


def show_job(viewer: CurrentViewer, context: Context, resend_id: RecordIdPath) -> PageResponse:
    return page(viewer, "resend_job.html", job=api.read_resend(context, resend_id), why=_why)


def _more(_context: ApiContext, query: LogQuery, preview: BulkResendView | None) -> dict[str, Any]:
    return {
        "mode": _mode(query),
        "left_out": sum(preview.left_out.values()) if preview else 0,
        "why": _why,
    }


def _mode(query: LogQuery) -> str:
    """Return how to resend: unchanged by default, but always rebuilt for skipped postbacks, which have no request."""
    is_skipped = query.text("state") == PostbackState.SKIPPED or bool(query.text("reason"))
    return ResendMode.ANEW.value if is_skipped else query.text("request") or ResendMode.AS_IT_WAS.value


def _why(word: str) -> str:
    """Return the sentences of a reason for leaving postbacks out: ``still_skipped: below_minimum`` has two."""
    kind, _, detail = word.partition(": ")
    sentence = NotResentReason(kind).sentence if kind in {known.value for known in NotResentReason} else label(kind)
    reasons = {known.value: known.sentence for known in SkipReason}
    return f"{sentence} {reasons[detail]}" if detail in reasons else sentence


_PAGE = BulkPage(
    template="resend.html",
    filters=ResendFilter,
    body=api.BulkResend,
    view=BulkResendView,
    start=api.resend_postbacks,
    list_jobs=api.list_resends,
    path_of=lambda job: f"/panel/postbacks/resends/{job.resend_id}",
    more=_more,
    derived=lambda query: {"request": _mode(query)},
)

routes = [
    *_PAGE.routes("/postbacks/resend"),
    get("/postbacks/resends/{resend_id:str}", sync_to_thread=True)(show_job),
]
