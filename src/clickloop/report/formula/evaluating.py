"""Evaluating a formula, in integers: every value is in millionths, and each step is rounded half away from zero.

An engine's SQL follows the same rules, so that a column sorts and filters by what it shows.
"""

import operator
from collections.abc import Callable, Mapping

from clickloop.report.formula.tree import (
    Calculation,
    Comparator,
    Comparison,
    Conditional,
    Constant,
    EmptyIf,
    Extreme,
    Figure,
    Formula,
    Negation,
    Node,
    Operator,
)

ONE = 1_000_000
MAX_VALUE = 10**30 - 1
"""Results and steps beyond it are empty: engines calculate in 128 bits."""
MAX_PRODUCT = 5 * 10**37
"""Products beyond it are empty, before they are rounded to millionths, for the same reason."""

_COMPARE: dict[Comparator, Callable[[int, int], bool]] = {
    Comparator.LESS: operator.lt,
    Comparator.AT_MOST: operator.le,
    Comparator.GREATER: operator.gt,
    Comparator.AT_LEAST: operator.ge,
    Comparator.EQUAL: operator.eq,
    Comparator.UNEQUAL: operator.ne,
}


def evaluate(formula: Formula, figures: Mapping[str, int | None]) -> int | None:
    """Return the formula's value in millionths of a unit, money in micros; None if it is empty.

    ``figures``: the values of ``formula.figures`` in millionths; None for an empty one. What is divided by zero is empty, and so
    is whatever is calculated from an empty value, except by ``min`` and ``max``.
    """
    return _value(formula.tree, figures)


def _value(node: Node, figures: Mapping[str, int | None]) -> int | None:
    match node:
        case Constant(micros):
            return micros
        case Figure(name):
            return _bounded(figures[name])
        case Negation(inner):
            value = _value(inner, figures)
            return None if value is None else -value
        case Calculation(sign, left, right):
            return _calculated(sign, _value(left, figures), _value(right, figures))
        case Conditional(condition, then, otherwise):
            return _value(then if _holds(condition, figures) else otherwise, figures)
        case Extreme(greatest, values):
            found = [value for one in values if (value := _value(one, figures)) is not None]
            return (max if greatest else min)(found) if found else None
        case EmptyIf(inner, other):
            value = _value(inner, figures)
            return None if value == _value(other, figures) else value


def _holds(comparison: Comparison, figures: Mapping[str, int | None]) -> bool:
    left, right = _value(comparison.left, figures), _value(comparison.right, figures)
    return left is not None and right is not None and _COMPARE[comparison.comparator](left, right)


def _calculated(sign: Operator, left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return None
    match sign:
        case Operator.ADD:
            return _bounded(left + right)
        case Operator.SUBTRACT:
            return _bounded(left - right)
        case Operator.MULTIPLY:
            product = left * right
            return None if abs(product) > MAX_PRODUCT else _bounded(rounded_quotient(product, ONE))
        case Operator.DIVIDE:
            return _bounded(rounded_quotient(left * ONE, right))


def rounded_quotient(dividend: int, divisor: int) -> int | None:
    """Return the quotient rounded half away from zero, or None if the divisor is 0."""
    if divisor == 0:
        return None
    magnitude = (2 * abs(dividend) + abs(divisor)) // (2 * abs(divisor))
    return magnitude if (dividend < 0) == (divisor < 0) else -magnitude


def _bounded(value: int | None) -> int | None:
    return None if value is None or abs(value) > MAX_VALUE else value
