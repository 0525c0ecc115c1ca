"""The corrections of a click's marks in its trace: what a rerun changed, and the marks that came late. Pure."""

from collections.abc import Sequence

import msgspec

from clickloop.click.marks.mark_correction import LATE, MarkCorrection
from clickloop.diagnosis.trace.trace import EventDetail, EventKind, Trace, TraceEvent, in_order
from clickloop.setup.mark import explained_marks, marks_of, named_marks


def with_corrections(trace: Trace, corrections: Sequence[MarkCorrection]) -> Trace:
    """Return a trace that shows how the marks of its click changed after it was counted."""
    if not corrections:
        return trace
    shown = (_with_marks_now(event) if event.kind is EventKind.CLICK else event for event in trace.events)
    events = in_order((*shown, *(_event(trace.click_id, one) for one in corrections)))
    return msgspec.structs.replace(trace, events=events)


def _with_marks_now(event: TraceEvent) -> TraceEvent:
    """Return the event of a click whose marks are named for what they are: not those that it came with."""
    details = tuple(
        EventDetail("marks now", detail.value) if detail.name == "marks" else detail for detail in event.details
    )
    return msgspec.structs.replace(event, details=details)


def _event(click_id: str, correction: MarkCorrection) -> TraceEvent:
    before, after = marks_of(correction.before), marks_of(correction.after)
    gained, lost = after - before, before - after
    changes = [f"gained {named_marks(gained)}"] if gained else []
    changes += [f"lost {named_marks(lost)}"] if lost else []
    is_late = correction.job_id == LATE
    details = {
        "origin": "late marks, by what the visitor did on the landing" if is_late else "rerun of marks",
        "rerun": "" if is_late else correction.job_id,
        "gained": explained_marks(gained),
        "lost": explained_marks(lost),
    }
    return TraceEvent(
        at=correction.at,
        kind=EventKind.MARKS,
        id=click_id if is_late else correction.job_id,
        sentence=f"{'Judged late' if is_late else 'Judged anew'}: {'; '.join(changes)}.",
        details=tuple(EventDetail(name, value) for name, value in details.items() if value),
    )
