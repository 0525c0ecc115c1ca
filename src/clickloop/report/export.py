"""Reports as CSV: rows and totals, numbers as numbers, texts safe in a spreadsheet (see ``spreadsheet``)."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from clickloop.money import amount_text
from clickloop.report.key_text import dimension_title
from clickloop.report.measure import Measure, Sums
from clickloop.report.query import Dimension
from clickloop.report.spreadsheet import csv_line


def percent_text(share: int) -> str:
    """Return millionths as a decimal percentage: ``12345`` becomes ``1.2345``."""
    return amount_text(share * 100)


def plain_text(measure: Measure, value: int | None) -> str:
    """Return a figure as a plain decimal, shares in percent; empty for None."""
    if value is None:
        return ""
    if measure.is_share:
        return percent_text(value)
    return amount_text(value) if measure.is_money else str(value)


def column_title(measure: Measure, currency: str) -> str:
    """Return the heading of a column, with the unit that its cells lack."""
    if measure.is_share:
        return f"{measure.label}, %"
    return f"{measure.label}, {currency}" if measure.is_money else measure.label


class CsvRow(msgspec.Struct, frozen=True):
    """A row of the export: the names of its keys, and its sums."""

    names: tuple[str, ...]
    sums: Sums


def csv_lines(
    group_by: Sequence[Dimension],
    measures: Sequence[Measure],
    statuses: Mapping[str, str],
    currency: str,
    rows: Iterator[CsvRow],
) -> Iterator[bytes]:
    """Yield the lines, the header first. The last column has money that could not be converted, in its own currency."""
    head = [dimension_title(dimension) for dimension in group_by]
    head += [column_title(measure, currency) for measure in measures]
    yield csv_line([*head, *(f"Conversions: {name}" for name in statuses.values()), "Not converted"])
    for row in rows:
        figures = [plain_text(measure, measure.of(row.sums)) for measure in measures]
        counts = [row.sums.by_status.get(key, 0) for key in statuses]
        yield csv_line([*row.names, *figures, *counts, not_converted_text(row.sums)])


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
