"""Views derived from records: the fields that a view declares, taken from the record by name."""

import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from clickloop.clock import Moment
from clickloop.web.api.wire import moment_text, shown

V = TypeVar("V", bound=msgspec.Struct)

_MOMENT = typing.get_args(Moment)[1]


def view_of(kind: type[V], record: msgspec.Struct, computed: Mapping[str, object] | None = None) -> V:
    """Return a record as the API shows it.

    Text is made readable, integers become ISO 8601 where the view declares a ``Moment``, and nested records become the views that the
    view names. Fields in ``computed`` are taken from there.
    """
    values = dict(computed or {})
    for name, declared in _fields_of(kind):
        if name not in values:
            values[name] = _shown(declared, getattr(record, name))
    return kind(**values)


@cache
def _fields_of(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.type) for field in msgspec.structs.fields(kind))


def _shown(declared: Any, value: object) -> object:
    if type(value) is int:
        return moment_text(value) if _is_moment(declared) else value
    if type(value) is str:  # an enum stays one
        return shown(value)
    if isinstance(value, tuple):
        return tuple(_shown(declared, item) for item in value)
    if isinstance(value, dict):
        return {shown(key): _shown(None, item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return view_of(_struct_in(declared) or type(value), value)
    return value


@cache
def _is_moment(declared: Any) -> bool:
    return declared is _MOMENT or any(_is_moment(part) for part in typing.get_args(declared))


@cache
def _struct_in(declared: Any) -> type[msgspec.Struct] | None:
    """Return the view that a field declares, alone, as an option or in a list."""
    if isinstance(declared, type) and issubclass(declared, msgspec.Struct):
        return declared
    return next((found for part in typing.get_args(declared) if (found := _struct_in(part))), None)
