"""Start, show and cancel exports of logs, and read their pages for ``ExportWorker``. Secrets are masked for all users."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.clock import HOUR_MS, Moment, optional_iso_text
from clickloop.conversion.moment import read_moment
from clickloop.log_filter import LogFilter
from clickloop.logs.column import chosen_columns, csv_cells, csv_heads, names_for
from clickloop.logs.context import LogContext
from clickloop.logs.filter_checks import check_export_filters
from clickloop.logs.log import LOGS, filters_of
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.logs.view import view_of
from clickloop.report.spreadsheet import csv_line
from clickloop.setup.fault import InvalidInputError
from clickloop.store.ledger.jobs.exports import (
    EXPORTS,
    Export,
    ExportNoun,
    count_unfinished,
    exports_before,
    may_see,
    requester_of,
)
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.period import MAX_MOMENT_MS, period_of
from clickloop.tracking.jobs.context import JobContext
from clickloop.tracking.jobs.export_work import ExportedPage, ExportPageReader

NOUN = "exports"
MAX_UNFINISHED = 10
"""Maximum number of unfinished exports per user: they share the disk and the worker."""
ROWS_A_STEP = 2_000
"""Rows per page of an export: other work gets its turn between two pages."""

Filters = Annotated[
    dict[str, str | int | bool],
    Meta(
        description="Filters, named like the parameters of the log's list; for clicks, like those of GET /clicks.",
        examples=[{"campaign_id": 1, "since": "2026-03-01T00:00:00Z"}],
    ),
]


class ExportView(msgspec.Struct, kw_only=True):
    """An export and its progress. Secrets are masked in the file."""

    export_id: str
    noun: ExportNoun
    filters: Filters
    columns: Annotated[list[str], Meta(description="Their keys, in order.", examples=[["at", "click_id", "campaign"]])]
    asked_by: str
    state: Annotated[JobState, Meta(description="waiting or running until it ends. If it is failed, error says why.")]
    rows: Annotated[int, Meta(description="Rows written so far, newest first.")]
    octets: Annotated[int, Meta(description="Size of the file so far, in bytes.")]
    reached_at: Annotated[Moment | None, Meta(description="The time of the last row written.")]
    percent: Annotated[
        int | None, Meta(description="How much of the period is written. null if the period has no start.")
    ]
    created_at: Moment
    finished_at: Moment | None
    error: Annotated[str | None, Meta(description="The reason if it failed.")]
    result_until: Annotated[Moment | None, Meta(description="When the file will be deleted. null while there is none.")]


class TooManyExportsError(Exception):
    """The actor has as many unfinished exports as they may have; the text says what to do."""


def start_export(context: JobContext, noun: ExportNoun, filters: LogFilter, columns: list[str]) -> ExportView:
    """Enter an export, to be written by ``ExportWorker``. Raise InvalidInputError, TooManyExportsError."""
    check_export_filters(context.ledger, filters)
    chosen = chosen_columns(LOGS[noun].columns, ",".join(columns))
    user_id, asked_by = requester_of(context.actor)
    export = Export(
        export_id=context.record_ids(),
        noun=noun,
        filters=msgspec.json.encode(filters),
        columns=",".join(column.key for column in chosen),
        user_id=user_id,
        asked_by=asked_by,
        created_at=context.clock(),
    )
    view = export_view(context, export)
    with context.ledger.write() as tx:
        if count_unfinished(tx, context.actor) >= MAX_UNFINISHED:
            sentence = f"You already have {MAX_UNFINISHED} unfinished exports. Wait until one is finished, or stop one."
            raise TooManyExportsError(sentence)
        EXPORTS.insert(tx, export)
        record_change(tx, context, NOUN, export.export_id, after=view, action=Action.EXPORTED)
    return view


def list_exports(context: JobContext, limit: int, cursor: str = "") -> Page[ExportView]:
    """Return a page of the exports that the actor may see, newest first."""
    before = read_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        found = exports_before(tx, context.actor, before, limit + 1)
    return page_of(found, limit, NOUN, lambda export: export.export_id, lambda export: export_view(context, export))


def find_export(context: JobContext, export_id: str) -> Export | None:
    """Return the export of that id, if the actor may see it."""
    with context.ledger.read() as tx:
        export = EXPORTS.find(tx, export_id)
    return export if export is not None and may_see(context.actor, export) else None


def stop_export(context: JobContext, export: Export) -> None:
    """End an export and delete what is written of it. One that has ended stays as it is."""
    with context.ledger.write() as tx:
        stopped = EXPORTS.stop(tx, export.export_id, context.clock())
        if stopped:
            before = export_view(context, export)
            record_change(tx, context, NOUN, export.export_id, before=before, action=Action.CANCELLED)
    if stopped:
        context.exports.delete(export.export_id)


def export_view(context: JobContext, export: Export) -> ExportView:
    """Return the view of an export."""
    has_file = export.state is JobState.FINISHED and export.finished_at is not None
    until = (export.finished_at or 0) + context.upload_keep_hours * HOUR_MS
    return view_of(
        ExportView,
        export,
        filters=msgspec.json.decode(export.filters),
        columns=export.columns.split(","),
        rows=export.rows_written,
        percent=_percent(export),
        result_until=optional_iso_text(until if has_file else None),
    )


def _percent(export: Export) -> int | None:
    """Return how much of the period is written. Rows are written from its end, or the export's creation, back to its start."""
    if export.state is JobState.FINISHED:
        return 100
    try:
        period = period_of(filters_of(export))
    except InvalidInputError:
        return None
    if period.since is None:
        return None
    end = min(export.created_at, period.until or export.created_at)
    reached = min(end, max(period.since, end if export.reached_at is None else export.reached_at))
    return 100 * (end - reached) // max(1, end - period.since)


def page_reader(context: LogContext, rows: int = ROWS_A_STEP) -> ExportPageReader:
    """Return a function that reads the next page of an export."""

    def read(export: Export) -> ExportedPage:
        log = LOGS[export.noun]
        columns = chosen_columns(log.columns, export.columns)
        found = log.list_page(context, filters_of(export), rows, export.next_cursor)
        with context.ledger.read() as tx:
            names = names_for(tx, columns, found.items)
        head = b"" if export.next_cursor else csv_line(csv_heads(columns))
        return ExportedPage(
            lines=head + b"".join(csv_line(csv_cells(columns, row, names)) for row in found.items),
            rows=len(found.items),
            next_cursor=found.next_cursor,
            reached_at=read_moment(log.moment(found.items[-1]), MAX_MOMENT_MS) if found.items else None,
        )

    return read
