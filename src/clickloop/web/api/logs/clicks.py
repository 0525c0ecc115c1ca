"""/clicks: what was recorded of visitors, and the whole story of one."""

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Stream

from clickloop.click.click_log import ClickFilter
from clickloop.click_id import Fault
from clickloop.diagnosis.trace_lookup import find_trace
from clickloop.diagnosis.trace_text import trace_text
from clickloop.diagnosis.trace_view import TraceView, trace_view
from clickloop.logs import listing
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.listing import CLICKS
from clickloop.logs.page import Page
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.logs.log_csv import ChosenColumns, exported
from clickloop.web.api.paging import ClickIdPath, Cursor, Limit
from clickloop.web.api.problem import AnyRequest, expect_found, not_found
from clickloop.web.api.query import from_query
from clickloop.web.api.text_page import AskedFormat, Format, text_response, wants_text

Wanted = NamedDependency[SkipValidation[ClickFilter]]


def list_clicks(context: Context, wanted: Wanted, limit: Limit = 50, cursor: Cursor = "") -> Page[ClickView]:
    """Clicks, the newest first. One shows up here within a second of the visit."""
    return listing.list_clicks(context, wanted, limit, cursor)


def export_clicks(context: Context, wanted: Wanted, columns: ChosenColumns = "") -> Stream:
    """Clicks as CSV, the newest first."""
    return exported(context, ExportNoun.CLICKS, wanted, columns)


def read_click(context: Context, click_id: ClickIdPath) -> ClickView:
    """One click by its id, in upper or lower case."""
    canonical = canonical_click_id(context, click_id)
    click = context.facts.find_clicks([canonical]).get(canonical)
    return click_view(expect_found(click, "click of that id yet"))


def read_trace(
    context: Context, request: AnyRequest, click_id: ClickIdPath, told_as: AskedFormat = Format.JSON
) -> Response[TraceView]:
    """Click, redirect, notices (refused ones too), conversions with their history, postbacks and attempts, in one time line."""
    trace = find_trace(context, canonical_click_id(context, click_id))
    if trace.click is None and not trace.events:
        raise not_found("click of that id yet")
    if wants_text(request, told_as):
        return text_response(trace_text(trace))
    return Response(trace_view(trace))


def canonical_click_id(context: ApiContext, text: str) -> str:
    """Return a click id in lower case. Raise HTTPException 404 for what is none of ours."""
    read = context.click_ids.read(text)
    if read is Fault.FORGED:
        raise not_found("click of that id: it is not of this tracker, mistyped or cut")
    if isinstance(read, Fault):
        raise not_found("click of that id: it does not have the form of one of ours")
    return read.text


router = Router(
    f"/{CLICKS}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List clicks")(list_clicks),
        get("/export", sync_to_thread=True, media_type="text/csv", summary="Export clicks as CSV")(export_clicks),
        get("/{click_id:str}", sync_to_thread=True, summary="Read a click")(read_click),
        get("/{click_id:str}/trace", sync_to_thread=True, summary="Trace a click")(read_trace),
    ],
    dependencies={"wanted": from_query(ClickFilter)},
    tags=["Clicks"],
)
