"""/conversions: conversions with their history, and reporting one over the API."""

from litestar import Response, Router, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from litestar.response import Stream

from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.conversion.reported import ConversionCorrection, ConversionReport
from clickloop.logs import listing
from clickloop.logs.conversion_view import ConversionHistoryView, ConversionView, find_conversion_history
from clickloop.logs.listing import CONVERSIONS
from clickloop.logs.page import Page
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.tracking import by_hand
from clickloop.tracking.by_hand import ReportedView
from clickloop.web.api.context import Context
from clickloop.web.api.logs.log_csv import ChosenColumns, exported
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import AnyRequest, expect_found
from clickloop.web.api.query import from_query

Wanted = NamedDependency[SkipValidation[ConversionFilter]]

_STATUS = {NoticeOutcome.NEW: 201, NoticeOutcome.CHANGED: 200, NoticeOutcome.REPEATED: 200, NoticeOutcome.WAITING: 202}


def report_conversion(
    context: Context, request: AnyRequest, data: JSONBody[ConversionReport]
) -> Response[ReportedView]:
    """Register a conversion as a network's postback would, and create its postbacks in the same transaction.

    201: new. 200: changed, or a repeat. 202: it waits for its click. 422: refused, with the reason. Every report is stored
    in Conversions - In. It is safe to send a report again: click_id and txid identify the conversion.
    """
    address = request.client.host if request.client else ""
    view = by_hand.report_conversion(context.intake(), context, data, address, context.on_postbacks_owed)
    return Response(view, status_code=_STATUS[view.outcome])


def change_conversion(
    context: Context, conversion_id: RecordIdPath, data: JSONBody[ConversionCorrection]
) -> ReportedView:
    """Change status or payout by hand. This adds a notice to Conversions - In, which creates postbacks like any other."""
    view = by_hand.correct_conversion(context.intake(), context, conversion_id.lower(), data, context.on_postbacks_owed)
    return expect_found(view, "conversion with that ID")


def list_conversions(context: Context, wanted: Wanted, limit: Limit = 50, cursor: Cursor = "") -> Page[ConversionView]:
    """List conversions, newest first."""
    return listing.list_conversions(context, wanted, limit, cursor)


def export_conversions(context: Context, wanted: Wanted, columns: ChosenColumns = "") -> Stream:
    """Export conversions as CSV, newest first."""
    return exported(context, ExportNoun.CONVERSIONS, wanted, columns)


def read_conversion(context: Context, conversion_id: RecordIdPath) -> ConversionHistoryView:
    """Return a conversion and its changes, oldest first. Of more than 500 changes it returns the newest 500."""
    with context.ledger.read() as tx:
        history = find_conversion_history(tx, conversion_id.lower())
    return expect_found(history, "conversion with that ID")


router = Router(
    f"/{CONVERSIONS}",
    route_handlers=[
        post("/", sync_to_thread=True, summary="Report a conversion")(report_conversion),
        get("/", sync_to_thread=True, summary="List conversions")(list_conversions),
        get("/export", sync_to_thread=True, media_type="text/csv", summary="Export conversions as CSV")(
            export_conversions
        ),
        get("/{conversion_id:str}", sync_to_thread=True, summary="Read a conversion with its history")(read_conversion),
        patch("/{conversion_id:str}", sync_to_thread=True, summary="Change a conversion by hand")(change_conversion),
    ],
    dependencies={"wanted": from_query(ConversionFilter)},
    tags=["Conversions"],
)
