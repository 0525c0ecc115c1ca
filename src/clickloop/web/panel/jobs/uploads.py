"""Uploads of conversions, as a file or as lines: preview, progress and result."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from litestar import Response, get, post
from litestar.response import Stream

from clickloop.conversion.moment import DateOrder
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.disk_room import NoRoomError
from clickloop.store.ledger.jobs.uploads import LineVerdict
from clickloop.store.upload_files import UploadTooLargeError
from clickloop.tracking.jobs.upload_work import UploadOptions
from clickloop.tracking.jobs.uploads import take_upload
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import uploads as api
from clickloop.web.api.paging import Cursor, RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.streamed_form import STREAMED, StreamedForm
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.logs.log_page import flag_sentence

PATH = "/panel/uploads"
ROWS_PER_PAGE = 50
MAX_LINES = 100
_MAX_NAME_LENGTH = 200
_REGISTERABLE = (LineVerdict.NEW, LineVerdict.CHANGED, LineVerdict.WAITING)
"""Verdicts of preview lines that registering would act on."""


def show_list(viewer: CurrentViewer, context: Context, cursor: Cursor = "") -> PageResponse:
    """Return the upload form and all uploads, newest first."""
    return _show_list(viewer, context, cursor)


async def receive(viewer: CurrentViewer, context: Context, request: AnyRequest) -> PageResponse:
    """Store a file as it arrives, or the entered lines."""
    form = StreamedForm(request, viewer.csrf, text_as_file="lines")
    try:
        view = await take_upload(context, _checked(form), lambda: _options(form))
    except InvalidInputError as error:
        return await asyncio.to_thread(_show_list, viewer, context, "", error.faults)
    except (UploadTooLargeError, NoRoomError) as error:
        fault = FieldFault("file", FaultCode.TOO_LONG, str(error))
        return await asyncio.to_thread(_show_list, viewer, context, "", (fault,))
    return viewer.go(f"{PATH}/{view.upload_id}")


def show(
    viewer: CurrentViewer, context: Context, upload_id: RecordIdPath, verdict: api.VerdictParameter = None
) -> PageResponse:
    """Return an upload: its progress, and its first lines with their verdicts. ``verdict``: only lines with this one."""
    return _show(viewer, context, upload_id, verdict=verdict)


def download(context: Context, upload_id: RecordIdPath) -> Response[str] | Stream:
    """Return every line with its verdict, as CSV; 410 once the file has been deleted."""
    try:
        return api.read_upload_result(context, upload_id)
    except FileNotFoundError:
        text = "The file of this upload has been deleted. Its lines are in Conversions - In.\n"
        return Response(text, status_code=410, media_type="text/plain")


def register(viewer: CurrentViewer, context: Context, upload_id: RecordIdPath, form: FormParameter) -> PageResponse:
    """Register the conversions of a preview."""
    try:
        view = api.register_preview(context, upload_id, form.text("postbacks") == "on", _date_order(form.text("dates")))
    except InvalidInputError as error:
        return _show(viewer, context, upload_id, error.faults)
    except FileNotFoundError:
        fault = FieldFault("", FaultCode.NOT_FOUND, "The file of this preview has been deleted. Upload it again.")
        return _show(viewer, context, upload_id, (fault,))
    return viewer.go(f"{PATH}/{view.upload_id}")


def cancel(viewer: CurrentViewer, context: Context, upload_id: RecordIdPath) -> PageResponse:
    """Stop an upload; lines registered so far stay."""
    view = api.stop_upload(context, upload_id)
    return viewer.go(f"{PATH}/{view.upload_id}", FlashMessage.STOPPED)


async def _checked(form: StreamedForm) -> AsyncIterator[bytes]:
    """Return the pieces of a form with either a file or lines. Raise InvalidInputError for both or neither."""
    async for piece in form.pieces():
        if form.sources:
            raise _fault("Choose a file or enter lines, not both.")
        yield piece
    if not form.sources:
        raise _fault("Choose a file or enter lines.")


def _fault(sentence: str) -> InvalidInputError:
    return InvalidInputError((FieldFault("file", FaultCode.REQUIRED, sentence),))


def _options(form: StreamedForm) -> UploadOptions:
    name = form.file_name.replace("\\", "/").rpartition("/")[2]
    return UploadOptions(
        name="".join(letter for letter in name if letter.isprintable())[:_MAX_NAME_LENGTH] or "pasted lines",
        preview="preview" in form.texts,
        postbacks=form.texts.get("postbacks") == "on",
        date_order=_date_order(form.texts.get("dates", "")),
    )


def _date_order(text: str) -> DateOrder | None:
    return DateOrder(text) if text in set(DateOrder) else None


def _show_list(
    viewer: Viewer, context: ApiContext, cursor: str = "", faults: tuple[FieldFault, ...] = ()
) -> PageResponse:
    faults = tuple(fault if fault.field else msgspec.structs.replace(fault, field="file") for fault in faults)
    found = api.list_uploads(context, ROWS_PER_PAGE, cursor)
    is_busy = any(not view.state.is_final for view in found.items)
    return page(viewer, "uploads.html", faults, found=found, cursor=cursor, is_busy=is_busy)


def _show(
    viewer: Viewer,
    context: ApiContext,
    upload_id: str,
    faults: tuple[FieldFault, ...] = (),
    verdict: LineVerdict | None = None,
) -> PageResponse:
    view = api.read_upload(context, upload_id)
    try:
        found = api.read_upload_lines(context, upload_id, MAX_LINES, verdict)
        lines, payouts, is_available = found.items, found.payouts, True
    except FileNotFoundError:
        lines, payouts, is_available = [], [], False
    return page(
        viewer,
        "upload.html",
        faults,
        view=view,
        lines=lines,
        payouts=payouts,
        is_available=is_available,
        verdict=verdict,
        would_register=any(view.counts[verdict] for verdict in _REGISTERABLE),
        flag_sentence=flag_sentence,
        is_busy=not view.state.is_final,
    )


routes = [
    get("/uploads", sync_to_thread=True)(show_list),
    post("/uploads", request_max_body_size=None, opt={STREAMED: True})(receive),
    get("/uploads/{upload_id:str}", sync_to_thread=True)(show),
    get("/uploads/{upload_id:str}/result", sync_to_thread=True, media_type="text/csv")(download),
    post("/uploads/{upload_id:str}/register", sync_to_thread=True)(register),
    post("/uploads/{upload_id:str}/cancel", sync_to_thread=True)(cancel),
]
