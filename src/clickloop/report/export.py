"""A report as CSV: its rows and its totals, numbers as numbers, texts safe in a spreadsheet (see ``spreadsheet``)."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from clickloop.money import amount_text
from clickloop.report.key_text import dimension_title
from clickloop.report.metrics import Metrics
from clickloop.report.query import Dimension, Measure, Sums
from clickloop.report.spreadsheet import csv_line

PERCENT_DIGITS = 4

TITLES = {
    Measure.CLICKS: "Clicks",
    Measure.UNIQUE_CLICKS: "Unique clicks",
    Measure.CLICKS_RECORDED: "Clicks recorded",
    Measure.CONVERSIONS: "Conversions",
    Measure.CONFIRMED: "Confirmed",
    Measure.PENDING: "Pending",
    Measure.REJECTED: "Rejected",
    Measure.CR: "CR",
    Measure.APPROVAL_RATE: "Approval rate",
    Measure.REVENUE: "Revenue",
    Measure.PENDING_REVENUE: "Pending revenue",
    Measure.REJECTED_REVENUE: "Rejected revenue",
    Measure.AVERAGE_PAYOUT: "Average payout",
    Measure.COST: "Cost",
    Measure.PROFIT: "Profit",
    Measure.ROI: "ROI",
    Measure.EPC: "EPC",
    Measure.CPC: "CPC",
}
"""What the measures are called."""
SHARES = frozenset({Measure.CR, Measure.APPROVAL_RATE, Measure.ROI})
MONEY = frozenset(
    {
        *(Measure.REVENUE, Measure.PENDING_REVENUE, Measure.REJECTED_REVENUE, Measure.AVERAGE_PAYOUT),
        *(Measure.COST, Measure.PROFIT, Measure.EPC, Measure.CPC),
    }
)


def figure(measure: Measure, sums: Sums, metrics: Metrics) -> int | None:
    """A measure's integer: a count, micros, or a share in millionths; None: there is nothing to divide by."""
    match measure:
        case Measure.CONVERSIONS:
            return metrics.conversions
        case Measure.REVENUE | Measure.COST:
            micros: int = getattr(sums, f"{measure.value}_micros")
            return micros
        case Measure.PENDING_REVENUE:
            return sums.pending_micros
        case Measure.REJECTED_REVENUE:
            return sums.rejected_micros
        case Measure.CR | Measure.APPROVAL_RATE | Measure.ROI:
            of_sums: int | None = getattr(metrics, measure.value)
            return of_sums
        case Measure.AVERAGE_PAYOUT | Measure.PROFIT | Measure.EPC | Measure.CPC:
            per: int | None = getattr(metrics, f"{measure.value}_micros")
            return per
        case _:
            count: int = getattr(sums, measure.value)
            return count


def percent_text(share: int) -> str:
    """Millionths as a decimal of percent: ``12345`` is ``1.2345``."""
    return amount_text(share * 100)


def plain_text(measure: Measure, value: int | None) -> str:
    """A figure as a plain decimal; shares in percent. Empty for none."""
    if value is None:
        return ""
    if measure in SHARES:
        return percent_text(value)
    return amount_text(value) if measure in MONEY else str(value)


def column_title(measure: Measure, currency: str) -> str:
    """What a column of a table without units is called."""
    if measure in SHARES:
        return f"{TITLES[measure]}, %"
    return f"{TITLES[measure]}, {currency}" if measure in MONEY else TITLES[measure]


class CsvRow(msgspec.Struct, frozen=True):
    """A row to be written: the names of its keys, and its figures."""

    names: tuple[str, ...]
    sums: Sums
    metrics: Metrics


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
        figures = [plain_text(measure, figure(measure, row.sums, row.metrics)) for measure in measures]
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
