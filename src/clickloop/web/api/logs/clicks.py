"""/clicks: the clicks of visitors, and the trace of one."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Stream
from msgspec import Meta

from clickloop.click.click_log import ClickFilter
from clickloop.click_id import ClickIdFault
from clickloop.clock import Moment, optional_iso_text
from clickloop.diagnosis.route.lookup import explain_route
from clickloop.diagnosis.route.text import route_lines
from clickloop.diagnosis.route.views import route_view
from clickloop.diagnosis.trace.lookup import find_trace
from clickloop.diagnosis.trace.text import trace_text
from clickloop.diagnosis.trace.trace import Trace
from clickloop.diagnosis.trace.view import TraceView, trace_view
from clickloop.logs import listing
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.listing import CLICKS
from clickloop.logs.page import Page
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.text import readable
from clickloop.tracking.costs.of_click import ClickCost, CostState, costs_of_click
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


class ClickCostView(msgspec.Struct, kw_only=True):
    """A cost of a click, and whether it counts."""

    origin: Annotated[str, Meta(description="link, model, or the kind of the entry.", examples=["manual"])]
    amount: Annotated[MoneyText, Meta(description="The click's share. 0 if it has none any more.")]
    state: Annotated[
        CostState,
        Meta(
            description="counts: it is the click's cost. covered: an entry counts before it. undone, replaced: the entry does not "
            "cover the click any more."
        ),
    ]
    cost_id: Annotated[int | None, Meta(description="The cost entry; null for link and model.")]
    entered: Annotated[MoneyText | None, Meta(description="The entry's whole amount.")]
    clicks_bearing: Annotated[int | None, Meta(description="The number of clicks that bear the entry's amount.")]
    entered_by: str
    entered_at: Moment | None


def read_click(context: Context, click_id: ClickIdPath) -> ClickView:
    """Return a click. Its ID may be in upper or lower case."""
    canonical = canonical_click_id(context, click_id)
    click = context.facts.find_clicks([canonical]).get(canonical)
    return click_view(expect_found(click, "click with that ID yet"))


def read_click_costs(context: Context, click_id: ClickIdPath) -> list[ClickCostView]:
    """List a click's costs: that of its link or the campaign's model, then those of cost entries, the oldest first.

    One of them counts, or none. The cost of a click itself is what its link or the model said when it arrived.
    """
    canonical = canonical_click_id(context, click_id)
    click = expect_found(context.facts.find_clicks([canonical]).get(canonical), "click with that ID yet")
    return [_cost_view(cost) for cost in costs_of_click(context.ledger, context.facts.costs, click)]


def _cost_view(cost: ClickCost) -> ClickCostView:
    entry = cost.entry
    return ClickCostView(
        origin=cost.origin,
        amount=money_text(cost.micros, cost.currency),
        state=cost.state,
        cost_id=entry.entry_id if entry else None,
        entered=money_text(entry.micros, entry.currency) if entry else None,
        clicks_bearing=entry.shared if entry else None,
        entered_by=readable(entry.entered_by) if entry else "",
        entered_at=optional_iso_text(entry.created_at if entry else None),
    )


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
        get("/{click_id:str}/costs", sync_to_thread=True, summary="List a click's costs")(read_click_costs),
        get("/{click_id:str}/trace", sync_to_thread=True, summary="Trace a click")(read_trace),
    ],
    dependencies={"wanted": from_query(ClickFilter)},
    tags=["Clicks"],
)
