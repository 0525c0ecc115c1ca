"""Concurrent edits: a form carries the version it was filled with, so that newer ones are not overwritten unseen."""

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import msgspec
from markupsafe import Markup

from clickloop.postback.masking import MASK
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.record import Versioned
from clickloop.store.ledger.logs.audit_log import Action, ChangesFilter, changes_before
from clickloop.store.ledger.setup.versions import Expectation, StaleRecordError
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.setup.record_difference import FieldDifference, differences

SEEN_FIELD = "seen_mark"
"""The hidden field of every editor of a saved record, with the version that the form was filled with."""

_MAX_ROUNDS = 5
"""Maximum number of comparisons of a form with the saved record, if others keep saving between comparison and transaction."""

T = TypeVar("T")
R = TypeVar("R")


class RecordEdit(msgspec.Struct, frozen=True):
    """A record that a form edits, as currently saved. ``fields``: the fields of its view that the form can change."""

    noun: str
    record_id: Any
    view: Versioned
    fields: Collection[str]
    reread: Callable[[], Versioned]
    """Reads the record again."""


class _SeenVersion(msgspec.Struct, frozen=True):
    """The version that a form was filled with. The defaults, used for an unreadable field, match no record."""

    version: str = ""
    fingerprint: str = ""
    """Hash of the editable fields. If it is equal in a newer version, nothing is overwritten."""
    shown_at: str = ""


class EditConflict(FieldFault, frozen=True):
    """The fault of a form whose record was changed since. If unknown, ``actor`` is empty and ``at`` is 0."""

    seen: str
    """The saved version: a form that carries it has shown these differences to the user."""
    actor: str
    at: int
    differences: tuple[FieldDifference, ...]
    """Differences from the saved record to the form."""


def current_version(context: ApiContext, view: Versioned, fields: Collection[str]) -> str:
    """Return the hidden field's value for a form that is filled with this view now."""
    return f"{view.version}.{_fingerprint(view, fields)}.{context.clock()}"


def seen_version(context: ApiContext, tree: Mapping[str, Any], view: Versioned | None, fields: Collection[str]) -> str:
    """Return the hidden field's value for an editor: that of the submitted form, else a fresh one; empty for a new record."""
    if view is None:
        return ""
    return str(tree.get(SEEN_FIELD) or current_version(context, view, fields))


def seen_field(seen: str, conflict: EditConflict | None) -> Markup:
    """Return the hidden field. After a conflict it carries the saved version: saving again then overwrites knowingly."""
    shown = conflict.seen if conflict else seen
    return Markup('<input type="hidden" name="{}" value="{}">').format(SEEN_FIELD, shown) if shown else Markup("")


def conflict_in(faults: Collection[FieldFault]) -> EditConflict | None:
    """Return the edit conflict among the faults, if any."""
    return next((fault for fault in faults if isinstance(fault, EditConflict)), None)


def save_edit(
    context: ApiContext,
    form: Form,
    edit: RecordEdit,
    kind: type[T],
    save: Callable[[ApiContext, Any, T], R],
    **more: Any,
) -> R:
    """Save a form through the API's function ``save`` and return its result. ``more`` overrides fields of the form.

    Raise InvalidInputError for invalid fields, and for an edit conflict.
    """
    read = form.read_partly(kind, **more)
    if read.faults or not form.text(SEEN_FIELD):
        return save_or_report_faults(context, read, lambda on, submitted: save(on, edit.record_id, submitted))
    for _ in range(_MAX_ROUNDS):
        found = find_conflict(context, form, edit, read.value)
        if found is not None:
            raise InvalidInputError((found,))
        # The comparison ran outside the write transaction, which therefore has to find the version that was compared.
        expecting = dataclasses.replace(context, expected=Expectation(frozenset({edit.view.version})))
        try:
            return save(expecting, edit.record_id, read.value)
        except StaleRecordError:
            edit = msgspec.structs.replace(edit, view=edit.reread())
    sentence = "Others keep changing this record. Nothing was saved: try again."
    raise InvalidInputError((FieldFault("", FaultCode.CONFLICT, sentence),))


def find_conflict(context: ApiContext, form: Form, edit: RecordEdit, submitted: object) -> EditConflict | None:
    """Return the conflict if the record changed since the form was filled and saving would change it again, else None.

    A form without the hidden field, such as a script's, never conflicts.
    """
    text = form.text(SEEN_FIELD)
    seen = _read_seen_version(text)
    looks_the_same = seen.fingerprint == _fingerprint(edit.view, edit.fields)
    if not text or (looks_the_same and seen.version == str(edit.view.version)):
        return None
    found = _differences(edit.view, submitted, edit.noun)
    if looks_the_same:
        # A replaced secret looks the same behind its mask, so the fingerprints are equal.
        found = tuple(one for one in found if MASK in one.before)
    if not found:
        return None
    shown_at = seen.shown_at
    actor, at = _changed_by(
        context, edit, int(shown_at) if shown_at.isdecimal() and len(shown_at) < 16 else context.clock()
    )
    sentence = f"{actor or 'Someone'} changed this record while the form was open. Save again to replace their version."
    fresh = current_version(context, edit.view, edit.fields)
    return EditConflict("", FaultCode.CONFLICT, sentence, fresh, actor, at, found)


def _read_seen_version(text: str) -> _SeenVersion:
    parts = text.split(".")
    return _SeenVersion(*parts) if len(parts) == len(_SeenVersion.__struct_fields__) else _SeenVersion()


def _fingerprint(view: object, fields: Collection[str]) -> str:
    values = json_value(view)
    fields_shown = {name: values[name] for name in sorted(fields) if name in values and name != "version"}
    return hashlib.blake2b(msgspec.json.encode(fields_shown, order="sorted"), digest_size=8).hexdigest()


def _differences(view: object, submitted: object, noun: str) -> tuple[FieldDifference, ...]:
    """Return the differences from the saved record to the form. An empty currency is none: it defaults to the saved one."""
    saved = _submitted_part(json_value(view), submitted)
    found = differences(saved, json_value(submitted), noun)
    return tuple(one for one in found if one.after or not one.path.endswith(".currency"))


def _submitted_part(saved: Any, submitted: object) -> Any:
    """Return the saved values of the submitted fields, also in nested Structs: fields left out keep their value."""
    if not isinstance(submitted, msgspec.Struct) or not isinstance(saved, dict):
        return saved
    fields = {name: value for name, value in msgspec.structs.asdict(submitted).items() if value is not msgspec.UNSET}
    return {name: _submitted_part(saved[name], value) for name, value in fields.items() if name in saved}


def _changed_by(context: ApiContext, edit: RecordEdit, since_ms: int) -> tuple[str, int]:
    """Return who last changed the record and when, from the audit log; an empty text and 0 if that was before ``since_ms``."""
    filters = ChangesFilter(noun=edit.noun, record_id=str(edit.record_id), action=Action.CHANGED)
    with context.ledger.read() as tx:
        lines = changes_before(tx, filters, None, 1)
    return (lines[0].actor, lines[0].at) if lines and lines[0].at >= since_ms else ("", 0)
