"""A view as a file: CSV of a bounded size, which says when it was cut."""

from datetime import datetime
from itertools import chain
from zoneinfo import ZoneInfo

import msgspec

from clickloop.clock import iso_text
from clickloop.report.export import csv_lines
from clickloop.report.query_input import ReportRequest, report_period
from clickloop.report.spreadsheet import csv_line
from clickloop.report.view.view import SavedView
from clickloop.store.ledger.ledger import Ledger
from clickloop.tracking.reports.exporting import csv_rows, csv_shape
from clickloop.tracking.reports.reporting import NamedReport, ReportSource, read_query, run_report

MAX_ROWS = 5_000
"""Maximum number of rows in the file; a view with a limit of its own has fewer."""
MAX_BYTES = 1 << 20
"""Maximum size of the file: it is stored with its postback."""


class ViewFile(msgspec.Struct, frozen=True, kw_only=True):
    """A view's file. ``remark``: what is wrong with it, as sentences; empty if nothing is."""

    name: str
    csv: bytes
    remark: str = ""


class ViewSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The instance settings that a report needs, and the size of its file."""

    zone: str
    currency: str
    domain: str = ""
    max_rows: int = MAX_ROWS
    max_bytes: int = MAX_BYTES


def make_file(
    ledger: Ledger, facts: ReportSource, view: SavedView, settings: ViewSettings, due_ms: int, *, is_late: bool
) -> ViewFile:
    """Return the file of a view as of the moment when it was due. Raise InvalidInputError if it cannot be computed."""
    zone = view.schedule.zone if view.schedule is not None and view.schedule.zone else settings.zone
    bounds = report_period(view.query, due_ms, zone)
    limit = min(view.query.limit or settings.max_rows, settings.max_rows)
    request: ReportRequest = msgspec.structs.replace(view.query, limit=limit)
    made = run_report(ledger, facts, read_query(ledger, request, bounds, settings.currency))
    remarks = [f"Late: it was due {iso_text(due_ms)}."] if is_late else []
    data, rows = _bounded(made, settings.max_bytes)
    if rows < made.group_count and (view.query.limit is None or rows < view.query.limit):
        remarks.append(f"Cut: the first {rows:,} of {made.group_count:,} rows. The totals are of all.")
    lines = chain([data], (csv_line([remark]) for remark in remarks))
    name = f"view-{view.id}-{_day(due_ms, bounds.zone)}.csv"
    return ViewFile(name=name, csv=b"".join(lines), remark=" ".join(remarks))


def _bounded(made: NamedReport, max_bytes: int) -> tuple[bytes, int]:
    """Return the CSV, and the number of rows that fit."""
    *lines, total = csv_lines(csv_shape(made), csv_rows([made]))
    room = max_bytes - len(total)
    kept: list[bytes] = []
    for line in lines:
        room -= len(line)
        if room < 0:
            break
        kept.append(line)
    return b"".join([*kept, total]), max(0, len(kept) - 1)


def _day(moment_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, zone).date().isoformat()
