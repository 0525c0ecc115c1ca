"""/exports: logs as CSV files that are written in the background; how far each is, and the file when it is finished."""

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
from clickloop.setup.reading import read_given
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

    noun: Annotated[ExportNoun, Meta(description="Which log.")]
    filters: Filters = {}
    columns: Annotated[
        list[str],
        Meta(
            description="Which columns, in which order; empty: all. A wrong one is answered with those that are known.",
            examples=[["at", "click_id", "campaign"]],
        ),
    ] = []


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
    """Enter an export. Raise InvalidInputError, and HTTPException 409 for one too many."""
    try:
        return exports.start_export(context, noun, filters, columns)
    except TooManyExportsError as error:
        raise HTTPException(status_code=409, detail=str(error)) from None


def list_exports(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[ExportView]:
    """One's own exports, the newest first; who administers sees those of everybody."""
    return exports.list_exports(context, limit, cursor)


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
    exports.stop_export(context, _export(context, export_id))
    return export_view(context, _export(context, export_id))


def _export(context: ApiContext, export_id: str) -> Export:
    return expect_found(find_export(context, export_id.lower()), "export of that id")


def _answer_gone(_request: AnyRequest, _error: FileNotFoundError) -> Response[Problem]:
    return problem_response(410, "The file of this export is no longer kept: export it again.")


router = Router(
    f"/{NOUN}",
    route_handlers=[
        # Whoever may see a log may export it, so no right is needed.
        post("/", status_code=202, sync_to_thread=True, opt={RIGHT: None}, summary="Export a log")(order_export),
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
            "/{export_id:str}/stop", status_code=200, sync_to_thread=True, opt={RIGHT: None}, summary="Stop an export"
        )(stop_export),
    ],
    tags=["Exports"],
)
