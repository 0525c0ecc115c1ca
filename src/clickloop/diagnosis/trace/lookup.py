"""Reading the records of a trace."""

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.click.click import Click
from clickloop.click.click_values import SetupNames
from clickloop.click.page.page_event import PageEvent
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.notice_log import NoticeFilter
from clickloop.diagnosis.caps.status import instead_sentences
from clickloop.diagnosis.omitted_records import OmittedRecords
from clickloop.diagnosis.trace.corrections import with_corrections
from clickloop.diagnosis.trace.costs import with_costs
from clickloop.diagnosis.trace.trace import Trace, TracedPageEvent, trace_click, with_cap
from clickloop.logs.context import LogContext
from clickloop.postback.postback_log import PostbackAttempt
from clickloop.report.query import Dimension
from clickloop.store.ledger.logs.conversions import conversions_before, count_conversions_of_click, newest_changes
from clickloop.store.ledger.logs.notices import count_notices, notices_of_click
from clickloop.store.ledger.logs.postbacks import (
    IDS_PER_QUERY,
    attempts_of,
    count_postbacks_of_click,
    postbacks_of_click,
)
from clickloop.store.ledger.setup.report_names import record_names
from clickloop.store.ledger.setup.rules import setup_names_of
from clickloop.tracking.costs.of_click import costs_of_click

MAX_TRACED = 200
"""Maximum number of page events, notices, conversions, changes and postbacks each in a trace, the newest."""


def find_trace(context: LogContext, click_id: str) -> Trace:
    """Return the trace of a canonical click id. A click that has been deleted from the facts is read from its conversions."""
    click = context.facts.find_clicks([click_id]).get(click_id)
    # Not limited: a click gets late marks once, and all other corrections are reruns that a user applied.
    corrections = context.facts.marks.history(click_id)
    page_events = context.facts.find_page_events([click_id], most=MAX_TRACED + 1).get(click_id, ())
    with context.ledger.read() as tx:
        conversions = conversions_before(tx, ConversionFilter(click_id=click_id), None, MAX_TRACED)
        notices = notices_of_click(tx, click_id, MAX_TRACED)
        ids = [conversion.conversion_id for conversion in conversions]
        changes = newest_changes(tx, ids, MAX_TRACED + 1)
        postbacks = postbacks_of_click(tx, click_id, MAX_TRACED)
        left_out = OmittedRecords(
            page_events=len(page_events) > MAX_TRACED,
            notices=_older(notices, lambda: count_notices(tx, NoticeFilter(click_id=click_id))),
            conversions=_older(conversions, lambda: count_conversions_of_click(tx, click_id)),
            changes=len(changes) > MAX_TRACED,
            postbacks=_older(postbacks, lambda: count_postbacks_of_click(tx, click_id)),
        )
        if click is None and conversions:
            click = conversions[0].click
        names = setup_names_of(tx, click) if click else SetupNames()
        offers = record_names(tx, Dimension.OFFER, {event.offer_id for event in page_events})
        attempts: dict[str, tuple[PostbackAttempt, ...]] = {}
        for start in range(0, len(postbacks), IDS_PER_QUERY):
            attempts |= attempts_of(tx, [postback.postback_id for postback in postbacks[start : start + IDS_PER_QUERY]])
        shown = page_events[-MAX_TRACED:]
        traced = [TracedPageEvent(event, offers.get(event.offer_id, ""), _instead(tx, event)) for event in shown]
        instead = _instead(tx, click) if click is not None and not click.came_over_page else ""
    trace = trace_click(click_id, click, notices, changes, postbacks, attempts, names, traced)
    trace = with_cap(trace, instead) if instead else trace
    if click is not None:
        trace = with_costs(trace, costs_of_click(context.ledger, context.facts.costs, click))
    return msgspec.structs.replace(with_corrections(trace, corrections), left_out=left_out)


def _instead(tx: Connection, at: Click | PageEvent) -> str:
    """Return why a visitor did not go to the path's own offer; empty if they did."""
    if not at.instead_of:
        return ""
    return instead_sentences(tx, [(at.instead_of, at.offer_id)], at.at)[at.instead_of]


def _older(found: Sequence[object], count: Callable[[], int]) -> int:
    # Counting takes time, so only where the limit was reached.
    return count() - len(found) if len(found) == MAX_TRACED else 0
