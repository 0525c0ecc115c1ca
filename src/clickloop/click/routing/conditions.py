"""Conditions compiled for the hot path: each becomes a function of one value, whose cost depends on the value alone. Pure."""

import ipaddress
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
import re2

from clickloop.pattern import pattern_of
from clickloop.setup.condition import (
    CODED_FIELDS,
    Comparison,
    Condition,
    Operator,
    comparison_of,
    hours_in,
    is_comparable,
    moment_in,
    zone_of,
)

Value = str | int
"""A visitor's value: a text, with commas for ``mark``, or Unix milliseconds for ``schedule`` and ``date``. Empty if unknown."""
Test = Callable[[Any], bool]
"""Returns whether a known value passes."""

QUARTER_MS = 15 * 60 * 1000
"""Time zone offsets have been multiples of 15 minutes since 1972, so the hour of the week is constant within one."""
_FEW = 20
"""Number of texts beyond which one automaton is faster than a search for each."""
_AUTOMATON_BYTES = (
    64 << 20
)  # 10,000 texts of 1,000 characters fit; fewer bytes fall back to a search that is far slower
_EXPRESSION_BYTES = 4 << 20  # with less, RE2 leaves its automaton for a search that takes tens of milliseconds


class ReadyCondition(msgspec.Struct, frozen=True, gc=False):
    """A compiled condition. ``test`` takes a known value of ``field``."""

    field: str
    test: Test
    holds_for_unknown: bool

    def holds(self, value: Value) -> bool:
        """Return whether the condition holds for a value."""
        return self.test(value) if value else self.holds_for_unknown


SharedTests = dict[tuple[str, Operator, tuple[str, ...], int | None], Test]
"""Tests by what they depend on: hundreds of conditions may compare with one list of 10,000 entries."""


def ready_condition(
    condition: Condition, entries: Iterable[str] = (), shared: SharedTests | None = None
) -> ReadyCondition:
    """Compile a condition without faults, see ``condition_faults``.

    ``entries``: those of its named list. A list has no field, so entries that this condition cannot be compared with are left out.
    ``shared``: the tests compiled so far with the same lists. A new one is added.
    """
    comparison = comparison_of(condition.field) or Comparison.TEXT
    kind = condition.field if condition.field in CODED_FIELDS else comparison
    key = (kind, condition.op, condition.values, condition.list_id)
    test = None if shared is None else shared.get(key)
    if test is None:
        values = (*condition.values, *(entry for entry in entries if is_comparable(condition, entry)))
        test = _test(condition.op, comparison, values)
        if shared is not None:
            shared[key] = test
    return ReadyCondition(condition.field, test, condition.holds_for_unknown)


def _test(op: Operator, comparison: Comparison, values: tuple[str, ...]) -> Test:
    match op:
        case Operator.EMPTY:
            return _never
        case Operator.NOT_IN:
            return _negated(_is_in(comparison, values))
        case Operator.IN:
            return _is_in(comparison, values)
        case Operator.BETWEEN:
            return _is_between(comparison, values)
        case Operator.MATCHES:
            searches = [_search_of(value) for value in values]
            return lambda value: any(search(value) is not None for search in searches)
        case Operator.CONTAINS:
            return _contains(values, is_exact=comparison is Comparison.TEXT)
        case Operator.STARTS_WITH:
            return _starts_with(values, is_exact=comparison is Comparison.TEXT)


def _search_of(pattern: str) -> Callable[[str], object | None]:
    """Return the search of an expression that ``pattern_of`` takes, with room for the automaton that makes hostile ones fast."""
    pattern_of(pattern)  # limits its size
    options = re2.Options()
    options.max_mem = _EXPRESSION_BYTES
    options.never_capture = True
    options.log_errors = False
    search: Callable[[str], object | None] = re2.compile(pattern, options).search
    return search


def _never(_value: Value) -> bool:
    """Return False: a known value is never empty."""
    return False


def _negated(test: Test) -> Test:
    return lambda value: not test(value)


def _is_in(comparison: Comparison, values: tuple[str, ...]) -> Test:
    match comparison:
        case Comparison.CODE | Comparison.TEXT:
            # A C method: the most common condition costs no Python call.
            return frozenset(values).__contains__
        case Comparison.NUMBER:
            return frozenset(str(int(value)) for value in values).__contains__
        case Comparison.WORD:
            words = frozenset(value.casefold() for value in values)
            return lambda value: value.casefold() in words
        case Comparison.LANGUAGE:
            tags = frozenset(values)
            return lambda value: value in tags or value.partition("-")[0] in tags
        case Comparison.VERSION:
            versions = frozenset(_version(value) for value in values)
            lengths = sorted({len(version) for version in versions})
            return lambda value: any(_version(value)[:n] in versions for n in lengths)
        case Comparison.ADDRESS:
            return _in_networks(values)
        case Comparison.MARKS:
            marks = frozenset(values)
            return lambda value: not marks.isdisjoint(value.split(","))
        case _:
            return _in_schedule(values)


@lru_cache(maxsize=4096)
def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version up to the first part that is not one. Bounded, since visitors write these texts."""
    numbers: list[int] = []
    for part in text[:40].split("."):
        if not (part.isascii() and part.isdigit() and len(part) <= 9):
            break
        numbers.append(int(part))
    return tuple(numbers)


@lru_cache(maxsize=4096)
def _address(text: str) -> tuple[int, int]:
    """Return the version and number of an address; version 0 if it is not one. An IPv4-mapped IPv6 address is read as IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 0, 0
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (4, int(mapped)) if mapped is not None else (address.version, int(address))


def _in_networks(values: tuple[str, ...]) -> Test:
    """Return a test that bisects merged ranges, so that 10,000 networks cost one search."""
    found = sorted(_range(value) for value in values)
    ranges = {version: _merged(one[1:] for one in found if one[0] == version) for version in (4, 6)}

    def test(value: Any) -> bool:
        version, number = _address(value)
        if not version:
            return False
        starts, ends = ranges[version]
        found = bisect_right(starts, number) - 1
        return found >= 0 and number <= ends[found]

    return test


def _range(value: str) -> tuple[int, int, int]:
    """Return the version of an address or network, and its first and last address as numbers.

    Not ``ipaddress.ip_network``, with which 100,000 networks would keep visitors waiting for seconds.
    """
    text, slash, prefix = value.partition("/")
    if slash and not prefix.isdigit():  # with a mask
        network = ipaddress.ip_network(value, strict=False)
        return network.version, int(network.network_address), int(network.broadcast_address)
    address = ipaddress.ip_address(text)
    number, behind = int(address), address.max_prefixlen - int(prefix) if slash else 0
    first = number >> behind << behind
    return address.version, first, first + (1 << behind) - 1


def _merged(ranges: Iterable[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Return the first and the last numbers of ascending ranges, those that overlap or touch as one."""
    starts: list[int] = []
    ends: list[int] = []
    for first, last in ranges:
        if ends and first <= ends[-1] + 1:
            ends[-1] = max(ends[-1], last)
        else:
            starts.append(first)
            ends.append(last)
    return starts, ends


def _in_schedule(values: tuple[str, ...]) -> Test:
    zone = zone_of(values[0]) or UTC
    hours = frozenset(hour for value in values[1:] for hour in hours_in(value) or ())

    @lru_cache(maxsize=8)
    def holds_in(quarter: int) -> bool:
        moment = datetime.fromtimestamp(quarter * QUARTER_MS / 1000, zone)
        return moment.weekday() * 24 + moment.hour in hours

    return lambda value: holds_in(value // QUARTER_MS)


def _is_between(comparison: Comparison, values: tuple[str, ...]) -> Test:
    low, high = values[:2]
    match comparison:
        case Comparison.DATE:
            zone = values[2] if len(values) > 2 else "UTC"
            first = moment_in(low, zone) if low else None
            last = _end_of(high, zone) if high else None
            return lambda value: (first is None or value >= first) and (last is None or value <= last)
        case Comparison.NUMBER:
            least, most = int(low or 0), int(high) if high else None
            return lambda value: (
                len(value) <= 10
                and value.isascii()
                and value.isdigit()
                and int(value) >= least
                and (most is None or int(value) <= most)
            )
        case _:
            lowest, highest = _version(low), _version(high)

            def test(value: Any) -> bool:
                version = _version(value)
                return bool(version) and version >= lowest and (not highest or version[: len(highest)] <= highest)

            return test


def _end_of(text: str, zone: str) -> int | None:
    """Return the last millisecond that an upper bound includes: the end of a day, or the moment itself. None: it is open."""
    try:
        following = date.fromisoformat(text) + timedelta(days=1)
    except ValueError:
        return moment_in(text, zone)
    except OverflowError:  # 9999-12-31, for ever
        return None
    end = moment_in(following.isoformat(), zone)
    return None if end is None else end - 1


def _contains(values: tuple[str, ...], *, is_exact: bool) -> Test:
    texts = tuple(values if is_exact else dict.fromkeys(value.casefold() for value in values))
    if len(texts) > _FEW:
        options = re2.Options()
        options.max_mem = _AUTOMATON_BYTES
        options.never_capture = True
        found = re2.compile("|".join(re2.escape(text) for text in texts), options).search
        if is_exact:
            return lambda value: found(value) is not None
        return lambda value: found(value.casefold()) is not None
    if is_exact:
        return lambda value: any(text in value for text in texts)

    def test(value: Any) -> bool:
        folded = value.casefold()
        return any(text in folded for text in texts)

    return test


def _starts_with(values: tuple[str, ...], *, is_exact: bool) -> Test:
    """Return a test by length, whose cost depends on the number of different lengths, not of texts."""
    texts = frozenset(values if is_exact else (value.casefold() for value in values))
    lengths = sorted({len(text) for text in texts})

    def test(value: Any) -> bool:
        folded = value if is_exact else value.casefold()
        return any(folded[:length] in texts for length in lengths)

    return test
