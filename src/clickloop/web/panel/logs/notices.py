"""Conversions - In: everything that told of conversions, also what was refused and why; one notice, and running it again."""

from litestar import get, post

from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.web.api.context import Context
from clickloop.web.api.logs import notices as api
from clickloop.web.api.logs.columns import NOTICE_COLUMNS, names_for
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer
from clickloop.web.panel.logs.log_page import flag_sentence, log_page

PATH = "/panel/notices"


def show_list(viewer: CurrentViewer, request: AnyRequest, context: Context) -> PageResponse:
    """Notices, the newest first."""
    return log_page(viewer, request, context, ExportNoun.NOTICES)


def show(viewer: CurrentViewer, context: Context, notice_id: RecordIdPath) -> PageResponse:
    """A notice: as it came, how each parameter was understood, and what became of it."""
    view = api.read_notice(context, notice_id)
    with context.ledger.read() as tx:
        names = names_for(tx, NOTICE_COLUMNS, [view])
    return page(viewer, "notice.html", view=view, names=names, flag_sentence=flag_sentence)


def run_again(viewer: CurrentViewer, context: Context, notice_id: RecordIdPath) -> PageResponse:
    """Reads the notice again by today's settings."""
    view = api.rerun_notice(context, notice_id)
    return viewer.go(f"{PATH}/{view.notice_id}", Said.RERUN)


routes = [
    get("/notices", sync_to_thread=True)(show_list),
    get("/notices/{notice_id:str}", sync_to_thread=True)(show),
    post("/notices/{notice_id:str}/rerun", sync_to_thread=True)(run_again),
]
