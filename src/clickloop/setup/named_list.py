"""The named list: values that conditions of several rules share, such as the bad zones of a source."""

import enum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.setup.condition import MAX_VALUE_LENGTH, MAX_VALUES
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, text_faults
from clickloop.setup.record import OneLine, RecordFields, line_faults, with_changes

MAX_NOTES_LENGTH = 10_000

Name = Annotated[str, OneLine(200, required=True), Meta(description="List name.", examples=["Bad zones of PopAds"])]
Entries = Annotated[
    tuple[str, ...],
    Meta(description="Values, at most 10,000. Repeated and empty ones are dropped.", examples=[["1001", "1002"]]),
]
Notes = Annotated[str, Meta(description="Notes.", max_length=MAX_NOTES_LENGTH)]


class ListKind(enum.StrEnum):
    """The purpose of a list. All but plain ones hold values of one traffic source and keep a history."""

    PLAIN = "plain"
    BLACK = "black"
    WHITE = "white"
    WATCH = "watch"


Kind = Annotated[ListKind, Meta(description="plain, black, white or watch. Fixed once the list exists.")]
SourceId = Annotated[int | None, Meta(description="The traffic source whose values it lists; null for a plain list.")]
DimensionName = Annotated[
    str,
    Meta(
        description="The dimension, or the name of a parameter, whose values it lists; empty for a plain list.",
        max_length=200,
        examples=["Zone"],
    ),
]


class ListFields(RecordFields, frozen=True, kw_only=True):
    """The fields that a list's record and view share."""

    name: Name
    kind: Kind = ListKind.PLAIN
    source_id: SourceId = None
    dimension: DimensionName = ""
    entries: Entries = ()
    notes: Notes = ""


class NamedList(ListFields, frozen=True, kw_only=True):
    """A named list. A rule's condition compares its field with the entries."""

    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None


class ListChange(msgspec.Struct, kw_only=True):
    """Changes of a list. Fields left out stay as they are."""

    name: Name | UnsetType = UNSET
    entries: Entries | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET


class NewList(ListChange, kw_only=True):
    """A list to create."""

    name: Name
    kind: Kind = ListKind.PLAIN
    source_id: SourceId = None
    dimension: DimensionName = ""


def changed_list(named: NamedList, change: ListChange) -> NamedList:
    """Return the list with a change. Spaces around entries are removed.

    Raise InvalidInputError if it changes the entries of a list that keeps their history.
    """
    others: dict[str, object] = {}
    if change.entries is not UNSET:
        others["entries"] = tuple(dict.fromkeys(entry.strip() for entry in change.entries if entry.strip()))
        kind = change.kind if isinstance(change, NewList) else named.kind
        if kind is not ListKind.PLAIN and others["entries"] != named.entries:
            sentence = f"Add and remove the values of a {kind.value} list under /entries: their figures are kept."
            raise InvalidInputError((FieldFault("entries", FaultCode.NOT_ALLOWED, sentence),))
    return with_changes(named, change, **others)


def list_faults(named: NamedList) -> list[FieldFault]:
    """Return everything wrong with a list, but only the first faulty entry: most of the others have the same fault."""
    faults = line_faults(named) + _owner_faults(named)
    if len(named.entries) > MAX_VALUES:
        sentence = f"A list has at most {MAX_VALUES:,} entries. This one has {len(named.entries):,}."
        return [*faults, FieldFault("entries", FaultCode.TOO_MANY, sentence)]
    for position, entry in enumerate(named.entries):
        if entry_faults := text_faults(f"entries[{position}]", entry, MAX_VALUE_LENGTH):
            return faults + entry_faults
    return faults


def _owner_faults(named: NamedList) -> list[FieldFault]:
    if named.kind is ListKind.PLAIN:
        if named.source_id is None and not named.dimension:
            return []
        sentence = "A plain list has no traffic source or dimension. Choose black, white or watch."
        return [FieldFault("kind", FaultCode.NOT_ALLOWED, sentence)]
    faults = []
    if named.source_id is None:
        sentence = f"A {named.kind.value} list needs a traffic source."
        faults.append(FieldFault("source_id", FaultCode.REQUIRED, sentence))
    if not named.dimension.strip():
        sentence = f"A {named.kind.value} list needs a dimension, such as Zone."
        faults.append(FieldFault("dimension", FaultCode.REQUIRED, sentence))
    return faults
