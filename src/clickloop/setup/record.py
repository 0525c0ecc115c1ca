"""What all records of the set-up share: number, version, limits of one-line texts, and changes that leave out what stays.

A kind of record is declared once, as three Structs: its fields (``NetworkFields``), which its record and its view in the API inherit,
and the requests ``NetworkChange`` and ``NewNetwork``. Description, example and length of a field stand in the type that all of them
share.
"""

import typing
from functools import cache
from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta
from msgspec.structs import replace

from clickloop.setup.fault import Fault, text_faults

RecordId = Annotated[int, Meta(examples=[1])]
Version = Annotated[
    int,
    Meta(
        description='Grows with every change, and is the ETag of the record in double quotes: `If-Match: "1772366400123"` makes a '
        "change only while this version is there.",
        examples=[1772366400123],
    ),
]

Tags = Annotated[tuple[str, ...], Meta(description="The user's own words to find it by.", examples=[["us", "mobile"]])]


class OneLine(msgspec.Struct, frozen=True):
    """Marks the type of a field that is one line of text. ``required``: it may not be blank."""

    max_length: int
    required: bool = False


class Versioned(msgspec.Struct, frozen=True, kw_only=True):
    """A record with a version, see ``store.ledger.setup.versions``."""

    version: Version


class RecordFields(Versioned, frozen=True, kw_only=True):
    """What every record of the set-up begins with. A new one has neither number nor version: both are 0."""

    version: Version = 0
    id: RecordId = 0

    @property
    def is_archived(self) -> bool:
        """Return whether it was taken out of use. Record and view declare ``archived_at``, as a number and as a text."""
        return getattr(self, "archived_at", None) is not None


Record = TypeVar("Record", bound=msgspec.Struct)


def with_changes(record: Record, change: msgspec.Struct, **others: object) -> Record:
    """Return the record with the fields that a change gives; what is UNSET stays. ``others`` are taken instead of the change's."""
    given = {name: others.get(name, getattr(change, name, UNSET)) for name in record.__struct_fields__}
    return replace(record, **{name: value for name, value in given.items() if value is not UNSET})


def copied_name(name: str) -> str:
    """Return what a copy is called at first; names have at most 200 characters."""
    behind = " (copy)"
    return name[: 200 - len(behind)] + behind


def line_faults(record: msgspec.Struct) -> list[Fault]:
    """Return the faults of the fields whose type is marked as ``OneLine``."""
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
