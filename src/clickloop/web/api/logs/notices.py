"""/notices: Conversions - In, every notice of a conversion, refused ones with the reason."""

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Stream

from clickloop.conversion.notice_log import NoticeFilter
from clickloop.logs import listing
from clickloop.logs.listing import NOTICES
from clickloop.logs.notice_view import NoticeStoryView, NoticeView, notice_story, notice_view
from clickloop.logs.page import Page
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.notices import find_notice
from clickloop.tracking.notices import rerun
from clickloop.web.api.context import Context
from clickloop.web.api.logs.log_csv import ChosenColumns, exported
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import expect_found, not_found
from clickloop.web.api.query import from_query

Wanted = NamedDependency[SkipValidation[NoticeFilter]]


def list_notices(context: Context, wanted: Wanted, limit: Limit = 50, cursor: Cursor = "") -> Page[NoticeView]:
    """List notices, newest first. Long queries and bodies are cut; read the notice itself for more."""
    return listing.list_notices(context, wanted, limit, cursor)


def export_notices(context: Context, wanted: Wanted, columns: ChosenColumns = "") -> Stream:
    """Export notices as CSV, newest first."""
    return exported(context, ExportNoun.NOTICES, wanted, columns)


def read_notice(context: Context, notice_id: RecordIdPath) -> NoticeStoryView:
    """Return a notice and the meaning of each of its parameters."""
    with context.ledger.read() as tx:
        notice = find_notice(tx, notice_id.lower())
    return notice_story(expect_found(notice, "incoming postback with that ID"))


def rerun_notice(context: Context, notice_id: RecordIdPath) -> NoticeView:
    """Reprocess a notice with the current settings, such as after mapping a status word, or when its click arrived late."""
    results = rerun(context.intake(), [notice_id.lower()], context.clock())
    if not results:
        raise not_found("incoming postback with that ID")
    context.on_postbacks_owed()
    view = notice_view(results[0].notice)
    with context.ledger.write() as tx:
        record_change(tx, context, NOTICES, view.notice_id, after=view, action=Action.RERUN)
    return view


router = Router(
    f"/{NOTICES}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List notices")(list_notices),
        get("/export", sync_to_thread=True, media_type="text/csv", summary="Export notices as CSV")(export_notices),
        get("/{notice_id:str}", sync_to_thread=True, summary="Read a notice")(read_notice),
        post("/{notice_id:str}/rerun", status_code=200, sync_to_thread=True, summary="Reprocess a notice")(
            rerun_notice
        ),
    ],
    dependencies={"wanted": from_query(NoticeFilter)},
    tags=["Notices"],
)
