"""The common parts of all set-up records: id, version, limits of one-line texts, and partial changes.

A kind of record is declared as three Structs: its fields (``NetworkFields``), which its record and its API view inherit, and the
requests ``NetworkChange`` and ``NewNetwork``. A field's description, example and length are part of its type, which they all
share.
"""

import typing
from functools import cache
from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta
from msgspec.structs import replace

from clickloop.setup.fault import FieldFault, text_faults

RecordId = Annotated[int, Meta(examples=[1])]
Version = Annotated[
    int,
    Meta(
        description='Increases with every change. In double quotes it is the record\'s ETag: with `If-Match: "1772366400123"`, a '
        "change is only made while this is the current version.",
        examples=[1772366400123],
    ),
]

Tags = Annotated[tuple[str, ...], Meta(description="Labels for searching and filtering.", examples=[["us", "mobile"]])]


class OneLine(msgspec.Struct, frozen=True):
    """Marks the type of a field that is a single line of text. ``required``: it must not be blank."""

    max_length: int
    required: bool = False


class Versioned(msgspec.Struct, frozen=True, kw_only=True):
    """A record with a version (see ``store.ledger.setup.versions``)."""

    version: Version


class RecordFields(Versioned, frozen=True, kw_only=True):
    """The first fields of every set-up record. Of a new one, id and version are 0."""

    version: Version = 0
    id: RecordId = 0

    @property
    def is_archived(self) -> bool:
        """Return whether it is archived. Record and view declare ``archived_at``, as a number and as text."""
        return getattr(self, "archived_at", None) is not None


Record = TypeVar("Record", bound=msgspec.Struct)


def with_changes(record: Record, change: msgspec.Struct, **others: object) -> Record:
    """Return the record with the change's fields, except UNSET ones. ``others`` override the change's fields."""
    values = {name: others.get(name, getattr(change, name, UNSET)) for name in record.__struct_fields__}
    return replace(record, **{name: value for name, value in values.items() if value is not UNSET})


def copied_name(name: str) -> str:
    """Return the initial name of a copy, at most 200 characters."""
    suffix = " (copy)"
    return name[: 200 - len(suffix)] + suffix


def line_faults(record: msgspec.Struct) -> list[FieldFault]:
    """Return the faults of the fields whose type is marked with ``OneLine``."""
    faults = []
    for name, line in _lines_of(type(record)).items():
        faults += text_faults(name, getattr(record, name), line.max_length, required=line.required)
    return faults


@cache
def _lines_of(kind: type[msgspec.Struct]) -> dict[str, OneLine]:
    marks = {
        name: next((mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, OneLine)), None)
        for name, hint in typing.get_type_hints(kind, include_extras=True).items()
    }
    return {name: mark for name, mark in marks.items() if mark is not None}
