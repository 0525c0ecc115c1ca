"""Two people at one record: a form carries the version that it showed, so that what others saved since is not lost unseen."""

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import msgspec
from markupsafe import Markup

from clickloop.postback.masking import MASK
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
from clickloop.setup.record import Versioned
from clickloop.store.ledger.logs.audit_log import Action, ChangesFilter, changes_before
from clickloop.store.ledger.setup.versions import Expectation, StaleRecordError
from clickloop.web.api.all_faults import save_read
from clickloop.web.api.context import ApiContext
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.setup.record_difference import FieldDifference, differences

SEEN_FIELD = "seen_mark"
"""The hidden field with the mark, of every editor of a record that is there already."""

_MAX_ROUNDS = 5
"""Comparisons of a form with what is saved, where each time somebody saves between the comparison and the transaction."""

T = TypeVar("T")
R = TypeVar("R")


class Edited(msgspec.Struct, frozen=True):
    """A record that a form changes, as it is saved now. ``fields``: those of its view that the form can change."""

    noun: str
    record_id: Any
    view: Versioned
    fields: Collection[str]
    reread: Callable[[], Versioned]
    """Returns the record as it is saved then."""


class _Mark(msgspec.Struct, frozen=True):
    """What a form carries of the record that it shows. Texts that are no such mark match no record."""

    version: str = ""
    fingerprint: str = ""
    """Of the fields that the form can change. Those of another version may be the same: then nothing is overwritten."""
    shown_at: str = ""


class Overwriting(Fault, frozen=True):
    """The fault of a form over whose record somebody else saved. ``actor`` empty: it is not known who, and ``at`` is 0."""

    mark: str
    """Of the record as it is saved now: a form that carries it has been told of all this."""
    actor: str
    at: int
    differences: tuple[FieldDifference, ...]
    """From what is saved to what the form says."""


def mark_of(context: ApiContext, view: Versioned, fields: Collection[str]) -> str:
    """Return the text of the mark of a form that shows the record like this now."""
    return f"{view.version}.{_fingerprint(view, fields)}.{context.clock()}"


def seen_mark(context: ApiContext, tree: Mapping[str, Any], view: Versioned | None, fields: Collection[str]) -> str:
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
    if read.faults or not form.text(SEEN_FIELD):
        return save_read(context, read, lambda on, given: door(on, edited.record_id, given))
    for _ in range(_MAX_ROUNDS):
        found = find_overwriting(context, form, edited, read.value)
        if found is not None:
            raise InvalidInputError((found,))
        # The comparison was made outside the write transaction: there, the version that was compared is what counts.
        expecting = dataclasses.replace(context, expected=Expectation(frozenset({edited.view.version})))
        try:
            return door(expecting, edited.record_id, read.value)
        except StaleRecordError:
            edited = msgspec.structs.replace(edited, view=edited.reread())
    sentence = "It is being changed by others again and again just now. Nothing was saved: save once more."
    raise InvalidInputError((Fault("", FaultCode.CONFLICT, sentence),))


def find_overwriting(context: ApiContext, form: Form, edited: Edited, given: object) -> Overwriting | None:
    """Whether the record was changed since the form showed it, and saving ``given`` would change it again.

    A form without a mark says nothing of what it showed, and is taken.
    """
    text = form.text(SEEN_FIELD)
    mark = _read_mark(text)
    looks_the_same = mark.fingerprint == _fingerprint(edited.view, edited.fields)
    if not text or (looks_the_same and mark.version == str(edited.view.version)):
        return None
    found = _differing(edited.view, given, edited.noun)
    if looks_the_same:
        # A secret that somebody replaced looks the same behind its mask.
        found = tuple(one for one in found if MASK in one.before)
    if not found:
        return None
    shown_at = mark.shown_at
    actor, at = _changed_by(
        context, edited, int(shown_at) if shown_at.isdecimal() and len(shown_at) < 16 else context.clock()
    )
    sentence = f"{actor or 'Somebody'} changed it while this form was open. Save once more to put yours over it."
    fresh = mark_of(context, edited.view, edited.fields)
    return Overwriting("", FaultCode.CONFLICT, sentence, fresh, actor, at, found)


def _read_mark(text: str) -> _Mark:
    parts = text.split(".")
    return _Mark(*parts) if len(parts) == len(_Mark.__struct_fields__) else _Mark()


def _fingerprint(view: object, fields: Collection[str]) -> str:
    told = json_value(view)
    kept = {name: told[name] for name in sorted(fields) if name in told and name != "version"}
    return hashlib.blake2b(msgspec.json.encode(kept, order="sorted"), digest_size=8).hexdigest()


def _differing(view: object, given: object, noun: str) -> tuple[FieldDifference, ...]:
    """From what is saved to what was given. A currency that is left empty is no difference: it follows from others."""
    wanted = json_value(given)
    saved = _of_given(json_value(view), given)
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
