"""What differs between two states of a record, as its API shows them: field by field, for people."""

from typing import Any

import msgspec

MOST_FIELDS = 200
_UNTOLD = {
    "": frozenset({"updated_at"}),
    "networks": frozenset({"postback_url", "pixel_code"}),
    "campaigns": frozenset({"link"}),
    "settings": frozenset({"saved"}),
}
"""Fields that change with every change, and by noun those that follow from others."""


class FieldDifference(msgspec.Struct, frozen=True):
    """A field that is not what it was. Empty texts stand for nothing."""

    path: str
    before: str
    after: str


def differences(
    before: dict[str, Any] | None, after: dict[str, Any] | None, noun: str = ""
) -> tuple[FieldDifference, ...]:
    """Every field that differs, nested ones by their path; of a new record every field that holds something.

    Of a list of words, only those that went and those that came.
    """
    was, is_now = _flat(before or {}), _flat(after or {})
    untold = _UNTOLD[""] | _UNTOLD.get(noun, frozenset())
    found = []
    for path in dict.fromkeys([*was, *is_now]):
        old, new = was.get(path, ()), is_now.get(path, ())
        if old != new and path not in untold:
            went, came = [word for word in old if word not in new], [word for word in new if word not in old]
            told = (went, came) if went or came else (old, new)
            found.append(FieldDifference(path, *(", ".join(words) for words in told)))
    return tuple(found[:MOST_FIELDS])


def _flat(value: Any, path: str = "") -> dict[str, tuple[str, ...]]:
    if isinstance(value, dict):
        found: dict[str, tuple[str, ...]] = {}
        for name, item in value.items():
            found |= _flat(item, f"{path}.{name}" if path else str(name))
        return found
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        found = {}
        for position, item in enumerate(value):
            found |= _flat(item, f"{path}[{position + 1}]")
        return found
    if isinstance(value, list):
        return {path: tuple(_text(item) for item in value)}
    return {path: (_text(value),)} if _text(value) else {path: ()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
