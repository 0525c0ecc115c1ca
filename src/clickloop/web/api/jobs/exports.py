"""/exports: logs as CSV files, written in the background."""

from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from litestar.response import Stream
from msgspec import Meta

from clickloop.log_filter import LogFilter
from clickloop.logs.filter_checks import in_filters
from clickloop.logs.log import LOGS
from clickloop.logs.page import Page
from clickloop.setup.fault import InvalidInputError
from clickloop.setup.reading import read_input
from clickloop.store.ledger.jobs.exports import Export, ExportNoun
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.tracking.jobs import exports
from clickloop.tracking.jobs.exports import NOUN, ExportView, Filters, TooManyExportsError, export_view, find_export
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.logs.log_csv import CSV
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import AnyRequest, Problem, expect_found, problem_response
from clickloop.web.api.rights import RIGHT


class ExportOrder(msgspec.Struct, kw_only=True):
    """A log to export."""

    noun: Annotated[ExportNoun, Meta(description="The log.")]
    filters: Filters = {}
    columns: Annotated[
        list[str],
        Meta(
            description="Columns in their order. Leave empty for all. The answer to an unknown column lists the known ones.",
            examples=[["at", "click_id", "campaign"]],
        ),
    ] = []


def order_export(context: Context, data: JSONBody[ExportOrder]) -> Response[ExportView]:
    """Export all rows that match into a file, newest first, in the background. Follow the progress at the address in Location.

    Anyone who may see a log may export it. 409: you already have ten unfinished exports.
    """
    read = read_input(data.filters, LOGS[data.noun].filters)
    if read.faults:
        raise InvalidInputError(in_filters(read.faults))
    view = start_export(context, data.noun, read.value, data.columns)
    return Response(view, headers={"Location": f"/api/v1/{NOUN}/{view.export_id}"})


def start_export(context: ApiContext, noun: ExportNoun, filters: LogFilter, columns: list[str]) -> ExportView:
    """Enter an export. Raise InvalidInputError, and HTTPException 409 for one too many."""
    try:
        return exports.start_export(context, noun, filters, columns)
    except TooManyExportsError as error:
        raise HTTPException(status_code=409, detail=str(error)) from None


def list_exports(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[ExportView]:
    """List your exports, newest first. Administrators see all exports."""
    return exports.list_exports(context, limit, cursor)


def read_export(context: Context, export_id: RecordIdPath) -> ExportView:
    """Return an export. Only its creator and administrators can read it."""
    return export_view(context, _export(context, export_id))


def read_export_result(context: Context, export_id: RecordIdPath) -> Stream:
    """Return the file as CSV. 409: the export is not finished."""
    export = _export(context, export_id)
    if export.state is not JobState.FINISHED:
        raise HTTPException(
            status_code=409, detail=f"The export is {export.state}. There is no file until it is finished."
        )
    size = context.exports.size(export.export_id)
    return Stream(
        context.exports.pieces(export.export_id),
        media_type=CSV,
        headers={
            "Content-Disposition": f'attachment; filename="clickloop-{export.noun}.csv"',
            "Content-Length": str(size),
        },
    )


def stop_export(context: Context, export_id: RecordIdPath) -> ExportView:
    """Stop an export and delete its file. An export that has ended is left alone."""
    exports.stop_export(context, _export(context, export_id))
    return export_view(context, _export(context, export_id))


def _export(context: ApiContext, export_id: str) -> Export:
    return expect_found(find_export(context, export_id.lower()), "export with that ID")


def _answer_gone(_request: AnyRequest, _error: FileNotFoundError) -> Response[Problem]:
    return problem_response(410, "The file of this export has been deleted. Export the log again.")


router = Router(
    f"/{NOUN}",
    route_handlers=[
        # Anyone who may see a log may export it, so no right is needed.
        post("/", status_code=202, sync_to_thread=True, opt={RIGHT: None}, summary="Export a log")(order_export),
        get("/", sync_to_thread=True, summary="List exports")(list_exports),
        get("/{export_id:str}", sync_to_thread=True, summary="Read an export and its progress")(read_export),
        get(
            "/{export_id:str}/result",
            sync_to_thread=True,
            media_type="text/csv",
            exception_handlers={FileNotFoundError: _answer_gone},
            summary="Download the file of an export",
        )(read_export_result),
        post(
            "/{export_id:str}/stop", status_code=200, sync_to_thread=True, opt={RIGHT: None}, summary="Stop an export"
        )(stop_export),
    ],
    tags=["Exports"],
)
