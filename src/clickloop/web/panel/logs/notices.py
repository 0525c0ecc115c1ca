"""Conversions - In: everything that told of conversions, also what was refused and why; one notice, and running it again."""

from litestar import get, post

from clickloop.logs.column import names_for
from clickloop.logs.columns import NOTICE_COLUMNS
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.web.api.context import Context
from clickloop.web.api.logs import notices as api
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.page import Answer, page
from clickloop.web.panel.frame.viewer import Visit
from clickloop.web.panel.logs.log_page import flag_sentence, log_page

PATH = "/panel/notices"


def show_list(visit: Visit, request: AnyRequest, context: Context) -> Answer:
    """Notices, the newest first."""
    return log_page(visit, request, context, ExportNoun.NOTICES)


def show(visit: Visit, context: Context, notice_id: RecordIdPath) -> Answer:
    """A notice: as it came, how each parameter was understood, and what became of it."""
    view = api.read_notice(context, notice_id)
    with context.ledger.read() as tx:
        names = names_for(tx, NOTICE_COLUMNS, [view])
    return page(visit, "notice.html", view=view, names=names, flag_sentence=flag_sentence)


def run_again(visit: Visit, context: Context, notice_id: RecordIdPath) -> Answer:
    """Reads the notice again by today's settings."""
    view = api.rerun_notice(context, notice_id)
    return visit.go(f"{PATH}/{view.notice_id}", Said.RERUN)


routes = [
    get("/notices", sync_to_thread=True)(show_list),
    get("/notices/{notice_id:str}", sync_to_thread=True)(show),
    post("/notices/{notice_id:str}/rerun", sync_to_thread=True)(run_again),
]
