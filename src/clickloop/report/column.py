"""The columns of a report: measures, figures of the user's statuses and of events, and formulas over all of them."""

import re
from collections.abc import Collection, Iterable, Mapping

import msgspec

from clickloop.money import MICROS
from clickloop.report.formula.evaluating import evaluate
from clickloop.report.formula.parsing import KindOf
from clickloop.report.formula.tree import Formula, Kind
from clickloop.report.measure import USUAL, Measure, Sums, Unit

EVENT_NUMBERS = range(1, 31)
_EVENT = re.compile(r"event([1-9][0-9]?)")
_KINDS = {
    Unit.COUNT: Kind.COUNT,
    Unit.SHARE: Kind.NUMBER,
    Unit.MONEY: Kind.MONEY,
    Unit.MONEY_EACH: Kind.MONEY,
    Unit.SECONDS: Kind.NUMBER,
    Unit.NUMBER: Kind.NUMBER,
}
_WHOLE = (Unit.COUNT, Unit.SECONDS)


class StatusFigure(msgspec.Struct, frozen=True):
    """The conversions with a status, or their payouts: ``conversions.hold``, ``revenue.hold``."""

    status: str
    unit: Unit
    """COUNT or MONEY."""

    @property
    def key(self) -> str:
        """Return the name in formulas, addresses and the API."""
        return f"{'revenue' if self.unit is Unit.MONEY else 'conversions'}.{self.status}"

    @property
    def label(self) -> str:
        """Return the title without the status's name, which the user may change."""
        return self.key

    def of(self, sums: Sums) -> int | None:
        """Return the value for these sums."""
        return (sums.micros_by_status if self.unit is Unit.MONEY else sums.by_status).get(self.status, 0)


class EventFigure(msgspec.Struct, frozen=True):
    """The sum of the numbers that pages reported as ``event1`` to ``event30``, in millionths."""

    number: int

    @property
    def unit(self) -> Unit:
        """Return the unit."""
        return Unit.NUMBER

    @property
    def key(self) -> str:
        """Return the name in formulas, addresses and the API."""
        return f"event{self.number}"

    @property
    def label(self) -> str:
        """Return the title."""
        return f"Event {self.number}"

    def of(self, sums: Sums) -> int | None:
        """Return the value for these sums."""
        return sums.by_event.get(self.number, 0)


NamedFigure = Measure | StatusFigure | EventFigure


class FormulaColumn(msgspec.Struct, frozen=True):
    """A column that the user defined. ``figures``: those that the formula uses."""

    title: str
    formula: Formula
    figures: tuple[NamedFigure, ...]

    @property
    def key(self) -> str:
        """Return the name in addresses and the API."""
        return self.title

    @property
    def label(self) -> str:
        """Return the title."""
        return self.title

    @property
    def unit(self) -> Unit:
        """Return the unit: money, or a plain number."""
        return Unit.MONEY_EACH if self.formula.kind is Kind.MONEY else Unit.NUMBER

    def of(self, sums: Sums) -> int | None:
        """Return the value for these sums, in millionths; None if it is empty."""
        return evaluate(self.formula, {figure.key: in_millionths(figure, figure.of(sums)) for figure in self.figures})


Column = NamedFigure | FormulaColumn


def in_millionths(figure: NamedFigure, value: int | None) -> int | None:
    """Return a figure's value in millionths, as formulas calculate."""
    return value * MICROS if value is not None and figure.unit in _WHOLE else value


def figure_of(name: str, statuses: Collection[str]) -> NamedFigure | None:
    """Return the figure with a name, in any case, or None. ``statuses``: keys of all statuses."""
    word = name.strip().lower()
    if word in Measure.__members__.values():
        return Measure(word)
    what, point, status = word.partition(".")
    if point and status in statuses and what in ("conversions", "revenue"):
        return StatusFigure(status, Unit.MONEY if what == "revenue" else Unit.COUNT)
    event = _EVENT.fullmatch(word)
    return EventFigure(int(event[1])) if event and int(event[1]) in EVENT_NUMBERS else None


def kinds_of(statuses: Collection[str]) -> KindOf:
    """Return the function that returns a figure's kind by its name, for the parser of formulas."""

    def kind_of(name: str) -> Kind | None:
        figure = figure_of(name, statuses)
        return None if figure is None else _KINDS[figure.unit]

    return kind_of


def formula_column(title: str, formula: Formula, statuses: Collection[str]) -> FormulaColumn:
    """Return the column of a valid formula."""
    figures = (figure_of(name, statuses) for name in sorted(formula.figures))
    return FormulaColumn(title, formula, tuple(figure for figure in figures if figure is not None))


def figures_of(columns: Iterable[Column] | None) -> tuple[NamedFigure, ...]:
    """Return all figures that columns are computed from. None: the usual columns."""
    found: dict[str, NamedFigure] = {}
    for column in USUAL if columns is None else columns:
        for figure in column.figures if isinstance(column, FormulaColumn) else (column,):
            found[figure.key] = figure
    return tuple(found.values())


def column_label(column: Column, statuses: Mapping[str, str]) -> str:
    """Return a column's title. ``statuses``: names by key."""
    if not isinstance(column, StatusFigure):
        return column.label
    name = statuses.get(column.status, column.status)
    return f"Payouts: {name}" if column.unit is Unit.MONEY else f"Conversions: {name}"
