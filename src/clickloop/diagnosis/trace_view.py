"""A trace as the API and the panel show it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.clock import Moment
from clickloop.diagnosis.trace import EventKind, Trace
from clickloop.diagnosis.trace_lookup import MAX_TRACED
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.postback_view import FindingView, finding_views
from clickloop.logs.view import view_of


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


def trace_view(trace: Trace) -> TraceView:
    """Return the view of a trace."""
    events = [
        view_of(
            EventView,
            event,
            details=[view_of(DetailView, detail) for detail in event.details],
            findings=finding_views(event.findings),
        )
        for event in trace.events
    ]
    click = click_view(trace.click) if trace.click else None
    return TraceView(click_id=trace.click_id, click=click, events=events, left_out=trace.left_out.sentence)
