"""What differs between two states of a record, as its API shows them: field by field, for people."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

MAX_FIELDS = 200  # a page that lists more is not read
_UNTOLD = {
    "": frozenset({"updated_at", "version"}),
    "networks": frozenset({"postback_url", "pixel_code", "pixel_note"}),
    "campaigns": frozenset({"link"}),
    "settings": frozenset({"saved"}),
}
"""Fields that change with every change, and by noun those that follow from others."""


_IDENTITIES = ("number", "offer_id", "name")
"""What a row is of, whatever its place."""
_NUMBERS = frozenset({"number", "offer_id"})


class FieldDifference(msgspec.Struct, frozen=True):
    """A field that is not what it was. Empty texts stand for nothing."""

    path: str
    before: str
    after: str


def differences(
    before: dict[str, Any] | None, after: dict[str, Any] | None, noun: str = ""
) -> tuple[FieldDifference, ...]:
    """Every field that differs, nested ones by their path; of a new record every field that holds something.

    Of a list of words, only those that went and those that came. Rows are compared by what they are of, not by where they stand;
    one that went or came is told as a whole.
    """
    untold = _UNTOLD[""] | _UNTOLD.get(noun, frozenset())
    found = (one for one in _differing(before or {}, after or {}, "") if one.path not in untold)
    return tuple(islice(found, MAX_FIELDS))


def _differing(old: Any, new: Any, path: str) -> Iterator[FieldDifference]:
    if isinstance(old, dict) or isinstance(new, dict):
        was, is_now = (side if isinstance(side, dict) else {} for side in (old, new))
        for name in dict.fromkeys([*was, *is_now]):
            yield from _differing(was.get(name), is_now.get(name), f"{path}.{name}" if path else str(name))
    elif _are_rows(old) or _are_rows(new):
        was, is_now = _rows_by_name(old or [], new or [])
        for name in dict.fromkeys([*was, *is_now]):
            place = f"{path}[{name}]"
            if name in was and name in is_now:
                yield from _differing(was[name], is_now[name], place)
            else:
                yield FieldDifference(place, _row_text(was.get(name)), _row_text(is_now.get(name)))
    elif _words(old) != _words(new):
        went = [word for word in _words(old) if word not in _words(new)]
        came = [word for word in _words(new) if word not in _words(old)]
        told = (went, came) if went or came else (_words(old), _words(new))
        yield FieldDifference(path, *(", ".join(words) for words in told))


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _rows_by_name(old: list[Any], new: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of both sides by what they are of; by where they stand where that is not told, or told twice."""
    rows = [*old, *new]
    identity = next((name for name in _IDENTITIES if all(isinstance(row, dict) and name in row for row in rows)), "")
    was, is_now = _named(old, identity), _named(new, identity)
    if len(was) < len(old) or len(is_now) < len(new):
        return _named(old, ""), _named(new, "")
    return was, is_now


def _named(rows: list[Any], identity: str) -> dict[str, Any]:
    return {_row_name(row, identity, at): row for at, row in enumerate(rows, 1)}


def _row_name(row: Any, identity: str, at: int) -> str:
    """``V3`` of a source's parameters, the first two by their own names; ``offer 7``; a header's name."""
    value = row.get(identity) if identity else None
    if value in (None, ""):
        return f"row {at}"
    if identity == "number":
        return f"V{value}" if isinstance(value, int) and value > 0 else _text(row.get("parameter"))
    return f"offer {value}" if identity == "offer_id" else _text(value)


def _row_text(row: Any) -> str:
    """A whole row: its fields that hold something."""
    if not isinstance(row, dict):
        return _text(row)
    told = [(name, _text(value)) for name, value in row.items() if name not in _NUMBERS]
    return ", ".join(f"{name} {text}" for name, text in told if text)


def _words(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [text for text in map(_text, items) if text or isinstance(value, list)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
