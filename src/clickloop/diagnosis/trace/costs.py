"""The cost of a click in its trace: where it comes from, and which entries gave it which cost. Pure."""

from collections.abc import Iterator, Sequence

import msgspec

from clickloop.diagnosis.trace.trace import EventDetail, EventKind, Trace, TraceEvent, in_order
from clickloop.money import amount_text
from clickloop.plural import pluralize
from clickloop.report.cost.entry import CostEntry, EntryState
from clickloop.text import readable
from clickloop.tracking.costs.of_click import ClickCost, CostState

_ORIGINS = {"link": "from its link", "model": "by the campaign's cost model"}


def with_costs(trace: Trace, costs: Sequence[ClickCost]) -> Trace:
    """Return a trace that shows what its click costs now, and the entries that its cost came from."""
    entered = [cost for cost in costs if cost.entry is not None]
    if not entered:
        return trace
    now = "; ".join(cost_sentence(cost) for cost in costs if cost.state is CostState.COUNTS) or "nothing"
    detail = EventDetail("cost now", now)
    shown = (
        msgspec.structs.replace(event, details=(*event.details, detail)) if event.kind is EventKind.CLICK else event
        for event in trace.events
    )
    events = [event for cost in entered if cost.entry is not None for event in _events(cost, cost.entry)]
    return msgspec.structs.replace(trace, events=in_order((*shown, *events)))


def cost_sentence(cost: ClickCost) -> str:
    """Return a cost and where it comes from, as ``0.0123 USD from cost entry 7 (manual): 41.27 USD over 3,355 clicks``."""
    amount = f"{amount_text(cost.micros)} {cost.currency}".rstrip()
    if cost.entry is None:
        return f"{amount} {_ORIGINS[cost.origin]}"
    return f"{amount} from cost entry {cost.entry.entry_id} ({cost.origin}): {_spread(cost.entry)}"


def _spread(entry: CostEntry) -> str:
    return f"{amount_text(entry.micros)} {entry.currency} over {pluralize(entry.shared, 'click')}"


def _events(cost: ClickCost, entry: CostEntry) -> Iterator[TraceEvent]:
    share = (
        f", {amount_text(cost.micros)} {cost.currency} of it on this click"
        if cost.state is not CostState.UNDONE
        else ""
    )
    ends = " Another entry counts before it." if cost.state is CostState.COVERED else ""
    if cost.state is CostState.REPLACED:
        share, ends = "", " It does not cover this click any more."
    details = {
        "entered by": readable(entry.entered_by),
        "origin": cost.origin,
        "key": "" if entry.upload_id else readable(entry.key.partition(":")[2]),
        "upload": entry.upload_id,
        "note": readable(entry.note),
    }
    yield TraceEvent(
        at=entry.created_at,
        kind=EventKind.COST,
        id=str(entry.entry_id),
        sentence=f"Cost entry {entry.entry_id} was entered: {_spread(entry)}{share}.{ends}",
        details=tuple(EventDetail(name, value) for name, value in details.items() if value),
    )
    if entry.ended_at is not None:
        how = "was undone" if entry.state is EntryState.UNDONE else f"was replaced by entry {entry.replaced_by}"
        yield TraceEvent(
            at=entry.ended_at,
            kind=EventKind.COST,
            id=str(entry.entry_id),
            sentence=f"Cost entry {entry.entry_id} {how}.",
        )
