"""Running notices again, all that match a filter: what would change is shown first; the job goes on when the page is closed."""

from typing import Any

from litestar import get, post

from clickloop.conversion.notice_log import NoticeFilter
from clickloop.logs.column import names_for
from clickloop.logs.columns import CONVERSION_COLUMNS
from clickloop.tracking.jobs.reruns import RerunView
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import reruns as api
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.page import Answer, page
from clickloop.web.panel.frame.viewer import Visit
from clickloop.web.panel.jobs.bulk_jobs import BulkPage, FormParameter
from clickloop.web.panel.logs.log_page import Asked


def show_form(visit: Visit, request: AnyRequest, context: Context) -> Answer:
    """The filter, taken over from the log."""
    return _PAGE.show(visit, request, context)


def ask(visit: Visit, request: AnyRequest, context: Context, form: FormParameter) -> Answer:
    """Shows what would change, or starts the job."""
    return _PAGE.ask(visit, request, context, form)


def show_job(visit: Visit, context: Context, rerun_id: RecordIdPath) -> Answer:
    """How far a job is."""
    return page(visit, "rerun_job.html", job=api.read_rerun(context, rerun_id))


def _more(context: ApiContext, _asked: Asked, preview: RerunView | None) -> dict[str, Any]:
    with context.ledger.read() as tx:
        shown = [change.after for change in preview.conversions] if preview else []
        return {"names": names_for(tx, CONVERSION_COLUMNS, shown)}


_PAGE = BulkPage(
    template="rerun.html",
    filters=NoticeFilter,
    body=api.BulkRerun,
    view=RerunView,
    start=api.rerun_notices,
    list_jobs=api.list_reruns,
    path_of=lambda job: f"/panel/notices/reruns/{job.rerun_id}",
    more=_more,
)

routes = [
    get("/notices/rerun", sync_to_thread=True)(show_form),
    post("/notices/rerun", sync_to_thread=True)(ask),
    get("/notices/reruns/{rerun_id:str}", sync_to_thread=True)(show_job),
]
