"""Reports as CSV: rows and totals, numbers as numbers, texts safe in a spreadsheet (see ``spreadsheet``)."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from clickloop.money import amount_text
from clickloop.report.column import Column, StatusFigure, column_label
from clickloop.report.key_text import dimension_title
from clickloop.report.measure import Sums, Unit, relative_change
from clickloop.report.query import Grouping
from clickloop.report.spreadsheet import csv_line


def percent_text(share: int) -> str:
    """Return millionths as a decimal percentage: ``12345`` becomes ``1.2345``."""
    return amount_text(share * 100)


def plain_text(column: Column, value: int | None) -> str:
    """Return a figure as a plain decimal, shares in percent; empty for None."""
    if value is None:
        return ""
    match column.unit:
        case Unit.SHARE:
            return percent_text(value)
        case Unit.COUNT | Unit.SECONDS:
            return str(value)
        case _:
            return amount_text(value)


def column_title(column: Column, currency: str, statuses: Mapping[str, str]) -> str:
    """Return the heading of a column, with the unit that its cells lack."""
    label = column_label(column, statuses)
    match column.unit:
        case Unit.SHARE:
            return f"{label}, %"
        case Unit.MONEY | Unit.MONEY_EACH:
            return f"{label}, {currency}"
        case Unit.SECONDS:
            return f"{label}, s"
        case _:
            return label


class CsvRow(msgspec.Struct, frozen=True):
    """A row of the export: the names of its keys, its sums, and those of the period that is compared with."""

    names: tuple[str, ...]
    sums: Sums
    before: Sums | None = None
    extra: tuple[str, ...] = ()
    """Cells beneath ``CsvReport.extra_titles``."""


class CsvReport(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of an export. ``statuses``: names by key of those that have columns of their own."""

    group_by: tuple[Grouping, ...]
    columns: tuple[Column, ...]
    statuses: Mapping[str, str]
    currency: str
    is_compared: bool = False
    extra_titles: tuple[str, ...] = ()

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """Return the columns of figures: those of statuses last."""
        units = (Unit.COUNT, Unit.MONEY)
        return (*self.columns, *(StatusFigure(key, unit) for key in self.statuses for unit in units))


def csv_lines(report: CsvReport, rows: Iterable[CsvRow]) -> Iterator[bytes]:
    """Yield the lines, the header first. The last column has money that could not be converted, in its own currency."""
    head = [dimension_title(dimension) for dimension in report.group_by]
    for column in report.all_columns:
        title = column_title(column, report.currency, report.statuses)
        head.append(title)
        if report.is_compared:
            head += [f"{title}, before", f"{title}, change", f"{column_label(column, report.statuses)}, change in %"]
    yield csv_line([*head, *report.extra_titles, "Not converted"])
    for row in rows:
        cells = [cell for column in report.all_columns for cell in _cells(column, row, report)]
        extra = row.extra or ("",) * len(report.extra_titles)
        yield csv_line([*row.names, *cells, *extra, not_converted_text(row.sums)])


def _cells(column: Column, row: CsvRow, report: CsvReport) -> list[str]:
    value = column.of(row.sums)
    if not report.is_compared:
        return [plain_text(column, value)]
    before = column.of(row.before) if row.before is not None else None
    growth = share_of_change(value, before)
    return [
        plain_text(column, value),
        plain_text(column, before),
        plain_text(column, None if value is None or before is None else value - before),
        "" if growth is None else percent_text(growth),
    ]


def share_of_change(value: int | None, before: int | None) -> int | None:
    """Return a figure's change relative to before, in millionths; None if there is nothing to compare or divide by."""
    return None if value is None or before is None else relative_change(value, before)


def not_converted_text(sums: Sums) -> str:
    """Return the amounts in currencies without a rate: ``EUR: revenue 5, cost 1; GBP: revenue 2``."""
    texts = []
    for other in sums.not_converted:
        parts = (
            ("revenue", other.revenue_micros),
            ("pending", other.pending_micros),
            ("rejected", other.rejected_micros),
            ("cost", other.cost_micros),
        )
        amounts = ", ".join(f"{name} {amount_text(micros)}" for name, micros in parts if micros)
        texts.append(f"{other.currency or 'unknown currency'}: {amounts}")
    return "; ".join(texts)
