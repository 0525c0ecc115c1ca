"""Reading a submitted form into the Struct that the API takes for the same thing, so that both say the same about what is wrong.

A field is named by its path in the Struct, such as ``name``, ``conditions.statuses`` or ``parameters[2].placeholder``.
"""

import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.setup.reading import PartlyRead, options_of, read_given

T = TypeVar("T")

CSRF_FIELD = "csrf"
MAX_ROWS = 500  # the number in a field's name is the visitor's: a list of a billion rows must not be made

_STEP = re.compile(r"\[([0-9]{1,4})\]|([^.\[\]]+)")
"""Linear: no step can be read in two ways. A row of five digits is a name, which no Struct knows."""
_TRUE = frozenset({"on", "true", "1", "yes"})


class Form:
    """What was submitted. ``tree`` is nested as the paths say: dicts, lists, texts; a name that came several times holds a list."""

    def __init__(self, pairs: Iterable[tuple[str, str]], faults: Iterable[Fault] = ()) -> None:
        """``faults``: of fields that were read before and are not among the pairs any more, to be told with the others."""
        self.faults = tuple(faults)
        self.pairs = tuple((name, value) for name, value in pairs if name != CSRF_FIELD)
        self.tree: dict[str, Any] = _compact(_nested(self.pairs))

    def text(self, name: str) -> str:
        """The last value of a plain field, stripped; empty when it is absent."""
        return next((value.strip() for given, value in reversed(self.pairs) if given == name), "")

    def raw(self, name: str) -> str:
        """The same as it came: for passwords."""
        return next((value for given, value in reversed(self.pairs) if given == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of a plain field that is not empty."""
        return [value for given, value in self.pairs if given == name and value]

    def has(self, name: str) -> bool:
        """Whether a button or field of that name was sent."""
        return any(given == name for given, _ in self.pairs)

    def shown_again(self, kind: type[Any]) -> dict[str, Any]:
        """Return ``tree`` for the form to be shown once more, in the shape that the fields of a Struct of that kind have in a form.

        A program may send a text where the form has rows, or rows where it has a text: what does not fit is left out here, and the
        fault of its field says so.
        """
        kinds = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        return {name: _as_shown(value, kinds.get(name, str)) for name, value in self.tree.items()}

    def read(self, kind: type[T], **more: Any) -> T:
        """The Struct that the form fills in, ``more`` put over it. Raises InvalidInputError with a fault for each field."""
        read = self.read_partly(kind, **more)
        if read.faults:
            raise InvalidInputError(read.faults)
        return read.value

    def read_partly(self, kind: type[T], **more: Any) -> PartlyRead[T]:
        """The same as far as it can be read, and each fault."""
        read = read_given({**_shaped_struct(self.tree, kind), **more}, kind)
        return PartlyRead(read.value, (*self.faults, *read.faults))


def by_path(faults: Iterable[Fault]) -> dict[str, list[str]]:
    """The sentences of faults by the path of their field, as the fields of a form are named."""
    found: dict[str, list[str]] = {}
    for fault in faults:
        path = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", fault.field)
        found.setdefault(path, []).append(fault.message)
    return found


def _nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The pairs as a tree; rows stand in dicts by their number until ``_compact``."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        steps = [int(number) if number else word for number, word in _STEP.findall(name)]
        if not steps or isinstance(steps[0], int):
            continue
        here: dict[Any, Any] = root
        for step in steps[:-1]:
            below = here.setdefault(step, {})
            if not isinstance(below, dict):
                break
            here = below
        else:
            _put(here, steps[-1], value)
    return root


def _put(here: dict[Any, Any], last: str | int, value: str) -> None:
    before = here.get(last)
    if before is None or before == "":
        here[last] = value  # an empty value before is the hidden field that stands for an unchecked box
    elif isinstance(before, list):
        before.append(value)
    elif isinstance(before, str) and value:
        here[last] = [before, value]


def _compact(tree: Any) -> Any:
    """Rows as lists in the order of their numbers, without those in which nothing is written."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(isinstance(key, int) for key in tree):
        rows = [_compact(tree[number]) for number in sorted(tree)[:MAX_ROWS]]
        return [row for row in rows if _is_written(row)]
    return {str(key): _compact(value) for key, value in tree.items()}


def _is_written(row: Any) -> bool:
    """Whether a row holds any text that is no checkbox and no number that the form put there by itself."""
    if isinstance(row, dict):
        return any(_is_written(value) for key, value in row.items() if key not in ("number", "tracked", "weight"))
    return bool(row)


def _as_shown(value: Any, kind: Any) -> Any:
    """Return a value of the form as a page that shows a field of this kind expects it; a Struct with all of its fields."""
    for option in options_of(kind):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            given = value if isinstance(value, dict) else {}
            fields = msgspec.structs.fields(option)
            return {field.encode_name: _as_shown(given.get(field.encode_name, ""), field.type) for field in fields}
        origin = typing.get_origin(option)
        if origin is dict:
            return _pairs_as_shown(value)
        if origin in (list, tuple):
            inner = typing.get_args(option)[0]
            items = value if isinstance(value, list) else [value]
            if all(isinstance(kind, type) and issubclass(kind, msgspec.Struct) for kind in options_of(inner)):
                return [_as_shown(item, inner) for item in items if isinstance(item, dict)]
            texts = [item for item in items if isinstance(item, str)]
            # A field of lines, or of words with commas between them, is one text.
            return texts if isinstance(value, list) else "".join(texts)
    return _last_text(value)


def _pairs_as_shown(value: Any) -> Any:
    """Return rows of ``name`` and ``value``, or a dict of texts."""
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
    """A value of the form as JSON would hold it for this kind; what cannot be turned stays, so that reading it names the fault."""
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
    """Rows, several values of one name, or the lines of a text field."""
    if isinstance(value, str):
        items: list[Any] = [line.strip() for line in value.splitlines() if line.strip()]
    elif isinstance(value, list):
        items = [item for item in value if item != ""]
    else:
        items = [value]
    return [_shaped(item, inner) for item in items]


def _shaped_dict(value: Any) -> Any:
    """Rows of ``name`` and ``value`` as a dict; a dict stays one."""
    if isinstance(value, list):
        return {str(row.get("name", "")).strip(): row.get("value", "") for row in value if isinstance(row, dict)}
    return {} if value == "" else value
