"""Figures and formulas as integer SQL over the sums of a group, with exactly the results of ``report``'s own evaluation.

Each operand is written once, since a formula's text would grow exponentially otherwise: what is too large for 128 bits becomes
NULL by TRY and TRY_CAST, and rounding half away from zero is DuckDB's own of decimals.
"""

from collections.abc import Mapping

from clickloop.money import MICROS
from clickloop.report.column import EventFigure, FormulaColumn, NamedFigure, StatusFigure
from clickloop.report.formula.tree import (
    Calculation,
    Conditional,
    Constant,
    EmptyIf,
    Extreme,
    Figure,
    Negation,
    Node,
    Operator,
)
from clickloop.report.measure import Measure, Unit, signed_names

MAX_EXPRESSION_DEPTH = 5_000
"""Of a formula with as many terms as the language allows. The engine's own limit is 1,000."""
_SIGNS = {Operator.ADD: "+", Operator.SUBTRACT: "-"}


def measure_sql(measure: Measure, prefix: str = "") -> str:
    """Return a measure's value in its unit. Columns are those of ``Sums`` after ``prefix``, money in micros."""
    if measure is Measure.DELAY_P50:
        return f"{prefix}{measure.dividend}::HUGEINT"
    total = f"{measure.times} * ({_terms(measure.dividend, prefix)})"
    if not measure.divisor:
        return f"({total})::HUGEINT"
    factor = 10 * MICROS if measure.unit is Unit.SHARE else 10
    divisor = f"nullif(greatest({_terms(measure.divisor, prefix)}, 0), 0)"
    # One digit more than needed, cut off, decides how it is rounded.
    return f"TRY(round((({total})::HUGEINT * {factor} // {divisor})::DECIMAL(38, 0), -1))::HUGEINT // 10"


def _terms(terms: str, prefix: str) -> str:
    return " ".join(f"{'-' if sign < 0 else '+'} {prefix}{name}" for sign, name in signed_names(terms)).removeprefix(
        "+ "
    )


def figure_sql(figure: NamedFigure, sums: Mapping[str, str], prefix: str = "") -> str:
    """Return a figure's value in its unit. ``sums``: column of each figure of statuses and events, by key."""
    if isinstance(figure, StatusFigure | EventFigure):
        return f"{prefix}{sums[figure.key]}::HUGEINT"
    return measure_sql(figure, prefix)


def millionths_sql(figure: NamedFigure, value: str) -> str:
    """Return a figure's value in millionths, empty if it is too large for formulas."""
    is_whole = figure.unit in (Unit.COUNT, Unit.SECONDS)
    return _bounded(f"TRY({value} * {MICROS})" if is_whole else value)


def formula_sql(column: FormulaColumn, figures: Mapping[str, str]) -> str:
    """Return a formula's value in millionths. ``figures``: column of each figure in millionths, by key."""
    return _value(column.formula.tree, figures)


def _value(node: Node, figures: Mapping[str, str]) -> str:
    match node:
        case Constant(micros):
            return f"({micros})::HUGEINT"
        case Figure(name):
            return figures[name]
        case Negation(inner):
            return f"(-{_value(inner, figures)})"
        case Calculation(sign, left, right):
            return _calculated(sign, _value(left, figures), _value(right, figures))
        case Conditional(condition, then, otherwise):
            first, second = _value(condition.left, figures), _value(condition.right, figures)
            comparison = f"{first} {condition.comparator} {second}"
            return f"(CASE WHEN {comparison} THEN {_value(then, figures)} ELSE {_value(otherwise, figures)} END)"
        case Extreme(greatest, values):
            listed = ", ".join(_value(value, figures) for value in values)
            return f"{'greatest' if greatest else 'least'}({listed})"
        case EmptyIf(inner, other):
            return f"nullif({_value(inner, figures)}, {_value(other, figures)})"


def _calculated(sign: Operator, left: str, right: str) -> str:
    match sign:
        case Operator.MULTIPLY:
            rounded = f"TRY(round(({left} * {right})::DECIMAL(38, 0), -6))"
            return _bounded(f"{rounded}::HUGEINT // {MICROS}")
        case Operator.DIVIDE:
            rounded = f"TRY(round(({left} * {10 * MICROS} // nullif({right}, 0))::DECIMAL(38, 0), -1))"
            return _bounded(f"{rounded}::HUGEINT // 10")
        case _:
            return _bounded(f"{left} {_SIGNS[sign]} {right}")


def _bounded(value: str) -> str:
    """Return a value as it is, or NULL beyond ``formula.evaluating.MAX_VALUE``."""
    return f"TRY_CAST(({value}) AS DECIMAL(30, 0))::HUGEINT"
