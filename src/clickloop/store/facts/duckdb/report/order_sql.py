"""The groups of a report that meet its conditions, with what they are ordered by, as SQL."""

from collections.abc import Mapping

from clickloop.money import MICROS
from clickloop.report.column import Column, FormulaColumn, NamedFigure, figures_of
from clickloop.report.query import ReportQuery, SortOf
from clickloop.store.facts.duckdb.report.formula_sql import figure_sql, formula_sql, millionths_sql

_BEFORE = "before_"


def shown_sql(query: ReportQuery, sums: Mapping[str, str], *, has_before: bool) -> str:
    """Return the SELECT from ``sided``: its columns, and ``sort_value``. ``sums``: columns of figures of statuses and events."""
    needed = figures_of([*query.conditions, *([query.sort] if query.sort is not None else [])])
    sides = ["", *([_BEFORE] if has_before else [])]
    figures = {side: {figure.key: f"{side}figure_{place}" for place, figure in enumerate(needed)} for side in sides}
    values = [
        f"{_in_millionths(figure, sums, side)} AS {figures[side][figure.key]}" for side in sides for figure in needed
    ]
    # Materialized, since the engine would repeat an expression wherever its name is used.
    source = f"(SELECT *, {', '.join(values)} FROM sided)" if values else "sided"  # noqa: S608 – names are ours
    conditions = [f"{formula_sql(condition, figures[''])} = {MICROS}" for condition in query.conditions]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    sort = _sort_value(query, sums, figures) if query.sort is not None else "NULL"
    return f"SELECT *, {sort} AS sort_value FROM {source} {where}"  # noqa: S608 – names are ours


def _in_millionths(figure: NamedFigure, sums: Mapping[str, str], side: str) -> str:
    return millionths_sql(figure, figure_sql(figure, sums, side))


def _sort_value(query: ReportQuery, sums: Mapping[str, str], figures: Mapping[str, Mapping[str, str]]) -> str:
    """Return what the groups are ordered by. A change is empty if one of its sides is, a relative one also if it was 0 before."""
    column = query.sort
    if column is None:
        return "NULL"
    now = _value(column, sums, figures[""], "")
    if query.sort_of is SortOf.VALUE or _BEFORE not in figures:
        return now
    before = _value(column, sums, figures[_BEFORE], _BEFORE)
    if query.sort_of is SortOf.BEFORE:
        return before
    change = f"({now} - {before})"
    return change if query.sort_of is SortOf.CHANGE else f"{change}::DOUBLE / nullif(abs({before}), 0)"


def _value(column: Column, sums: Mapping[str, str], figures: Mapping[str, str], side: str) -> str:
    if isinstance(column, FormulaColumn):
        return formula_sql(column, figures)
    return figure_sql(column, sums, side)
