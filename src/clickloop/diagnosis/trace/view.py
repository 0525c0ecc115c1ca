"""The view of a trace, for the API and the panel."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.clock import Moment
from clickloop.diagnosis.trace.lookup import MAX_TRACED
from clickloop.diagnosis.trace.trace import EventKind, Trace
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.postback_view import FindingView, finding_views
from clickloop.logs.view import view_of


class DetailView(msgspec.Struct, kw_only=True):
    """A detail of an event."""

    name: Annotated[str, Meta(examples=["external id"])]
    value: str


class EventView(msgspec.Struct, kw_only=True):
    """An event of a trace."""

    at: Moment
    kind: EventKind
    id: Annotated[str, Meta(description="The record that it comes from.")]
    sentence: Annotated[str, Meta(examples=["A visitor followed the campaign link."])]
    details: list[DetailView]
    findings: Annotated[list[FindingView], Meta(description="The result of each condition of a postback's rule.")]


class TraceView(msgspec.Struct, kw_only=True):
    """The whole story of a click, oldest event first."""

    click_id: str
    click: Annotated[ClickView | None, Meta(description="null if the ID is valid but its click has not arrived.")]
    events: list[EventView]
    left_out: Annotated[
        str,
        Meta(
            description=f"The number of older records left out: at most {MAX_TRACED} of each kind are included. Empty for none."
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
