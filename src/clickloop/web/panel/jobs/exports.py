"""Exports of the logs: progress and files. They run in the background."""

from litestar import Response, get, post
from litestar.response import Stream

from clickloop.log_filter import PERIOD, LogFilter, fields_of, label_of
from clickloop.logs.log import LOGS, TITLES
from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.store.period import period_of
from clickloop.tracking.jobs.exports import ExportView
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import exports as api
from clickloop.web.api.paging import Cursor, RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer
from clickloop.web.panel.logs.log_page import LogQuery

PATH = "/panel/exports"
ROWS_PER_PAGE = 50
_GONE = "The file of this export has been deleted. Start a new export.\n"


def start(viewer: CurrentViewer, request: AnyRequest, context: Context, form: FormParameter) -> PageResponse:
    """Start an export with the filter and columns that a log shows."""
    query = LogQuery(request, viewer.zone, context.clock(), form.pairs)
    noun = query.word("noun", ExportNoun)
    if noun is None:
        raise invalid("noun", FaultCode.REQUIRED, f"Must be one of {', '.join(ExportNoun)}.")
    view = api.start_export(context, noun, query.filter(LOGS[noun].filters), query.columns() or [])
    return viewer.go(f"{PATH}/{view.export_id}")


def show_list(viewer: CurrentViewer, context: Context, cursor: Cursor = "") -> PageResponse:
    """Return the user's exports, newest first; admins see all."""
    found = api.list_exports(context, ROWS_PER_PAGE, cursor)
    return page(
        viewer,
        "exports.html",
        found=found,
        cursor=cursor,
        titles=TITLES,
        available={view.export_id for view in found.items if _is_available(context, view)},
        is_busy=any(not view.state.is_final for view in found.items),
    )


def show(viewer: CurrentViewer, context: Context, export_id: RecordIdPath) -> PageResponse:
    """Return an export: its content, progress and file."""
    view = api.read_export(context, export_id)
    log = LOGS[view.noun]
    titles = {column.key: column.title for column in log.columns}
    return page(
        viewer,
        "export.html",
        view=view,
        title=log.title,
        columns=", ".join(titles.get(key, key) for key in view.columns),
        filters=[
            (label_of(field), view.filters[field.name])
            for field in fields_of(log.filters)
            if field.name in view.filters and field.name not in PERIOD
        ],
        period=period_of(LogFilter(**{name: str(view.filters.get(name, "")) for name in PERIOD})),
        is_available=_is_available(context, view),
        is_busy=not view.state.is_final,
    )


def download(context: Context, export_id: RecordIdPath) -> Response[str] | Stream:
    """Return the file, 410 once it has been deleted."""
    try:
        return api.read_export_result(context, export_id)
    except FileNotFoundError:
        return Response(_GONE, status_code=410, media_type="text/plain")


def stop(viewer: CurrentViewer, context: Context, export_id: RecordIdPath) -> PageResponse:
    view = api.stop_export(context, export_id)
    return viewer.go(f"{PATH}/{view.export_id}", FlashMessage.EXPORT_STOPPED)


def _is_available(context: ApiContext, view: ExportView) -> bool:
    """Return whether the file of an export can be downloaded."""
    return view.result_until is not None and context.exports.exists(view.export_id)


routes = [
    post("/exports", sync_to_thread=True, opt={NEEDS: None})(start),
    get("/exports", sync_to_thread=True)(show_list),
    get("/exports/{export_id:str}", sync_to_thread=True)(show),
    get("/exports/{export_id:str}/result", sync_to_thread=True, media_type="text/csv")(download),
    post("/exports/{export_id:str}/stop", sync_to_thread=True, opt={NEEDS: None})(stop),
]
