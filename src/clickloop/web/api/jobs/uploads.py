"""/conversions/uploads: files of conversions, registered in the background, with the result of each line."""

import dataclasses
from typing import Annotated

from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import QueryParameter
from litestar.response import Stream

from clickloop.conversion.moment import DateOrder
from clickloop.logs.page import Page
from clickloop.setup.fault import InvalidInputError, text_faults
from clickloop.store.disk_room import NoRoomError
from clickloop.store.ledger.jobs.uploads import LineVerdict, Upload
from clickloop.store.upload_files import UploadTooLargeError
from clickloop.tracking.jobs import uploads
from clickloop.tracking.jobs.upload_results import result_table
from clickloop.tracking.jobs.upload_work import UploadOptions, layout_of
from clickloop.tracking.jobs.uploads import (
    MAX_LINES_EXAMINED,
    NOUN,
    UploadLinesView,
    UploadView,
    find_upload,
    take_upload,
    upload_view,
)
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import AnyRequest, Problem, expect_found, problem_response

KINDS = ("text/csv", "text/plain", "text/tab-separated-values")


@dataclasses.dataclass
class FileOperation(Operation):
    """The description of an endpoint whose body is a file."""

    def __post_init__(self) -> None:
        text = Schema(
            type=OpenAPIType.STRING,
            description="The file, in UTF-8, UTF-16 with a byte order mark, or windows-1252.",
        )
        self.request_body = RequestBody(
            content={kind: OpenAPIMediaType(schema=text, example="clickid,payout,status\n") for kind in KINDS},
            description="A table with a header row, separated by commas, semicolons or tabs. Its columns are named like the "
            "parameters of a postback; others are stored, too. Or one conversion per line: clickid, clickid:payout:status, "
            "clickid:key=value:key=value.",
            required=True,
        )


def _answer_too_large(_request: AnyRequest, error: UploadTooLargeError) -> Response[Problem]:
    return problem_response(413, str(error))


def _answer_no_room(_request: AnyRequest, error: NoRoomError) -> Response[Problem]:
    return problem_response(507, str(error))


def _answer_gone(_request: AnyRequest, _error: FileNotFoundError) -> Response[Problem]:
    return problem_response(410, "The file of this upload has been deleted. Its lines are in Conversions - In.")


UploadName = Annotated[str, QueryParameter(max_length=200, description="A name for the upload, such as the file's.")]
IsPreview = Annotated[bool, QueryParameter(description="1 to only see what each line would do. Nothing is registered.")]
VerdictParameter = Annotated[
    LineVerdict | None,
    QueryParameter(description=f"Only lines with this verdict, among the first {MAX_LINES_EXAMINED:,}."),
]
IsIncomplete = Annotated[
    bool,
    QueryParameter(
        description="1 to register a table even if payout or txid has no column and other columns are not understood."
    ),
]
Dates = Annotated[
    DateOrder | None,
    QueryParameter(
        description="Order of dates such as 05/06/2026. Leave out to infer it from other lines; else they are unreadable."
    ),
]
WithPostbacks = Annotated[bool, QueryParameter(description="0 to suppress postbacks for its conversions.")]


async def upload_conversions(
    context: Context,
    request: AnyRequest,
    name: UploadName = "",
    preview: IsPreview = False,
    postbacks: WithPostbacks = True,
    incomplete: IsIncomplete = False,
    dates: Dates = None,
) -> Response[UploadView]:
    """Upload a file. Its lines are then registered in the background, each like a network's postback.

    Follow the progress at the address in Location. A line that was registered before, through any channel, is a repeat, so the
    same file can be uploaded again. 422: the format is not known. 413: the file is too large. 507: the disk has no room for it.
    A table with a column that may be the payout or the transaction ID but is not understood is refused too
    (columns_not_understood), unless it is a preview or incomplete=1.
    """
    if faults := text_faults("name", name, 200):
        raise InvalidInputError(tuple(faults))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise HTTPException(status_code=415, detail=f"The body is {kind[:100]!r}. Expected one of {', '.join(KINDS)}.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and len(announced) < 20:
        context.uploads.check_size(int(announced))
    view = await take_upload(
        context,
        request.stream(),
        lambda: UploadOptions(name=name, preview=preview, postbacks=postbacks, incomplete=incomplete, date_order=dates),
    )
    return Response(view, headers={"Location": f"/api/v1/{NOUN}/{view.upload_id}"})


def list_uploads(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[UploadView]:
    """List uploads, newest first."""
    return uploads.list_uploads(context, limit, cursor)


def read_upload(context: Context, upload_id: RecordIdPath) -> UploadView:
    """Return an upload."""
    return upload_view(context, _upload(context, upload_id))


def read_upload_lines(
    context: Context, upload_id: RecordIdPath, limit: Limit = 50, verdict: VerdictParameter = None
) -> UploadLinesView:
    """Return the first processed lines with their verdicts, or the first ones with a verdict. The result has all lines."""
    return uploads.first_lines(context, _upload(context, upload_id), limit, verdict)


def read_upload_result(context: Context, upload_id: RecordIdPath) -> Stream:
    """Return all processed lines with their verdicts as CSV. Once corrected, the file can be uploaded again.

    Lines that waited for their click or were reprocessed are returned with their current verdict.
    """
    upload = _upload(context, upload_id)
    layout_of(context.uploads, upload)
    return Stream(
        result_table(context.ledger, context.uploads, upload),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="clickloop-upload-{upload.upload_id}.csv"'},
    )


def register_preview(
    context: Context, upload_id: RecordIdPath, postbacks: WithPostbacks = True, dates: Dates = None
) -> UploadView:
    """Register the file of a finished preview as a new upload. The preview stays unchanged."""
    return uploads.register_preview(context, _upload(context, upload_id), postbacks=postbacks, date_order=dates)


def stop_upload(context: Context, upload_id: RecordIdPath) -> UploadView:
    """Stop an upload. Lines registered so far stay registered. An upload that has ended is left alone."""
    uploads.stop_upload(context, _upload(context, upload_id))
    return upload_view(context, _upload(context, upload_id))


def _upload(context: ApiContext, upload_id: str) -> Upload:
    return expect_found(find_upload(context, upload_id.lower()), "upload with that ID")


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post(
            "/",
            status_code=202,
            request_max_body_size=None,
            operation_class=FileOperation,
            exception_handlers={UploadTooLargeError: _answer_too_large, NoRoomError: _answer_no_room},
            summary="Upload a file of conversions",
        )(upload_conversions),
        get("/", sync_to_thread=True, summary="List uploads")(list_uploads),
        get("/{upload_id:str}", sync_to_thread=True, summary="Read an upload and its progress")(read_upload),
        get(
            "/{upload_id:str}/lines",
            sync_to_thread=True,
            exception_handlers={FileNotFoundError: _answer_gone},
            summary="Read the first lines of an upload",
        )(read_upload_lines),
        get(
            "/{upload_id:str}/result",
            sync_to_thread=True,
            media_type="text/csv",
            exception_handlers={FileNotFoundError: _answer_gone},
            summary="Download the result of an upload",
        )(read_upload_result),
        post(
            "/{upload_id:str}/register",
            status_code=202,
            sync_to_thread=True,
            exception_handlers={FileNotFoundError: _answer_gone},
            summary="Register a preview",
        )(register_preview),
        post("/{upload_id:str}/cancel", status_code=200, sync_to_thread=True, summary="Stop an upload")(stop_upload),
    ],
    tags=["Conversions"],
)
