"""A report from the API as a table for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

MAX_NAME = 40
_ARROW = "\N{RIGHTWARDS ARROW}"


class _Key(msgspec.Struct):
    name: str


class _Column(msgspec.Struct):
    name: str
    title: str
    unit: str


class _Change(msgspec.Struct):
    percent: str | None


Figures = Mapping[str, Any]


class _Verdict(msgspec.Struct):
    misses: str
    clicks_needed: int | None
    at_stake: Mapping[str, str]


class _Row(msgspec.Struct):
    keys: list[_Key]
    figures: Figures
    before: Figures = {}
    changes: Mapping[str, _Change] = {}
    verdict: _Verdict | None = None


class _Report(msgspec.Struct):
    since: str
    until: str
    zone: str
    currency: str
    group_by: list[str]
    columns: list[_Column]
    rows: list[_Row]
    row_count: int
    totals: Figures
    totals_before: Figures = {}
    totals_changes: Mapping[str, _Change] = {}
    totals_verdict: _Verdict | None = None
    judged_until: str = ""


def table_lines(response: bytes) -> Iterator[str]:
    """Yield the lines of a table: heading, rows and totals, then what it does not show."""
    report = msgspec.json.decode(response, type=_Report)
    is_judged = bool(report.judged_until)
    head = [*report.group_by, *(_title(column, report.currency) for column in report.columns)]
    head += ["Misses, %", "Clicks needed", f"At stake, {report.currency}"] if is_judged else []
    rows = [[*(_short(key.name) for key in row.keys), *_cells(report.columns, row)] for row in report.rows]
    totals = _Row([], report.totals, report.totals_before, report.totals_changes, report.totals_verdict)
    names = ["Total", *[""] * len(report.group_by)][: len(report.group_by)]
    rows.append([*names, *_cells(report.columns, totals)])
    for line, row in zip(rows, (*report.rows, totals), strict=True):
        line.extend(_verdict_cells(row.verdict) if is_judged else ())
    widths = [max(len(line[place]) for line in (head, *rows)) for place in range(len(head))]
    for number, line in enumerate((head, *rows)):
        if number and number == len(rows):
            yield "-" * (sum(widths) + 2 * (len(widths) - 1))
        yield _line(line, widths, len(report.group_by))
    shown = len(report.rows)
    if shown < report.row_count:
        yield f"{shown:,} of {report.row_count:,} rows. Use --limit for more, or --csv for all."
    if is_judged:
        yield f"Judged by clicks before {report.judged_until}, which are old enough to have converted."
    for other in report.totals.get("not_converted", ()):
        yield f"Not included: amounts in {other['currency'] or 'an unknown currency'}, which have no exchange rate."


def _title(column: _Column, currency: str) -> str:
    if column.unit == "money":
        return f"{column.title}, {currency}"
    return f"{column.title}, %" if column.unit == "percent" else column.title


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"


def _cells(columns: Sequence[_Column], row: _Row) -> Iterator[str]:
    for column in columns:
        text = _text(row.figures, column.name)
        change = row.changes.get(column.name)
        if change is None:
            yield text
        else:
            percent = f" ({change.percent}%)" if change.percent is not None else ""
            yield f"{_text(row.before, column.name)} {_ARROW} {text}{percent}"


def _verdict_cells(verdict: _Verdict | None) -> tuple[str, str, str]:
    if verdict is None:
        return ("–", "–", "–")
    needed = "over 10,000,000" if verdict.clicks_needed is None else f"{verdict.clicks_needed:,}"
    return (verdict.misses, needed, verdict.at_stake["amount"])


def _text(figures: Figures, name: str) -> str:
    """Return a figure, or a column of one's own, as plain text; a dash if it is empty."""
    value = figures[name] if name in figures else figures.get("columns", {}).get(name)
    if isinstance(value, Mapping):
        value = value["amount"]
    return "–" if value is None else str(value)


def _line(cells: Sequence[str], widths: Sequence[int], names: int) -> str:
    aligned = [
        cell.ljust(width) if place < names else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()
