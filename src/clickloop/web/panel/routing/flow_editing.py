"""What the pages of a campaign's flow and of shared flows have in common: the submitted draft, its buttons, its faults."""

from collections.abc import Sequence

import msgspec

from clickloop.setup.fault import FieldFault
from clickloop.setup.flow import FlowParts
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.routing.flow_draft import FlowDraft, without_blanks
from clickloop.web.panel.routing.flow_form import read_draft, typed_values
from clickloop.web.panel.routing.flow_steps import (
    PartPlace,
    new_condition,
    opened,
    step_of,
    with_blank_rows,
    with_rule,
    with_step,
)

MAX_FLOW_FIELDS = 5_000
"""Form fields of the editor: those that are open, and a few for each closed rule."""
MAX_FLOW_BYTES = 4 << 20  # 100,000 values in packed rules
COUNTRIES_FIELD = "new_countries"
CARRIED_FIELD = "flow_json"
"""A flow that is not saved, in the forms of pages that try it."""


class SubmittedFlow(msgspec.Struct, frozen=True):
    """A flow as its form was sent. ``step``: the button that only changes the form; empty: it is to be saved."""

    draft: FlowDraft
    step: str = ""


def submitted_flow(form: Form, prefix: str = "") -> SubmittedFlow:
    """Return the flow in a form, after the button that was pressed."""
    draft = read_draft(form, prefix)
    step = form.text("do")
    if not step and form.text(COUNTRIES_FIELD):
        step = "add_country_rule"  # Enter in its field presses the button that saves
    if step == "add_rule":
        return SubmittedFlow(with_rule(draft, ()), step)
    if step == "add_country_rule":
        condition = msgspec.structs.replace(
            new_condition("country"), values=tuple(typed_values("country", form.text(COUNTRIES_FIELD)))
        )
        return SubmittedFlow(with_rule(draft, (condition,)), step)
    if not step:
        return SubmittedFlow(without_blanks(draft))
    pressed = step_of(step)
    field = form.text(f"{prefix}{pressed.place}.new_field") if pressed.place else ""
    return SubmittedFlow(with_blank_rows(with_step(draft, pressed, field)), step)


def carried_text(flow: FlowParts | None) -> str:
    """Return a flow that is not saved as the field that carries it through other pages; empty for none."""
    return "" if flow is None else msgspec.json.encode(flow).decode()


def carried_flow(form: Form) -> FlowParts | None:
    """Return the flow that a form carries along; None for none and for one that somebody tampered with."""
    text = form.raw(CARRIED_FIELD)
    try:
        return msgspec.json.decode(text, type=FlowParts) if text else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def with_faults_open(draft: FlowDraft, faults: Sequence[FieldFault], prefix: str) -> FlowDraft:
    """Return a draft with the parts open that have faults."""
    return opened(draft, _faulty_places(faults, prefix))


def shown_faults(faults: Sequence[FieldFault], prefix: str) -> tuple[FieldFault, ...]:
    """Return faults by the fields that the form shows: of a faulty value the field with all values."""
    found = []
    for fault in faults:
        field = fault.field
        head, values, _ = field.partition(".values[")
        if field.startswith((f"{prefix}rules", f"{prefix}default_paths")) and values:
            field = f"{head}.values"
        for name in ("offer_id", "landing_id"):
            if field.startswith(prefix) and field.endswith(f"].{name}"):
                field = field.removesuffix(name) + "number"
        # Not replace(): a conflict is a fault with more fields, which stays as it is.
        found.append(fault if field == fault.field else FieldFault(field, fault.code, fault.message))
    return tuple(found)


def _faulty_places(faults: Sequence[FieldFault], prefix: str) -> list[PartPlace]:
    """Return the rules that have faults, and the default paths if they have."""
    places = []
    for fault in faults:
        rest = fault.field.removeprefix(prefix)
        if rest.startswith("default_paths"):
            places.append(PartPlace(rule=None))
        elif rest.startswith("rules["):
            number = rest[len("rules[") :].partition("]")[0]
            if number.isdecimal():
                places.append(PartPlace(rule=int(number)))
    return places
