"""/exports: logs as CSV files that are written in the background; how far each is, and the file when it is finished."""

from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from litestar.response import Stream
from msgspec import Meta

from clickloop.clock import HOUR_MS
from clickloop.log_filter import LogFilter
from clickloop.setup.fault import InvalidInputError
from clickloop.store.ledger.jobs.exports import (
    EXPORTS,
    Export,
    ExportNoun,
    asked_as,
    count_unfinished,
    exports_before,
    may_see,
)
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.period import period_of
from clickloop.web.api.body import StrictBody, read_given
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.logs.columns import chosen_columns
from clickloop.web.api.logs.exportable import LOGS, check_filters, filters_of, in_filters
from clickloop.web.api.logs.log_csv import CSV
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import Cursor, Limit, Page, RecordIdPath, page_of, read_cursor
from clickloop.web.api.problem import AnyRequest, Problem, not_found, problem_response
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.wire import Moment, moment_text, optional_moment_text

NOUN = "exports"
MAX_UNFINISHED = 10
"""Maximum number of unfinished exports: they share the disk and the worker."""

Filters = Annotated[
    dict[str, str | int | bool],
    Meta(
        description="What narrows the log, by the names of the parameters of its list: of clicks, those of GET /clicks.",
        examples=[{"campaign_id": 1, "since": "2026-03-01T00:00:00Z"}],
    ),
]


class ExportOrder(msgspec.Struct, kw_only=True):
    """A log to export."""

    noun: Annotated[ExportNoun, Meta(description="Which log.")]
    filters: Filters = {}
    columns: Annotated[
        list[str],
        Meta(
            description="Which columns, in which order; empty: all. A wrong one is answered with those that are known.",
            examples=[["at", "click_id", "campaign"]],
        ),
    ] = []


class ExportView(msgspec.Struct, kw_only=True):
    """An export and how far it is. Secrets are masked in its file."""

    export_id: str
    noun: ExportNoun
    filters: Filters
    columns: Annotated[list[str], Meta(description="In their order.", examples=[["at", "click_id", "campaign"]])]
    asked_by: str
    state: Annotated[JobState, Meta(description="waiting and running: come back; failed: error says why.")]
    rows: Annotated[int, Meta(description="Rows written so far, the newest first.")]
    octets: Annotated[int, Meta(description="Size of the file so far.")]
    reached_at: Annotated[Moment | None, Meta(description="The moment of the last row that is written.")]
    percent: Annotated[
        int | None, Meta(description="So much of the period is written; null: it has no beginning that one knows.")
    ]
    created_at: Moment
    finished_at: Moment | None
    error: Annotated[str | None, Meta(description="Why it failed.")]
    result_until: Annotated[Moment | None, Meta(description="How long the file is kept; null: there is none yet.")]


def order_export(context: Context, data: JSONBody[ExportOrder]) -> Response[ExportView]:
    """Writes all rows that match into a file, the newest first, in the background. Follow it at the address in Location.

    Who may see a log may export it. 409: ten exports that one has asked for are under way already.
    """
    read = read_given(data.filters, LOGS[data.noun].filters)
    if read.faults:
        raise InvalidInputError(in_filters(read.faults))
    view = start_export(context, data.noun, read.value, data.columns)
    return Response(view, headers={"Location": f"/api/v1/{NOUN}/{view.export_id}"})


def start_export(context: ApiContext, noun: ExportNoun, filters: LogFilter, columns: list[str]) -> ExportView:
    """Writes down an export, to be done by ``ExportWork``. Raises InvalidInputError, and a 409 for one too many."""
    check_filters(context, noun, filters)
    chosen = chosen_columns(LOGS[noun].columns, ",".join(columns))
    user_id, asked_by = asked_as(context.actor)
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
            sentence = f"{MAX_UNFINISHED} exports of yours are under way: wait until one is finished, or stop one."
            raise HTTPException(status_code=409, detail=sentence)
        EXPORTS.insert(tx, export)
        note_change(tx, context, NOUN, export.export_id, after=view, action=Action.EXPORTED)
    return view


def list_exports(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[ExportView]:
    """One's own exports, the newest first; who administers sees those of everybody."""
    before = read_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        found = exports_before(tx, context.actor, before, limit + 1)
    return page_of(found, limit, NOUN, lambda export: export.export_id, lambda export: export_view(context, export))


def read_export(context: Context, export_id: RecordIdPath) -> ExportView:
    """One export. Only who asked for it finds it, and who administers."""
    return export_view(context, _export(context, export_id))


def read_export_result(context: Context, export_id: RecordIdPath) -> Stream:
    """The file: CSV for spreadsheets. 409: it is not finished."""
    export = _export(context, export_id)
    if export.state is not JobState.FINISHED:
        raise HTTPException(status_code=409, detail=f"It is {export.state}: there is a file only once it is finished.")
    octets = context.exports.size(export.export_id)
    return Stream(
        context.exports.pieces(export.export_id),
        media_type=CSV,
        headers={
            "Content-Disposition": f'attachment; filename="clickloop-{export.noun}.csv"',
            "Content-Length": str(octets),
        },
    )


def stop_export(context: Context, export_id: RecordIdPath) -> ExportView:
    """Ends an export; what is written of it is deleted. One that has ended stays as it is."""
    export = _export(context, export_id)
    before = export_view(context, export)
    with context.ledger.write() as tx:
        stopped = EXPORTS.stop(tx, export.export_id, context.clock())
        if stopped:
            note_change(tx, context, NOUN, export.export_id, before=before, action=Action.CANCELLED)
    if stopped:
        context.exports.delete(export.export_id)
    return export_view(context, _export(context, export_id))


def export_view(context: ApiContext, export: Export) -> ExportView:
    """An export as the API shows it."""
    is_there = export.state is JobState.FINISHED and export.finished_at is not None
    until = (export.finished_at or 0) + context.upload_keep_hours * HOUR_MS
    return ExportView(
        export_id=export.export_id,
        noun=export.noun,
        filters=_told_filters(export),
        columns=export.columns.split(","),
        asked_by=export.asked_by,
        state=export.state,
        rows=export.rows_written,
        octets=export.octets,
        reached_at=optional_moment_text(export.reached_at),
        percent=_percent(export),
        created_at=moment_text(export.created_at),
        finished_at=optional_moment_text(export.finished_at),
        error=export.error,
        result_until=moment_text(until) if is_there else None,
    )


def _export(context: ApiContext, export_id: str) -> Export:
    """The export of that id; one of somebody else is not found. Raises a 404."""
    with context.ledger.read() as tx:
        export = EXPORTS.find(tx, export_id.lower())
    if export is None or not may_see(context.actor, export):
        raise not_found("export of that id")
    return export


def _told_filters(export: Export) -> dict[str, str | int | bool]:
    told: dict[str, Any] = msgspec.json.decode(export.filters)
    return told


def _percent(export: Export) -> int | None:
    """How much of the period from its beginning to now, or to its end, is written: rows come from its end to its beginning."""
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


def _answer_gone(_request: AnyRequest, _error: FileNotFoundError) -> Response[Problem]:
    return problem_response(410, "The file of this export is no longer kept: export it again.")


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post(
            "/",
            status_code=202,
            dto=StrictBody,
            return_dto=None,
            sync_to_thread=True,
            opt={RIGHT: None},  # who may see a log may take it along
            summary="Export a log",
        )(order_export),
        get("/", sync_to_thread=True, summary="List exports")(list_exports),
        get("/{export_id:str}", sync_to_thread=True, summary="Read an export and how far it is")(read_export),
        get(
            "/{export_id:str}/result",
            sync_to_thread=True,
            media_type="text/csv",
            exception_handlers={FileNotFoundError: _answer_gone},
            summary="Download the file of an export",
        )(read_export_result),
        post(
            "/{export_id:str}/stop",
            status_code=200,
            sync_to_thread=True,
            opt={RIGHT: None},
            summary="Stop an export",
        )(stop_export),
    ],
    tags=["Exports"],
)
