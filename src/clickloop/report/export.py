"""A report as CSV: its rows and its totals, numbers as numbers, texts safe in a spreadsheet (see ``spreadsheet``)."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from clickloop.money import amount_text
from clickloop.report.key_text import dimension_title
from clickloop.report.measure import Measure, Sums
from clickloop.report.query import Dimension
from clickloop.report.spreadsheet import csv_line


def percent_text(share: int) -> str:
    """Millionths as a decimal of percent: ``12345`` is ``1.2345``."""
    return amount_text(share * 100)


def plain_text(measure: Measure, value: int | None) -> str:
    """A figure as a plain decimal; shares in percent. Empty for none."""
    if value is None:
        return ""
    if measure.is_share:
        return percent_text(value)
    return amount_text(value) if measure.is_money else str(value)


def column_title(measure: Measure, currency: str) -> str:
    """What a column of a table without units is called."""
    if measure.is_share:
        return f"{measure.label}, %"
    return f"{measure.label}, {currency}" if measure.is_money else measure.label


class CsvRow(msgspec.Struct, frozen=True):
    """A row to be written: the names of its keys, and its figures."""

    names: tuple[str, ...]
    sums: Sums


def csv_lines(
    group_by: Sequence[Dimension],
    measures: Sequence[Measure],
    statuses: Mapping[str, str],
    currency: str,
    rows: Iterator[CsvRow],
) -> Iterator[bytes]:
    """The lines, the head first. Money that could not be converted stands in the last column, in its own currency."""
    head = [dimension_title(dimension) for dimension in group_by]
    head += [column_title(measure, currency) for measure in measures]
    yield csv_line([*head, *(f"Conversions: {name}" for name in statuses.values()), "Not converted"])
    for row in rows:
        figures = [plain_text(measure, measure.of(row.sums)) for measure in measures]
        counts = [row.sums.by_status.get(key, 0) for key in statuses]
        yield csv_line([*row.names, *figures, *counts, not_converted_text(row.sums)])


def not_converted_text(sums: Sums) -> str:
    """What is in currencies without a rate: ``EUR: revenue 5, cost 1; GBP: revenue 2``."""
    told = []
    for other in sums.not_converted:
        parts = (
            ("revenue", other.revenue_micros),
            ("pending", other.pending_micros),
            ("rejected", other.rejected_micros),
            ("cost", other.cost_micros),
        )
        amounts = ", ".join(f"{name} {amount_text(micros)}" for name, micros in parts if micros)
        told.append(f"{other.currency or 'unknown currency'}: {amounts}")
    return "; ".join(told)
