"""Conversions - In: the log of notices, refused ones included; one notice, and its reprocessing."""

from litestar import get, post

from clickloop.logs.column import names_for
from clickloop.logs.columns import NOTICE_COLUMNS
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.web.api.context import Context
from clickloop.web.api.logs import notices as api
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer
from clickloop.web.panel.logs.log_page import flag_sentence, log_page

PATH = "/panel/notices"


def show_list(viewer: CurrentViewer, request: AnyRequest, context: Context) -> PageResponse:
    """Return the log of notices, newest first."""
    return log_page(viewer, request, context, ExportNoun.NOTICES)


def show(viewer: CurrentViewer, context: Context, notice_id: RecordIdPath) -> PageResponse:
    """Return a notice: the request, how its parameters were read, and the outcome."""
    view = api.read_notice(context, notice_id)
    with context.ledger.read() as tx:
        names = names_for(tx, NOTICE_COLUMNS, [view])
    return page(viewer, "notice.html", view=view, names=names, flag_sentence=flag_sentence)


def rerun(viewer: CurrentViewer, context: Context, notice_id: RecordIdPath) -> PageResponse:
    """Process the notice again with the current settings."""
    view = api.rerun_notice(context, notice_id)
    return viewer.go(f"{PATH}/{view.notice_id}", FlashMessage.RERUN)


routes = [
    get("/notices", sync_to_thread=True)(show_list),
    get("/notices/{notice_id:str}", sync_to_thread=True)(show),
    post("/notices/{notice_id:str}/rerun", sync_to_thread=True)(rerun),
]
