"""Views derived from records: the fields that a view declares, taken from the record by name."""

import typing
from functools import cache
from typing import Any, TypeVar

import msgspec

from clickloop.clock import Moment, iso_text
from clickloop.money import Money
from clickloop.setup.money_text import money_text
from clickloop.text import readable

V = TypeVar("V", bound=msgspec.Struct)

_, _MOMENT = typing.get_args(Moment)


def view_of(kind: type[V], *records: object, **own: Any) -> V:
    """Return a view of records. Fields that are not in ``own`` come from the first record with an attribute of that name.

    Where the view declares a ``Moment``, an integer becomes ISO 8601. Money becomes decimal text, a tuple a list, a nested record
    the view that the field declares, and text readable.
    """
    first, *others = records
    for field in _fields_of(kind):
        if field.name not in own:
            record = first if not others or hasattr(first, field.name) else _record_with(field.name, others)
            own[field.name] = _converted(getattr(record, field.name), field)
    return kind(**own)


class _Field(msgspec.Struct, frozen=True):
    name: str
    is_moment: bool
    view: type[msgspec.Struct] | None
    """The view of a nested record."""


@cache  # exports make thousands of views, and looking at a type takes longer than converting a value
def _fields_of(kind: type[msgspec.Struct]) -> tuple[_Field, ...]:
    fields = msgspec.structs.fields(kind)
    return tuple(_Field(field.name, _is_moment(field.type), _struct_in(field.type)) for field in fields)


def _record_with(name: str, records: list[object]) -> object:
    return next((record for record in records if hasattr(record, name)), records[-1])


def _converted(value: Any, field: _Field | None) -> Any:
    kind = type(value)
    if kind is str:  # a word of a closed list is a subclass of it, and stays one
        return value if value.isascii() else readable(value)
    if kind is int:
        return iso_text(value) if field is not None and field.is_moment else value
    if isinstance(value, Money):
        return money_text(value.micros, value.currency)
    if kind is tuple:
        return [_converted(item, field) for item in value]
    if kind is dict:
        return {readable(name): _converted(item, None) for name, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return view_of((field.view if field is not None else None) or kind, value)
    return value


def _is_moment(declared: Any) -> bool:
    return declared is _MOMENT or any(_is_moment(part) for part in typing.get_args(declared))


def _struct_in(declared: Any) -> type[msgspec.Struct] | None:
    """Return the view that a field declares, alone, as an option or in a list."""
    if isinstance(declared, type) and issubclass(declared, msgspec.Struct):
        return declared
    return next((found for part in typing.get_args(declared) if (found := _struct_in(part))), None)
