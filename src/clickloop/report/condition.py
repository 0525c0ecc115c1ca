"""Filters on figures, written as comparisons: ``cost >= 20 and conversions = 0``. All of them must hold."""

import re
from collections.abc import Collection

from clickloop.report.column import FormulaColumn, formula_column, kinds_of
from clickloop.report.formula.evaluating import ONE
from clickloop.report.formula.parsing import MAX_LENGTH, FormulaError, FormulaFault, parse_formula
from clickloop.report.formula.tree import Conditional, Constant
from clickloop.report.measure import Sums

MAX_CONDITIONS = 20
_AND = re.compile(r"\band\b", re.IGNORECASE)
_BEFORE, _AFTER = "if(", ", 1, 0)"


def conditions_of(text: str, statuses: Collection[str]) -> tuple[FormulaColumn, ...]:
    """Return the conditions in a text, each as a formula with the value 1 where it holds. Raise FormulaError."""
    if len(text) > MAX_LENGTH:
        raise FormulaError(FormulaFault(MAX_LENGTH, f"Conditions have at most {MAX_LENGTH:,} characters."))
    ends = [match.span() for match in _AND.finditer(text)]
    starts = [0, *(end for _, end in ends)]
    if len(starts) > MAX_CONDITIONS:
        sentence = f"At most {MAX_CONDITIONS} conditions can be combined. There are {len(starts)}."
        raise FormulaError(FormulaFault(starts[MAX_CONDITIONS], sentence))
    parts = zip(starts, [*(start for start, _ in ends), len(text)], strict=True)
    return tuple(_condition(text[start:end], start, statuses) for start, end in parts)


def _condition(text: str, start: int, statuses: Collection[str]) -> FormulaColumn:
    """Return the condition that is a part of a text. ``start``: where it begins, for the places of faults."""
    start += len(text) - len(text.lstrip())
    if not text.strip():
        raise FormulaError(FormulaFault(start, "A condition is missing, such as cost >= 20."))
    try:
        formula = parse_formula(f"{_BEFORE}{text.strip()}{_AFTER}", kinds_of(statuses))
    except FormulaError as error:
        fault = error.fault
        sentence = fault.sentence.replace("if begins with a comparison, such as if(cost >= 20, …, …).", _EXPECTED)
        raise FormulaError(FormulaFault(start + max(0, fault.at - len(_BEFORE)), sentence)) from None
    # Parentheses that close ours would make it something else.
    if not isinstance(formula.tree, Conditional) or not formula.text.endswith(_AFTER) or formula.tree.then != _TRUE:
        raise FormulaError(FormulaFault(start, _EXPECTED))
    return formula_column(text.strip(), formula, statuses)


_TRUE = Constant(ONE)
_EXPECTED = "A condition is a comparison, such as cost >= 20."


def holds(condition: FormulaColumn, sums: Sums) -> bool:
    """Return whether a group meets the condition. An empty figure meets none."""
    return condition.of(sums) == ONE
