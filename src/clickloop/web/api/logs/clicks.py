"""/clicks: what was recorded of visitors, and the whole story of one."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Stream
from msgspec import Meta

from clickloop.click.click_log import ClickFilter
from clickloop.click.click_values import SetupNames
from clickloop.click_id import Fault
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.notice_log import NoticeFilter
from clickloop.diagnosis.trace import EventKind, LeftOut, Trace, trace_click
from clickloop.diagnosis.trace_text import trace_text
from clickloop.postback.postback_log import Attempt
from clickloop.store.ledger.logs.conversions import conversions_before, count_conversions_of_click, newest_changes
from clickloop.store.ledger.logs.notices import count_notices, notices_of_click
from clickloop.store.ledger.logs.postbacks import (
    IDS_PER_QUERY,
    attempts_of,
    count_postbacks_of_click,
    postbacks_of_click,
)
from clickloop.store.ledger.setup.rules import names_around
from clickloop.text import text_of
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.logs.columns import CLICK_COLUMNS, chosen_columns
from clickloop.web.api.logs.log_csv import ChosenColumns, exported
from clickloop.web.api.logs.log_words import ClickView, click_view
from clickloop.web.api.logs.postbacks import FindingView, finding_views
from clickloop.web.api.paging import ClickIdPath, Cursor, Limit, Page, page_of, read_cursor
from clickloop.web.api.problem import AnyRequest, not_found
from clickloop.web.api.query import from_query
from clickloop.web.api.text_page import AskedFormat, Format, text_response, wants_text
from clickloop.web.api.wire import Moment, moment_text

NOUN = "clicks"
MAX_TRACED = 200
"""Notices, conversions, changes and postbacks each in a story, the newest; of the others only the number is told."""


class DetailView(msgspec.Struct, kw_only=True):
    """One fact about an event."""

    name: Annotated[str, Meta(examples=["external id"])]
    value: str


class EventView(msgspec.Struct, kw_only=True):
    """Something that happened."""

    at: Moment
    kind: EventKind
    id: Annotated[str, Meta(description="The record that it is from.")]
    sentence: Annotated[str, Meta(examples=["A visitor followed the campaign link."])]
    details: list[DetailView]
    findings: Annotated[list[FindingView], Meta(description="Of a postback: its rule's conditions one by one.")]


class TraceView(msgspec.Struct, kw_only=True):
    """The whole story of a click, the oldest event first."""

    click_id: str
    click: Annotated[ClickView | None, Meta(description="null: the id is genuine, but its click has not arrived.")]
    events: list[EventView]
    left_out: Annotated[
        str,
        Meta(
            description=f"How many older records are not among the events, which hold the newest {MAX_TRACED} of a kind; empty: none."
        ),
    ]


Wanted = NamedDependency[SkipValidation[ClickFilter]]


def list_clicks(context: Context, wanted: Wanted, limit: Limit = 50, cursor: Cursor = "") -> Page[ClickView]:
    """Clicks, the newest first. One shows up here within a second of the visit."""
    if wanted.external_id is not None:
        # Visitors' texts are kept byte for byte, in the form of text_of.
        stored = text_of(wanted.external_id.encode("utf-8", "surrogateescape"))
        wanted = msgspec.structs.replace(wanted, external_id=stored)
    found = context.facts.clicks_page(wanted, limit + 1, read_cursor(NOUN, cursor))
    return page_of(found, limit, NOUN, lambda click: click.click_id, click_view)


def export_clicks(context: Context, wanted: Wanted, columns: ChosenColumns = "") -> Stream:
    """Clicks as CSV, the newest first."""
    return exported(context, NOUN, chosen_columns(CLICK_COLUMNS, columns), partial(list_clicks, context, wanted))


def read_click(context: Context, click_id: ClickIdPath) -> ClickView:
    """One click by its id, in upper or lower case."""
    canonical = canonical_click_id(context, click_id)
    click = context.facts.find_clicks([canonical]).get(canonical)
    if click is None:
        raise not_found("click of that id yet")
    return click_view(click)


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


def trace_view(trace: Trace) -> TraceView:
    """A trace for JSON."""
    return TraceView(
        click_id=trace.click_id,
        click=click_view(trace.click) if trace.click else None,
        left_out=trace.left_out.sentence,
        events=[
            EventView(
                at=moment_text(event.at),
                kind=event.kind,
                id=event.id,
                sentence=event.sentence,
                details=[DetailView(name=detail.name, value=detail.value) for detail in event.details],
                findings=finding_views(event.findings),
            )
            for event in trace.events
        ],
    )


def find_trace(context: ApiContext, click_id: ClickIdPath) -> Trace:
    """All that is known of a canonical click id. A click that has left the facts is read from its conversions."""
    click = context.facts.find_clicks([click_id]).get(click_id)
    with context.ledger.read() as tx:
        conversions = conversions_before(tx, ConversionFilter(click_id=click_id), None, MAX_TRACED)
        notices = notices_of_click(tx, click_id, MAX_TRACED)
        ids = [conversion.conversion_id for conversion in conversions]
        changes = newest_changes(tx, ids, MAX_TRACED + 1)
        postbacks = postbacks_of_click(tx, click_id, MAX_TRACED)
        left_out = LeftOut(
            notices=_older(notices, lambda: count_notices(tx, NoticeFilter(click_id=click_id))),
            conversions=_older(conversions, lambda: count_conversions_of_click(tx, click_id)),
            changes=len(changes) > MAX_TRACED,
            postbacks=_older(postbacks, lambda: count_postbacks_of_click(tx, click_id)),
        )
        if click is None and conversions:
            click = conversions[0].click
        names = names_around(tx, click) if click else SetupNames()
        attempts: dict[str, tuple[Attempt, ...]] = {}
        for start in range(0, len(postbacks), IDS_PER_QUERY):
            attempts |= attempts_of(tx, [postback.postback_id for postback in postbacks[start : start + IDS_PER_QUERY]])
    trace = trace_click(click_id, click, notices, changes, postbacks, attempts, names)
    return msgspec.structs.replace(trace, left_out=left_out)


def _older(found: Sequence[object], count: Callable[[], int]) -> int:
    """Return how many more there are than were found; they are counted only where as many were found as are looked for."""
    return count() - len(found) if len(found) == MAX_TRACED else 0


def canonical_click_id(context: ApiContext, text: str) -> str:
    """The id in lower case. Raises a 404 for what is no id of ours."""
    read = context.click_ids.read(text)
    if read is Fault.FORGED:
        raise not_found("click of that id: it is not of this tracker, mistyped or cut")
    if isinstance(read, Fault):
        raise not_found("click of that id: it does not have the form of one of ours")
    return read.text


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List clicks")(list_clicks),
        get("/export", sync_to_thread=True, media_type="text/csv", summary="Export clicks as CSV")(export_clicks),
        get("/{click_id:str}", sync_to_thread=True, summary="Read a click")(read_click),
        get("/{click_id:str}/trace", sync_to_thread=True, summary="Trace a click")(read_trace),
    ],
    dependencies={"wanted": from_query(ClickFilter)},
    tags=["Clicks"],
)
