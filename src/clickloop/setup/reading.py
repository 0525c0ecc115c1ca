"""Reading nested builtins from a JSON body or a form into a Struct. Every faulty field is reported, unknown ones too."""

import enum
import json
import types
import typing
from typing import Any, Generic, TypeVar

import msgspec

from clickloop.setup.fault import FaultCode, FieldFault

T = TypeVar("T")

MAX_FAULTS = 100
"""Maximum number of faults reported of one object or list: a body of 1 MiB can have half a million."""


class PartlyRead(msgspec.Struct, Generic[T], frozen=True):
    """The record in a body or a form, as far as it could be parsed."""

    value: T
    """With faults only good for further checks, never for saving: faulty fields are left out or empty. None if impossible."""
    faults: tuple[FieldFault, ...] = ()


@typing.runtime_checkable
class SelfChecking(typing.Protocol):
    """A Struct that checks its fields beyond their types, such as that a text is an amount."""

    def own_faults(self) -> list[FieldFault]:
        """Return the faults of its fields."""
        ...


def value_or(value: T | msgspec.UnsetType, default: T) -> T:
    """Return a field of a body, or ``default`` if it is unset."""
    return default if value is msgspec.UNSET else value


def repeated_keys(body: bytes) -> list[str]:
    """Return the keys that some object of a JSON body has more than once. ``body`` is valid JSON."""
    repeated: dict[str, None] = {}

    def note(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                repeated[name] = None
            seen.add(name)

    # The decoder of msgspec keeps the last value of a repeated key and says nothing.
    json.loads(body, object_pairs_hook=note, parse_int=str, parse_float=str)
    return list(repeated)


def read_input(data: Any, kind: type[T]) -> PartlyRead[T]:
    """Parse nested builtins into a Struct as far as possible. Return it and all faults."""
    value, faults = _read_struct(data, kind, "")
    return PartlyRead(value, tuple(faults))


def _read_struct(data: Any, kind: type[Any], path: str) -> tuple[Any, list[FieldFault]]:
    """Return the Struct without its faulty fields, None where a required one has no placeholder."""
    if not isinstance(data, dict):
        return None, [FieldFault(path, FaultCode.WRONG_TYPE, f"Expected a JSON object, not {_kind_of(data)}.")]
    faults: list[FieldFault] = []
    values: dict[str, Any] = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, value in data.items():
        if len(faults) >= MAX_FAULTS:
            break
        place = _below(path, name[:100])
        field = fields.get(name)
        if field is None:
            faults.append(
                FieldFault(
                    place, FaultCode.UNKNOWN_FIELD, f"There is no such field. Known fields are {', '.join(fields)}."
                )
            )
            continue
        read, found = _read_value(value, field.type, place)
        faults += found
        if read is not None or not found:
            values[field.name] = read
    for field in fields.values():
        if field.required and field.encode_name not in data:
            faults.append(FieldFault(_below(path, field.encode_name), FaultCode.REQUIRED, "The field is missing."))
        if field.required and field.name not in values:
            values[field.name] = _placeholder(field.type)
            if values[field.name] is None:
                return None, faults
    return _self_checked(kind, values, faults, path)


def _self_checked(
    kind: type[Any], values: dict[str, Any], faults: list[FieldFault], path: str
) -> tuple[Any, list[FieldFault]]:
    """Return the Struct without the fields that fail its own checks, None where one of them is required."""
    value = kind(**values)
    if not isinstance(value, SelfChecking):
        return value, faults
    known = {fault.field for fault in faults}
    found = {fault.field: fault for fault in value.own_faults()}
    faults = faults + [
        msgspec.structs.replace(fault, field=_below(path, name))
        for name, fault in found.items()
        if _below(path, name) not in known
    ]
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    if found.keys() & required:
        return None, faults
    return kind(**{name: read for name, read in values.items() if name not in found}), faults


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _placeholder(kind: Any) -> Any:
    """Return a value for an unreadable field while the others are checked, None if there is none. It is never saved."""
    for option in options_of(kind):
        if isinstance(option, type) and issubclass(option, enum.Enum):
            return next(iter(option))
        if option in (str, int, list, dict):
            return option()
    return None


def _read_value(value: Any, kind: Any, path: str) -> tuple[Any, list[FieldFault]]:
    """Read one value. Objects and lists of objects are read field by field, so that each faulty field is reported."""
    for option in options_of(kind):
        if isinstance(option, type) and issubclass(option, msgspec.Struct) and isinstance(value, dict):
            return _read_struct(value, option, path)
        inner = typing.get_args(option)
        if typing.get_origin(option) in (list, tuple) and isinstance(value, list) and _is_struct(inner[0]):
            items, faults = _read_rows(value, inner[0], path)
            if faults:
                return (None if None in items else items), faults
            return _converted(items, kind, path)
    return _converted(value, kind, path)


def _read_rows(rows: list[Any], kind: type[Any], path: str) -> tuple[list[Any], list[FieldFault]]:
    """Read a list of objects, up to the maximum number of faults."""
    items: list[Any] = []
    faults: list[FieldFault] = []
    for position, row in enumerate(rows):
        if len(faults) >= MAX_FAULTS:
            break
        item, found = _read_struct(row, kind, f"{path}[{position}]")
        items.append(item)
        faults += found
    return items, faults


def _converted(value: Any, kind: Any, path: str) -> tuple[Any, list[FieldFault]]:
    try:
        return msgspec.convert(value, kind), []
    except msgspec.ValidationError as error:
        sentence, _, inner = str(error).partition(" - at `$")
        return None, [FieldFault(path + inner.rstrip("`"), _code_of(sentence), f"{sentence}{choices(kind)}.")]


def options_of(kind: Any) -> list[Any]:
    """Return the members of a union, without their annotations."""
    if typing.get_origin(kind) is typing.Annotated:
        return options_of(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [option for member in typing.get_args(kind) for option in options_of(member)]
    return [kind]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def choices(kind: Any) -> str:
    """Return the end of the sentence about a wrong value: the words of an enum; empty for other types."""
    for option in options_of(kind):
        if isinstance(option, type) and issubclass(option, enum.Enum):
            return f", expected one of {', '.join(str(choice.value) for choice in option)}"
    return ""


def _code_of(sentence: str) -> FaultCode:
    if sentence.startswith("Invalid enum value"):
        return FaultCode.NOT_ALLOWED
    if "of length <=" in sentence:
        return FaultCode.TOO_LONG
    if "of length >=" in sentence:
        return FaultCode.REQUIRED
    if " >= " in sentence or " <= " in sentence or "out of range" in sentence:
        return FaultCode.OUT_OF_RANGE
    return FaultCode.WRONG_TYPE


def _kind_of(value: Any) -> str:
    names = {
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), "that")
