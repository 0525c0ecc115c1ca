"""/clicks: the clicks of visitors, and the trace of one."""

from collections.abc import Iterator

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Stream

from clickloop.click.click_log import ClickFilter
from clickloop.click_id import ClickIdFault
from clickloop.diagnosis.route.lookup import explain_route
from clickloop.diagnosis.route.text import route_lines
from clickloop.diagnosis.route.views import route_view
from clickloop.diagnosis.trace import Trace
from clickloop.diagnosis.trace_lookup import find_trace
from clickloop.diagnosis.trace_text import trace_text
from clickloop.diagnosis.trace_view import TraceView, trace_view
from clickloop.logs import listing
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.listing import CLICKS
from clickloop.logs.page import Page
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.check import route_settings
from clickloop.web.api.logs.log_csv import ChosenColumns, exported
from clickloop.web.api.paging import ClickIdPath, Cursor, Limit
from clickloop.web.api.problem import AnyRequest, expect_found, not_found
from clickloop.web.api.query import from_query
from clickloop.web.api.text_page import AnswerFormat, RequestedFormat, text_response, wants_text

Wanted = NamedDependency[SkipValidation[ClickFilter]]


def list_clicks(context: Context, wanted: Wanted, limit: Limit = 50, cursor: Cursor = "") -> Page[ClickView]:
    """List clicks, newest first. A click is listed within a second of the visit."""
    return listing.list_clicks(context, wanted, limit, cursor)


def export_clicks(context: Context, wanted: Wanted, columns: ChosenColumns = "") -> Stream:
    """Export clicks as CSV, newest first."""
    return exported(context, ExportNoun.CLICKS, wanted, columns)


def read_click(context: Context, click_id: ClickIdPath) -> ClickView:
    """Return a click. Its ID may be in upper or lower case."""
    canonical = canonical_click_id(context, click_id)
    click = context.facts.find_clicks([canonical]).get(canonical)
    return click_view(expect_found(click, "click with that ID yet"))


def read_trace(
    context: Context, request: AnyRequest, click_id: ClickIdPath, answer_format: RequestedFormat = AnswerFormat.JSON
) -> Response[TraceView]:
    """Return a timeline of click, redirect, notices (refused ones too), conversions and their changes, postbacks and attempts."""
    trace = find_trace(context, canonical_click_id(context, click_id))
    if trace.click is None and not trace.events:
        raise not_found("click with that ID yet")
    if wants_text(request, answer_format):
        return text_response(trace_text(trace, _route_lines(context, trace)))
    return Response(trace_view(trace))


def _route_lines(context: ApiContext, trace: Trace) -> Iterator[str]:
    """Return in short how the click's route came about."""
    if trace.click is None:
        return iter(())
    return route_lines(route_view(explain_route(context.ledger, trace.click, route_settings(context))))


def canonical_click_id(context: ApiContext, text: str) -> str:
    """Return a click ID in lower case. Raise HTTPException 404 if it is not one of ours."""
    read = context.click_ids.read(text)
    if read is ClickIdFault.FORGED:
        raise not_found("click of that id: it is mistyped, cut off or from another tracker")
    if isinstance(read, ClickIdFault):
        raise not_found("click of that id: it does not look like one of our click IDs")
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
