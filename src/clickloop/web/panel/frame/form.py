"""Submitted forms, parsed into the API's Structs, so that panel and API report the same faults.

A field is named by its path in the Struct, such as ``name``, ``conditions.statuses`` or ``parameters[2].placeholder``.
"""

import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.reading import PartlyRead, options_of, read_input

T = TypeVar("T")

CSRF_FIELD = "csrf"
MAX_ROWS = 500  # limits the work that a hostile form can cause

_STEP = re.compile(r"\[([0-9]{1,4})\]|([^.\[\]]+)")
"""Linear, because no step matches in two ways. A five-digit row number matches as a name, which no Struct has."""
_TRUE = frozenset({"on", "true", "1", "yes"})


class Form:
    """A submitted form. ``tree``: its fields nested by path as dicts, lists and strings; a repeated name has a list."""

    def __init__(self, pairs: Iterable[tuple[str, str]], faults: Iterable[FieldFault] = ()) -> None:
        """``faults``: faults of fields that the page parsed itself and did not pass in ``pairs``; reported with the others."""
        self.faults = tuple(faults)
        self.pairs = tuple((name, value) for name, value in pairs if name != CSRF_FIELD)
        self.tree: dict[str, Any] = _compact(_nested(self.pairs))

    def text(self, name: str) -> str:
        """Return the last value of a plain field, stripped; empty if absent."""
        return next((value.strip() for field, value in reversed(self.pairs) if field == name), "")

    def raw(self, name: str) -> str:
        """Return the last value of a plain field unstripped, for passwords; empty if absent."""
        return next((value for field, value in reversed(self.pairs) if field == name), "")

    def all(self, name: str) -> list[str]:
        """Return every non-empty value of a plain field."""
        return [value for field, value in self.pairs if field == name and value]

    def has(self, name: str) -> bool:
        """Return whether a button or field with this name was submitted."""
        return any(field == name for field, _ in self.pairs)

    def numbered_tree(self) -> dict[Any, Any]:
        """Return the fields nested by path, rows as dicts by their number, blank ones too: buttons name rows by number."""
        return _nested(self.pairs)

    def redisplay_values(self, kind: type[Any]) -> dict[str, Any]:
        """Return ``tree`` for displaying the form again, with every value in the type that the template of this Struct expects.

        A client may send a string where the form has rows, or the reverse. It is left out here, and reported by ``read``.
        """
        kinds = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        return {name: _redisplay_value(value, kinds.get(name, str)) for name, value in self.tree.items()}

    def read(self, kind: type[T], **overrides: Any) -> T:
        """Parse the form into a Struct. ``overrides`` replace its fields. Raise InvalidInputError with all faults."""
        read = self.read_partly(kind, **overrides)
        if read.faults:
            raise InvalidInputError(read.faults)
        return read.value

    def read_partly(self, kind: type[T], **overrides: Any) -> PartlyRead[T]:
        """Parse the form as far as possible. Return the Struct and all faults."""
        read = read_input({**_shaped_struct(self.tree, kind), **overrides}, kind)
        return PartlyRead(read.value, (*self.faults, *read.faults))


FormParameter = NamedDependency[SkipValidation[Form]]
"""The parameter ``form`` of a page's function."""


def messages_by_path(faults: Iterable[FieldFault]) -> dict[str, list[str]]:
    """Return fault messages by form field path."""
    messages: dict[str, list[str]] = {}
    for fault in faults:
        path = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", fault.field)
        messages.setdefault(path, []).append(fault.message)
    return messages


def _nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the pairs as a tree; rows are dicts by number until ``_compact``."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        steps = [int(number) if number else word for number, word in _STEP.findall(name)]
        if not steps or isinstance(steps[0], int):
            continue
        node: dict[Any, Any] = root
        for step in steps[:-1]:
            child = node.setdefault(step, {})
            if not isinstance(child, dict):
                break
            node = child
        else:
            _put(node, steps[-1], value)
    return root


def _put(node: dict[Any, Any], key: str | int, value: str) -> None:
    before = node.get(key)
    if before is None or before == "":
        node[key] = (
            value  # an empty value comes from the hidden field before a checkbox, which is submitted even if unchecked
        )
    elif isinstance(before, list):
        before.append(value)
    elif isinstance(before, str) and value:
        node[key] = [before, value]


def _compact(tree: Any) -> Any:
    """Return the tree with rows as lists ordered by number, without empty rows."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(isinstance(key, int) for key in tree):
        rows = [_compact(tree[number]) for number in sorted(tree)[:MAX_ROWS]]
        return [row for row in rows if _is_filled_in(row)]
    return {str(key): _compact(value) for key, value in tree.items()}


def _is_filled_in(row: Any) -> bool:
    """Return whether a row has any text, apart from the values that the form prefills in a new row."""
    if isinstance(row, dict):
        return any(_is_filled_in(value) for key, value in row.items() if key not in ("number", "tracked", "weight"))
    return bool(row)


def _redisplay_value(value: Any, kind: Any) -> Any:
    """Return a value in the type that the form displays; a Struct becomes a dict with all its fields."""
    for option in options_of(kind):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            parts = value if isinstance(value, dict) else {}
            fields = msgspec.structs.fields(option)
            return {
                field.encode_name: _redisplay_value(parts.get(field.encode_name, ""), field.type) for field in fields
            }
        origin = typing.get_origin(option)
        if origin is dict:
            return _redisplay_pairs(value)
        if origin in (list, tuple):
            inner = typing.get_args(option)[0]
            items = value if isinstance(value, list) else [value]
            if all(isinstance(kind, type) and issubclass(kind, msgspec.Struct) for kind in options_of(inner)):
                return [_redisplay_value(item, inner) for item in items if isinstance(item, dict)]
            texts = [item for item in items if isinstance(item, str)]
            # A field of lines or of comma-separated words is one text.
            return texts if isinstance(value, list) else "".join(texts)
    return _last_text(value)


def _redisplay_pairs(value: Any) -> Any:
    """Return rows of ``name`` and ``value``; a dict stays a dict, with strings as values."""
    if isinstance(value, dict):
        return {name: _last_text(text) for name, text in value.items()}
    rows = [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
    return [{part: _last_text(row.get(part, "")) for part in ("name", "value")} for row in rows]


def _last_text(value: Any) -> str:
    if isinstance(value, list):
        return next((text for text in reversed(value) if isinstance(text, str)), "")
    return value if isinstance(value, str) else ""


def _shaped_struct(tree: Mapping[str, Any], kind: type[Any]) -> dict[str, Any]:
    shaped = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name in tree:
            shaped[field.encode_name] = _shaped(tree[field.encode_name], field.type)
    return shaped


def _shaped(value: Any, kind: Any) -> Any:
    """Convert a form value to the JSON type of this kind. A value that does not convert stays, and parsing reports it."""
    options = options_of(kind)
    if value == "" and type(None) in options:
        return None
    for option in options:
        if isinstance(option, type) and issubclass(option, msgspec.Struct) and isinstance(value, dict):
            if type(None) in options and not any(isinstance(part, str) and part.strip() for part in value.values()):
                return None
            return _shaped_struct(value, option)
        origin = typing.get_origin(option)
        if origin in (list, tuple):
            return _shaped_list(value, typing.get_args(option)[0])
        if origin is dict:
            return _shaped_dict(value)
    if isinstance(value, list):
        value = value[-1] if value else ""
    if bool in options and isinstance(value, str):
        return value in _TRUE
    if int in options and isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,18}\s*", value):
        return int(value)
    if float in options and isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,15}(\.\d{1,15})?\s*", value):
        return float(value)
    return value


def _shaped_list(value: Any, inner: Any) -> list[Any]:
    """Return the items of a list, which come as rows, repeated fields or lines of text."""
    if isinstance(value, str):
        items: list[Any] = [line.strip() for line in value.splitlines() if line.strip()]
    elif isinstance(value, list):
        items = [item for item in value if item != ""]
    else:
        items = [value]
    return [_shaped(item, inner) for item in items]


def _shaped_dict(value: Any) -> Any:
    """Return rows of ``name`` and ``value`` as a dict; a dict stays as it is."""
    if isinstance(value, list):
        return {str(row.get("name", "")).strip(): row.get("value", "") for row in value if isinstance(row, dict)}
    return {} if value == "" else value
