"""Filters of the logs. Each log has one filter record, declared in the package that owns the log.

Query parameters, SQL conditions, forms, command line options, exports and jobs are all derived from its fields. A field's
``Meta`` holds the description and limits for all of them, and in ``extra`` the label of a form if it is not the field's name.
"""

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo

MAX_ID = 2**31 - 1  # PostgreSQL's integer: a larger number would be an error there instead of matching nothing
LABEL, WORDS = "label", "words"
"""Keys of a ``Meta``'s extra: the field's label, and the form's words for true and false."""
PERIOD = ("since", "until")

RecordNumber = Annotated[int, Meta(ge=0, le=MAX_ID, description="Only for the record with this ID.")] | None
ClickIdFilter = Annotated[str, Meta(max_length=26, description="Only for this click ID.")] | None
ConversionIdFilter = Annotated[str, Meta(max_length=26, description="Only for this conversion.")] | None
Flagged = (
    Annotated[
        bool,
        Meta(
            description="true: only flagged records; false: only records without a flag.",
            extra={LABEL: "Flag", WORDS: ("Flagged", "Not flagged")},
        ),
    ]
    | None
)


class LogFilter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A filter of a log. None, or an empty time, means: not filtered by this field."""

    since: Annotated[
        str, Meta(max_length=40, description="Start time, included: ISO 8601, in UTC unless it names a zone.")
    ] = ""
    until: Annotated[
        str, Meta(max_length=40, description="End time, not included: ISO 8601, in UTC unless it names a zone.")
    ] = ""


F = TypeVar("F", bound=LogFilter)


def fields_of(kind: type[msgspec.Struct]) -> list[FieldInfo]:
    """Return the fields of a filter: its own first, then inherited ones, the period last."""
    declared = [inspect.get_annotations(base) for base in kind.__mro__]
    return sorted(
        msgspec.structs.fields(kind),
        key=lambda field: next(depth for depth, names in enumerate(declared) if field.name in names),
    )


def meta_of(field: FieldInfo) -> Meta:
    """Return the description and limits of a field."""
    return next((part for part in getattr(_option_of(field), "__metadata__", ()) if isinstance(part, Meta)), Meta())


def type_of(field: FieldInfo) -> Any:
    """Return the type of a field's value without ``Meta`` and None: ``int`` for ``Annotated[int, …] | None``."""
    option = _option_of(field)
    return getattr(option, "__origin__", option)


def _option_of(field: FieldInfo) -> Any:
    if typing.get_origin(field.type) not in (typing.Union, types.UnionType):
        return field.type
    return next(option for option in typing.get_args(field.type) if option is not type(None))


def label_of(field: FieldInfo) -> str:
    """Return the label of a field in forms: ``Campaign`` for ``campaign_id``, ``Click ID`` for ``click_id``."""
    usual = field.name.removesuffix("_id") if type_of(field) is int else field.name
    return str((meta_of(field).extra or {}).get(LABEL) or usual.replace("_", " ").capitalize().replace(" id", " ID"))


def narrowing_values(log_filter: LogFilter) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each field set, except the period. A blank click id is not set; an empty txid is a value."""
    for name in log_filter.__struct_fields__:
        value = getattr(log_filter, name)
        if name in PERIOD or value is None or (name == "click_id" and not value.strip()):
            continue
        yield name, value


def narrows(log_filter: LogFilter) -> bool:
    """Return whether a filter excludes anything."""
    return bool(log_filter.since or log_filter.until or any(True for _ in narrowing_values(log_filter)))


def extract_filter(filters: LogFilter, kind: type[F]) -> F:
    """Return the filter of this kind from a record that extends it, such as a request body."""
    values = msgspec.to_builtins(filters)
    return msgspec.convert({name: values[name] for name in kind.__struct_fields__ if name in values}, kind)
