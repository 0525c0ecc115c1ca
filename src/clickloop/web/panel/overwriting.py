"""Two people at one record: a form carries a mark of what it showed, so that what others saved since is not lost unseen."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import msgspec
from markupsafe import Markup

from clickloop.campaign.fault import Fault, FaultCode, InvalidInputError
from clickloop.store.ledger.changes_log import Action, ChangesFilter, changes_before
from clickloop.web.api.context import ApiContext
from clickloop.web.api.telling_all import save_read
from clickloop.web.panel.form import Form
from clickloop.web.panel.record_difference import FieldDifference, differences

SEEN_FIELD = "seen_mark"
"""The hidden field with the mark, of every editor of a record that is there already."""

T = TypeVar("T")
R = TypeVar("R")


class Edited(msgspec.Struct, frozen=True):
    """A record that a form changes, as it is saved now. ``fields``: those of its view that the form can change."""

    noun: str
    record_id: Any
    view: object
    fields: Collection[str]


class Overwriting(Fault, frozen=True):
    """The fault of a form over whose record somebody else saved. ``actor`` empty: it is not known who, and ``at`` is 0."""

    mark: str
    """Of the record as it is saved now: a form that carries it has been told of all this."""
    actor: str
    at: int
    differences: tuple[FieldDifference, ...]
    """From what is saved to what the form says."""


def mark_of(context: ApiContext, view: object, fields: Collection[str]) -> str:
    """What a form carries that shows the record like this now: a fingerprint of its fields, and the moment."""
    return f"{_fingerprint(view, fields)}.{context.clock()}"


def seen_mark(context: ApiContext, tree: Mapping[str, Any], view: object | None, fields: Collection[str]) -> str:
    """The mark for an editor: the one that the form brought, which is shown once more, else a fresh one; empty for a new record."""
    if view is None:
        return ""
    return str(tree.get(SEEN_FIELD) or mark_of(context, view, fields))


def seen_field(mark: str, overwriting: Overwriting | None) -> Markup:
    """The hidden field. After ``overwriting`` was told it carries the new mark, so that saving once more is done knowingly."""
    shown = overwriting.mark if overwriting else mark
    return Markup('<input type="hidden" name="{}" value="{}">').format(SEEN_FIELD, shown) if shown else Markup("")


def overwriting_in(faults: Collection[Fault]) -> Overwriting | None:
    """The fault of that kind, if it is among them."""
    return next((fault for fault in faults if isinstance(fault, Overwriting)), None)


def save_over(
    context: ApiContext, form: Form, edited: Edited, kind: type[T], door: Callable[[ApiContext, Any, T], R], **more: Any
) -> R:
    """What the door answers that saves what the form says. Raises InvalidInputError, also where that would undo unseen what
    somebody saved. ``more`` is put over the form, ``door`` is the one of the API that changes the record."""
    read = form.read_partly(kind, **more)
    found = None if read.faults else find_overwriting(context, form, edited, read.value)
    if found is not None:
        raise InvalidInputError((found,))
    return save_read(context, read, lambda on, given: door(on, edited.record_id, given))


def find_overwriting(context: ApiContext, form: Form, edited: Edited, given: object) -> Overwriting | None:
    """Whether the record was changed since the form showed it, and saving ``given`` would change it again.

    A form without a mark says nothing of what it showed, and is taken.
    """
    mark, _, shown_at = form.text(SEEN_FIELD).partition(".")
    if not mark or mark == _fingerprint(edited.view, edited.fields):
        return None
    found = _differing(edited.view, given, edited.noun)
    if not found:
        return None
    actor, at = _changed_by(
        context, edited, int(shown_at) if shown_at.isdecimal() and len(shown_at) < 16 else context.clock()
    )
    sentence = f"{actor or 'Somebody'} changed it while this form was open. Save once more to put yours over it."
    fresh = mark_of(context, edited.view, edited.fields)
    return Overwriting("", FaultCode.CONFLICT, sentence, fresh, actor, at, found)


def _fingerprint(view: object, fields: Collection[str]) -> str:
    told = msgspec.to_builtins(view)
    kept = {name: told[name] for name in sorted(fields) if name in told}
    return hashlib.blake2b(msgspec.json.encode(kept, order="sorted"), digest_size=8).hexdigest()


def _differing(view: object, given: object, noun: str) -> tuple[FieldDifference, ...]:
    """From what is saved to what was given. A currency that is left empty is no difference: it follows from others."""
    wanted = msgspec.to_builtins(given)
    saved = _of_given(msgspec.to_builtins(view), given)
    found = differences(saved, wanted, noun)
    return tuple(one for one in found if one.after or not one.path.endswith(".currency"))


def _of_given(saved: Any, given: object) -> Any:
    """What is saved of the fields that are given, in nested Structs too: what is left out of one stays as it is."""
    if not isinstance(given, msgspec.Struct) or not isinstance(saved, dict):
        return saved
    fields = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not msgspec.UNSET}
    return {name: _of_given(saved[name], value) for name, value in fields.items() if name in saved}


def _changed_by(context: ApiContext, edited: Edited, since_ms: int) -> tuple[str, int]:
    """Who changed the record last and when, as the log says, if that was since a moment; else nobody and 0."""
    wanted = ChangesFilter(noun=edited.noun, record_id=str(edited.record_id), action=Action.CHANGED)
    with context.ledger.read() as tx:
        lines = changes_before(tx, wanted, None, 1)
    return (lines[0].actor, lines[0].at) if lines and lines[0].at >= since_ms else ("", 0)
