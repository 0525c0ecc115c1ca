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
    filled = {
        name: _converted(_attribute(records, name), declared) for name, declared in _fields_of(kind) if name not in own
    }
    return kind(**filled, **own)


def _attribute(records: tuple[object, ...], name: str) -> Any:
    *others, last = records
    return getattr(next((record for record in others if hasattr(record, name)), last), name)


@cache
def _fields_of(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.type) for field in msgspec.structs.fields(kind))


def _converted(value: Any, declared: Any) -> Any:
    if type(value) is int:
        return iso_text(value) if _is_moment(declared) else value
    if type(value) is str:  # a word of a closed list is a subclass of it, and stays one
        return readable(value)
    if isinstance(value, Money):
        return money_text(value.micros, value.currency)
    if isinstance(value, tuple):
        return [_converted(item, declared) for item in value]
    if isinstance(value, dict):
        return {readable(name): _converted(item, None) for name, item in value.items()}
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
