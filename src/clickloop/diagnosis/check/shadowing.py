"""Find rules that an earlier rule hides: every visitor of theirs is taken before. Sound, not complete: what it says is so. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from clickloop.click.routing.conditions import ReadyCondition, ready_condition
from clickloop.setup.condition import Comparison, Condition, Operator, comparison_of, is_comparable
from clickloop.setup.flow import Rule

_POINTS = (Comparison.CODE, Comparison.WORD, Comparison.TEXT, Comparison.NUMBER, Comparison.MARKS)
"""Values of these stand for themselves alone, unlike a version or a language, which stand for those that begin with them."""
_SOME = (Operator.CONTAINS, Operator.STARTS_WITH, Operator.MATCHES)
_MAX_TRIED = 200
"""Values that are tried one by one. Larger conditions are compared only where sets can do it."""
_ORDERED = (Comparison.SCHEDULE, Comparison.DATE)
"""The first or the last value is a time zone, so the order of values counts."""


class _Compared:
    """A condition with all that it compares with. ``entries``: those of its list that its field can be compared with."""

    def __init__(self, condition: Condition, entries: frozenset[str]) -> None:
        self.condition = condition
        self.comparison = comparison_of(condition.field) or Comparison.TEXT
        own = frozenset(_plain(self.comparison, condition.op, value) for value in condition.values)
        # Not a copy: hundreds of conditions may compare with one list of 10,000 entries.
        self.values = own | entries if own else entries
        self._entries = entries

    @cached_property
    def ready(self) -> ReadyCondition:
        """Return the condition as the edge tries it. Made where it is needed: sets of 10,000 values are mostly compared as sets."""
        return ready_condition(self.condition, self._entries)

    def contains(self, value: str) -> bool:
        """Return whether ``in`` with these values holds for all that a value stands for."""
        return self.ready.test(value) is not (self.condition.op is Operator.NOT_IN)


def hidden_rules(rules: Sequence[Rule], lists: Mapping[int, Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Yield the position of each hidden rule, and that of the earlier one that hides it.

    Rules without conditions hide all that follow; they are left to the caller.
    """
    entries: dict[tuple[str, Operator, int], frozenset[str]] = {}

    def compared(condition: Condition) -> _Compared:
        key = condition.field, condition.op, condition.list_id or 0
        if key not in entries:
            entries[key] = _entries(condition, lists.get(condition.list_id or 0, ()))
        return _Compared(condition, entries[key])

    known = [[compared(condition) for condition in rule.conditions] for rule in rules]
    for later, rule in enumerate(rules):
        if not rule.active:
            continue
        for earlier in range(later):
            if rules[earlier].active and known[earlier] and _hides(known[earlier], known[later]):
                yield later, earlier
                break


def _entries(condition: Condition, entries: Iterable[str]) -> frozenset[str]:
    comparison = comparison_of(condition.field) or Comparison.TEXT
    return frozenset(_plain(comparison, condition.op, entry) for entry in entries if is_comparable(condition, entry))


def _hides(earlier: Sequence[_Compared], later: Sequence[_Compared]) -> bool:
    """Return whether all conditions of the earlier rule hold wherever those of the later one do."""
    return all(
        any(one.condition.field == other.condition.field and _implies(other, one) for other in later) for one in earlier
    )


def _implies(later: _Compared, earlier: _Compared) -> bool:
    """Return whether the earlier condition holds for every visitor for whom the later one does."""
    if later.condition.holds_for_unknown and not earlier.condition.holds_for_unknown:
        return False
    if later.condition.op is Operator.EMPTY:
        return True  # it holds for no known value
    if (later.condition.op, later.condition.list_id) == (earlier.condition.op, earlier.condition.list_id) and (
        later.condition.values == earlier.condition.values
        or (
            later.comparison not in _ORDERED
            and later.condition.op is not Operator.BETWEEN
            and later.values == earlier.values
        )
    ):
        return True
    if later.comparison in (*_ORDERED, Comparison.ADDRESS):
        return False
    if later.comparison is Comparison.MARKS and later.condition.op is not earlier.condition.op:
        return False  # a visitor with one mark may have another, too
    if later.comparison in _POINTS:
        return _points_imply(later, earlier)
    if len(later.values) + len(earlier.values) > _MAX_TRIED:
        return False
    match later.condition.op, earlier.condition.op:
        case Operator.IN, Operator.IN:
            return all(earlier.contains(value) for value in later.values)
        case Operator.NOT_IN, Operator.NOT_IN:
            return all(later.contains(value) for value in earlier.values)
        case Operator.IN, Operator.NOT_IN:
            return not any(earlier.contains(value) for value in later.values) and not any(
                later.contains(value) for value in earlier.values
            )
    return False


def _points_imply(later: _Compared, earlier: _Compared) -> bool:
    """Return the same for values that stand for themselves alone, which sets compare."""
    first, second = later.condition.op, earlier.condition.op
    match first, second:
        case Operator.IN, Operator.IN:
            return later.values <= earlier.values
        case Operator.NOT_IN, Operator.NOT_IN:
            return later.values >= earlier.values
        case Operator.IN, Operator.NOT_IN:
            return later.values.isdisjoint(earlier.values)
        case Operator.IN, Operator.CONTAINS | Operator.STARTS_WITH | Operator.BETWEEN | Operator.MATCHES:
            if len(later.values) > _MAX_TRIED or (second is Operator.MATCHES and later.comparison is Comparison.WORD):
                return False  # matches minds the case of a word, in does not
            return all(earlier.ready.test(value) for value in later.values)
    return first is second and first in _SOME and later.values <= earlier.values


def _plain(comparison: Comparison, op: Operator, value: str) -> str:
    """Return a value so that two that mean the same are equal."""
    if op is Operator.MATCHES or (op is Operator.BETWEEN and not value):
        return value
    if comparison is Comparison.NUMBER:
        return str(int(value))
    return value.casefold() if comparison is Comparison.WORD else value
