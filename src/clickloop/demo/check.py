"""The comparisons that checks are made of, with a short detail. Pure."""

from collections import Counter
from collections.abc import Hashable

import msgspec


class Check(msgspec.Struct, frozen=True):
    """The result of a comparison. ``detail`` is what was compared, or the difference if it failed."""

    name: str
    passed: bool
    detail: str


class CheckGroup(msgspec.Struct, frozen=True):
    """Checks of one part of the demo."""

    title: str
    checks: tuple[Check, ...]


def check_number(name: str, found: int, expected: int) -> Check:
    return Check(name, found == expected, f"{found:,}" if found == expected else f"{found:,}, expected {expected:,}")


def check(name: str, found: object, expected: object, size: str = "", *, show_content: bool = False) -> Check:
    """Compare two collections. The detail is their size, their content with ``show_content``, or the first few differences."""
    if found == expected:
        return Check(name, True, size or (_listed(found) if show_content else f"{_size(found):,}"))
    entries, expected_entries = _entries(found), _entries(expected)
    extra = [f"unexpected {entry}" for entry in sorted(map(str, entries - expected_entries))]
    missing = [f"missing {entry}" for entry in sorted(map(str, expected_entries - entries))]
    return Check(
        name, False, f"{len(extra)} unexpected, {len(missing)} missing: {'; '.join([*extra[:2], *missing[:2]])}"
    )


def _entries(collection: object) -> set[Hashable]:
    return set(collection.items()) if isinstance(collection, dict) else set(collection)  # type: ignore[call-overload]


def _size(collection: object) -> int:
    if isinstance(collection, Counter):
        return collection.total()
    return len(collection)  # type: ignore[arg-type]


def _listed(collection: object) -> str:
    entries = sorted(collection.items()) if isinstance(collection, dict) else ()
    return ", ".join(f"{value} {name}" for name, value in entries) or "none"
