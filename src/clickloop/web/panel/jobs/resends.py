"""Sending postbacks again, all that match a filter: counted first; the job goes on when the page is closed."""

from typing import Any

from litestar import get, post

from clickloop.postback.due import SkipReason
from clickloop.postback.postback_log import ResendFilter
from clickloop.postback.state import PostbackState
from clickloop.tracking.jobs.resends import BulkResendView
from clickloop.tracking.resending import Mode, NotResent
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import resends as api
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.page import Answer, page
from clickloop.web.panel.frame.viewer import Visit
from clickloop.web.panel.jobs.bulk_jobs import BulkPage, FormParameter
from clickloop.web.panel.logs.log_page import Asked, in_words


def show_form(visit: Visit, request: AnyRequest, context: Context) -> Answer:
    """The filter, taken over from the log."""
    return _PAGE.show(visit, request, context)


def ask(visit: Visit, request: AnyRequest, context: Context, form: FormParameter) -> Answer:
    """Counts what matches, or starts the job."""
    return _PAGE.ask(visit, request, context, form)


def show_job(visit: Visit, context: Context, resend_id: RecordIdPath) -> Answer:
    """How far a job is."""
    return page(visit, "resend_job.html", job=api.read_resend(context, resend_id), why=_why)


def _more(_context: ApiContext, asked: Asked, preview: BulkResendView | None) -> dict[str, Any]:
    return {
        "mode": _mode(asked),
        "left_out": sum(preview.left_out.values()) if preview else 0,
        "why": _why,
    }


def _mode(asked: Asked) -> str:
    """How to resend: unchanged unless it is chosen otherwise. Of what was skipped there is no request to repeat."""
    is_skipped = asked.text("state") == PostbackState.SKIPPED or bool(asked.text("reason"))
    return Mode.ANEW.value if is_skipped else asked.text("request") or Mode.AS_IT_WAS.value


def _why(word: str) -> str:
    """Why some are left out, for people: ``still_skipped: below_minimum`` as both sentences."""
    kind, _, detail = word.partition(": ")
    told = NotResent(kind).sentence if kind in {known.value for known in NotResent} else in_words(kind)
    reasons = {known.value: known.sentence for known in SkipReason}
    return f"{told} {reasons[detail]}" if detail in reasons else told


_PAGE = BulkPage(
    template="resend.html",
    filters=ResendFilter,
    body=api.BulkResend,
    view=BulkResendView,
    start=api.resend_postbacks,
    list_jobs=api.list_resends,
    path_of=lambda job: f"/panel/postbacks/resends/{job.resend_id}",
    more=_more,
    settled=lambda asked: {"request": _mode(asked)},
)

routes = [
    get("/postbacks/resend", sync_to_thread=True)(show_form),
    post("/postbacks/resend", sync_to_thread=True)(ask),
    get("/postbacks/resends/{resend_id:str}", sync_to_thread=True)(show_job),
]
