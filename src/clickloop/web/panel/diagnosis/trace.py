"""Trace and search: an ID leads to its click's timeline, from click to postback attempts; a name leads to its record."""

from collections.abc import Sequence
from typing import Annotated

from litestar import get
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter

from clickloop.click.click import Click
from clickloop.diagnosis.id_search import FoundList, Matched, find_stories
from clickloop.diagnosis.route.lookup import explain_route
from clickloop.diagnosis.route.views import route_view
from clickloop.diagnosis.trace.costs import cost_sentence
from clickloop.diagnosis.trace.lookup import find_trace
from clickloop.diagnosis.trace.trace import EventKind
from clickloop.diagnosis.trace.view import trace_view
from clickloop.logs.column import names_for
from clickloop.logs.columns import CLICK_COLUMNS
from clickloop.setup.mark import mark_sentences, marks_of
from clickloop.tracking.costs.of_click import CostState, costs_of_click
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.check import route_settings
from clickloop.web.api.logs.clicks import canonical_click_id
from clickloop.web.panel.diagnosis.record_search import RecordMatch, find_records
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer, redirect
from clickloop.web.panel.logs.log_page import flag_sentence, screening_sentence

Pasted = Annotated[str, QueryParameter(max_length=1_024)]
Everything = Annotated[bool, QueryParameter(name="all")]

_PLACES = {
    EventKind.NOTICE: "notices",
    EventKind.RERUN: "notices",
    EventKind.CONVERSION: "conversions",
    EventKind.POSTBACK: "postbacks",
    EventKind.ATTEMPT: "postbacks",
}
_DETAIL_PLACES = {"notice": "notices", "conversion": "conversions", "rerun": "marks/reruns"}
_IN_PROGRESS = ("is queued", "is being sent", "is in progress", "waits for its click", "waits for earlier")


def show(viewer: CurrentViewer, context: Context, q: Pasted = "", everything: Everything = False) -> PageResponse:
    """Return the story or record that matches the query; a list if several do."""
    query = q.strip()
    found = find_stories(context, query, everything) if query else None
    records = find_records(context, query)
    if records:
        if len(records) == 1 and found is not None and not found.items:
            return redirect(records[0].address)
        return _form(viewer, context, q, found, records)
    if found is not None and len(found.items) == 1 and found.looked_back_to is None:
        (one,) = found.items
        if one.click_id is None:
            return redirect(f"/panel/notices/{one.record_id}")
        return story_page(viewer, context, one.click_id, q, one.record_id)
    if found is not None and len({one.click_id for one in found.items}) == 1 and found.items[0].click_id is not None:
        return story_page(viewer, context, found.items[0].click_id, q, found.items[0].record_id, found)
    return _form(viewer, context, q, found)


def story_page(
    viewer: Viewer,
    context: ApiContext,
    click_id: str,
    q: str = "",
    marked: str = "",
    found: FoundList | None = None,
) -> PageResponse:
    """Return the timeline of a click; events of the record ``marked`` stand out. Raise HTTPException 404 if it is empty."""
    trace = find_trace(context, canonical_click_id(context, click_id))
    view = trace_view(trace)
    if view.click is None and not view.events:
        raise HTTPException(
            status_code=404, detail="This is a click ID of this tracker, but no click with it has arrived."
        )
    with context.ledger.read() as tx:
        names = names_for(tx, CLICK_COLUMNS, [view.click] if view.click else [])
    return page(
        viewer,
        "story.html",
        view=view,
        route=route_view(explain_route(context.ledger, trace.click, route_settings(context))) if trace.click else None,
        q=q,
        names=names,
        marked="" if marked == view.click_id else marked,
        places=_PLACES,
        detail_places=_DETAIL_PLACES,
        flag_sentence=flag_sentence,
        screening_sentence=screening_sentence,
        costs=_cost_sentences(context, trace.click) if trace.click else [],
        marks=mark_sentences(marks_of(trace.click.marks)) if trace.click else [],
        columns=CLICK_COLUMNS,
        busy=any(words in event.sentence for event in view.events for words in _IN_PROGRESS),
        older=found.looked_back_to if found else None,
    )


def _cost_sentences(context: ApiContext, click: Click) -> list[str]:
    """Return what a click costs and why, and then what it would cost otherwise."""
    costs = costs_of_click(context.ledger, context.facts.costs, click)
    counting = [cost_sentence(cost) for cost in costs if cost.state is CostState.COUNTS]
    covered = [f"covered: {cost_sentence(cost)}" for cost in reversed(costs) if cost.state is CostState.COVERED]
    return [*counting, *covered]


def _form(
    viewer: Viewer, context: ApiContext, q: str, found: FoundList | None, records: Sequence[RecordMatch] = ()
) -> PageResponse:
    with context.ledger.read() as tx:
        campaigns = [column for column in CLICK_COLUMNS if column.key == "campaign"]
        names = names_for(tx, campaigns, found.items if found else [])
    return page(viewer, "trace.html", q=q, found=found, records=records, names=names, Matched=Matched)


routes = [get("/trace", sync_to_thread=True)(show)]
