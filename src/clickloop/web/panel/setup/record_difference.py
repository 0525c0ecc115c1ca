"""Differences between two versions of a record, field by field, for display."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

MAX_FIELDS = 200  # a longer list is of no use
_HIDDEN = {
    "": frozenset({"updated_at", "version"}),
    "networks": frozenset({"postback_url", "pixel_code", "pixel_note"}),
    "campaigns": frozenset({"link"}),
    "settings": frozenset({"saved"}),
}
"""Fields that change with every save, and by noun, fields derived from others."""

_IDENTITIES = ("number", "offer_id", "landing_id", "name")
"""Fields that identify a row wherever it stands in its list."""
_NUMBERS = frozenset({"number", "offer_id", "landing_id"})


class FieldDifference(msgspec.Struct, frozen=True):
    """A changed field. Empty texts: no value."""

    path: str
    before: str
    after: str


def differences(
    before: dict[str, Any] | None, after: dict[str, Any] | None, noun: str = ""
) -> tuple[FieldDifference, ...]:
    """Return every changed field, nested ones by path; for a new record, every field with a value. At most MAX_FIELDS.

    Lists of words show only removed and added words. Rows are matched by identity, not by position; an added or removed row is
    shown as a whole.
    """
    hidden = _HIDDEN[""] | _HIDDEN.get(noun, frozenset())
    found = (one for one in _differing(before or {}, after or {}, "") if one.path not in hidden)
    return tuple(islice(found, MAX_FIELDS))


def _differing(old: Any, new: Any, path: str) -> Iterator[FieldDifference]:
    if isinstance(old, dict) or isinstance(new, dict):
        before, after = (side if isinstance(side, dict) else {} for side in (old, new))
        for name in dict.fromkeys([*before, *after]):
            yield from _differing(before.get(name), after.get(name), f"{path}.{name}" if path else str(name))
    elif _are_rows(old) or _are_rows(new):
        before, after = _rows_by_name(old or [], new or [])
        for name in dict.fromkeys([*before, *after]):
            place = f"{path}[{name}]"
            if name in before and name in after:
                yield from _differing(before[name], after[name], place)
            else:
                yield FieldDifference(place, _row_text(before.get(name)), _row_text(after.get(name)))
    elif _words(old) != _words(new):
        removed = [word for word in _words(old) if word not in _words(new)]
        added = [word for word in _words(new) if word not in _words(old)]
        shown = (removed, added) if removed or added else (_words(old), _words(new))
        yield FieldDifference(path, *(", ".join(words) for words in shown))


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _rows_by_name(old: list[Any], new: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the rows of both sides by identity; by position if a row has none, or two share one."""
    rows = [*old, *new]
    identity = next((name for name in _IDENTITIES if all(isinstance(row, dict) and name in row for row in rows)), "")
    before, after = _named(old, identity), _named(new, identity)
    if len(before) < len(old) or len(after) < len(new):
        return _named(old, ""), _named(new, "")
    return before, after


def _named(rows: list[Any], identity: str) -> dict[str, Any]:
    return {_row_name(row, identity, at): row for at, row in enumerate(rows, 1)}


def _row_name(row: Any, identity: str, at: int) -> str:
    """Return a row's name: ``V3`` or a fixed parameter's own name in a source, ``offer 7``, ``landing 2``, or a header's name."""
    value = row.get(identity) if identity else None
    if value in (None, ""):
        return f"row {at}"
    if identity == "number":
        return f"V{value}" if isinstance(value, int) and value > 0 else _text(row.get("parameter"))
    return f"{identity.removesuffix('_id')} {value}" if identity in _NUMBERS else _text(value)


def _row_text(row: Any) -> str:
    """Return a whole row: its fields with a value."""
    if not isinstance(row, dict):
        return _text(row)
    fields = [(name, _text(value)) for name, value in row.items() if name not in _NUMBERS]
    return ", ".join(f"{name} {text}" for name, text in fields if text)


def _words(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [text for text in map(_text, items) if text or isinstance(value, list)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{name} {text}" for name, text in ((name, _text(one)) for name, one in value.items()) if text)
    if isinstance(value, list):
        return ", ".join(text for text in map(_text, value) if text)
    return str(value)
