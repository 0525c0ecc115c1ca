"""Reprocessing of all notices that match a filter, with a preview. The job runs in the background."""

from typing import Any

from litestar import get

from clickloop.conversion.notice_log import NoticeFilter
from clickloop.logs.column import names_for
from clickloop.logs.columns import CONVERSION_COLUMNS
from clickloop.tracking.jobs.reruns import RerunView
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import reruns as api
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer
from clickloop.web.panel.jobs.bulk_jobs import BulkPage
from clickloop.web.panel.logs.log_page import LogQuery


def show_job(viewer: CurrentViewer, context: Context, rerun_id: RecordIdPath) -> PageResponse:
    return page(viewer, "rerun_job.html", job=api.read_rerun(context, rerun_id))


def _more(context: ApiContext, _query: LogQuery, preview: RerunView | None) -> dict[str, Any]:
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
    *_PAGE.routes("/notices/rerun"),
    get("/notices/reruns/{rerun_id:str}", sync_to_thread=True)(show_job),
]
