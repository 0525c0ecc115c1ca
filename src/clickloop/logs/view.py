"""Records as JSON shows them. A view declares its fields for the API; here they are filled in from the record."""

import typing
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, TypeVar

import msgspec

from clickloop.clock import Moment, optional_iso_text
from clickloop.money import Money
from clickloop.setup.money_text import money_text
from clickloop.text import readable

V = TypeVar("V", bound=msgspec.Struct)

_, _MOMENT = typing.get_args(Moment)


def view_of(kind: type[V], record: object, **own: Any) -> V:
    """Return a view of a record: the fields in ``own`` as they are, all others from the record's attributes of the same names.

    A moment becomes ISO 8601, money decimal text, a tuple a list, and text readable.
    """
    filled = {name: convert(getattr(record, name)) for name, convert in _conversions(kind) if name not in own}
    return kind(**filled, **own)


@cache
def _conversions(kind: type[msgspec.Struct]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    fields = msgspec.structs.fields(kind)
    return tuple((field.name, optional_iso_text if _is_moment(field.type) else _converted) for field in fields)


def _is_moment(kind: Any) -> bool:
    if typing.get_origin(kind) in (typing.Union, UnionType):
        return any(_is_moment(option) for option in typing.get_args(kind))
    if _MOMENT in getattr(kind, "__metadata__", ()):
        return True
    # ``Annotated[Moment | None, …]``: the moment is inside.
    return typing.get_origin(kind) is typing.Annotated and _is_moment(typing.get_args(kind)[0])


def _converted(value: Any) -> Any:
    if type(value) is str:  # a word of a closed list is a subclass of it, and stays one
        return readable(value)
    if isinstance(value, Money):
        return money_text(value.micros, value.currency)
    return list(value) if isinstance(value, tuple) else value
