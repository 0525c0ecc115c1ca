"""/conversions/uploads: files of conversions, taken in the background; how far each is, and what became of each line."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Meta

from clickloop.clock import HOUR_MS
from clickloop.conversion.moment import DateOrder
from clickloop.conversion.upload import HEAD_OCTETS, Format, Unusable, detect
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError, text_faults
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.store.disk_room import NoRoomError
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.jobs.uploads import UPLOADS, Upload, Verdict
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.upload_files import ArrivingFile, UploadTooLargeError
from clickloop.tracking.upload_results import LineResult, line_results, payout_totals, result_table
from clickloop.tracking.uploads import UploadWish, enter_again, enter_upload, layout_of
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import Cursor, Limit, Page, RecordIdPath, page_of, read_cursor
from clickloop.web.api.problem import AnyRequest, Problem, invalid, not_found, problem_response
from clickloop.web.api.wire import Moment, moment_text, optional_moment_text, shown

NOUN = "conversions/uploads"
KINDS = ("text/csv", "text/plain", "text/tab-separated-values")
_WRITE_OCTETS = 1024 * 1024
"""Bytes of a body that are collected before a thread writes them: one hop per packet would be slow."""


class UploadView(msgspec.Struct, kw_only=True):
    """An upload, how far it is, and what came of its lines so far."""

    upload_id: str
    name: str
    state: Annotated[JobState, Meta(description="waiting and running: come back; failed: error says why.")]
    preview: Annotated[bool, Meta(description="true: nothing is registered; the counts say what would be.")]
    postbacks: Annotated[bool, Meta(description="false: the postbacks that its conversions owe are held back.")]
    format: Annotated[Format, Meta(description="The form that was found.")]
    format_text: Annotated[str, Meta(description="The form for people.")]
    octets: Annotated[int, Meta(description="Size of the file as UTF-8.")]
    octets_read: Annotated[int, Meta(description="So much of it is taken.")]
    lines: Annotated[int, Meta(description="Lines taken; empty ones are not counted.")]
    counts: Annotated[
        dict[str, int],
        Meta(
            description="Lines by verdict. waiting: the click is not here; ten minutes later, with older clicks settled, it is refused.",
            examples=[{"new": 812, "changed": 3, "repeated": 40, "waiting": 0, "refused": 9, "unreadable": 1}],
        ),
    ]
    reasons: Annotated[
        dict[str, int], Meta(description="Why lines were refused or unreadable.", examples=[{"forged_click_id": 9}])
    ]
    flagged: Annotated[int, Meta(description="Lines with a flag, whatever became of them: look at them first.")]
    flags: Annotated[
        dict[str, int],
        Meta(
            description="What was odd, as in Conversions - In, and of how many lines.",
            examples=[{"payout_unreadable": 3}],
        ),
    ]
    created_at: Annotated[Moment, Meta(description="When the file had arrived: its conversions were reported then.")]
    finished_at: Moment | None
    error: Annotated[str | None, Meta(description="Why it failed. Its lines so far stay.")]
    encoding: Annotated[str, Meta(description="As which the file was read.", examples=["utf-8", "windows-1252"])]
    unused_columns: Annotated[
        list[str], Meta(description="Headers that are no known parameter: their cells are stored with the notices.")
    ]
    missing_values: Annotated[list[str], Meta(description="payout and txid without a column.", examples=[["txid"]])]
    incomplete: Annotated[
        bool,
        Meta(
            description="true: one of the unused columns may be a missing value. Such a table is registered only from its "
            "preview, or with incomplete=1."
        ),
    ]
    date_order: Annotated[
        DateOrder | None,
        Meta(description="Order of dates such as 05/06/2026, as it was chosen or as lines prove it; null: neither."),
    ]
    result_until: Annotated[Moment | None, Meta(description="How long the result is kept; null: not finished.")]


class UploadLineView(msgspec.Struct, kw_only=True):
    """A line of an upload and what became of it, or would."""

    line: Annotated[int, Meta(description="Its number in the file, from 1.")]
    verdict: Verdict
    reason: Annotated[str, Meta(description="Why it was refused or is unreadable.")]
    message: Annotated[str, Meta(description="The verdict for people, with the place of a fault.")]
    flags: Annotated[list[str], Meta(description="What was odd about it.")]
    conversion_id: Annotated[str, Meta(description="The conversion that it belongs to; empty in a preview.")]
    notice_id: Annotated[str, Meta(description="Its notice in Conversions - In; empty in a preview.")]
    payout: Annotated[MoneyText | None, Meta(description="In a preview: the payout after the line.")]
    status: Annotated[str, Meta(description="In a preview: the name of the status after the line.")]
    text: Annotated[str, Meta(description="The line, separated by commas, without quotes.")]


class UploadLinesView(msgspec.Struct, kw_only=True):
    """The first lines of an upload."""

    items: list[UploadLineView]
    payouts: Annotated[list[MoneyText], Meta(description="Of a preview: the sums of its first 200,000 lines.")]


@dataclasses.dataclass
class _FileOperation(Operation):
    """Tells in the description that the body is the file itself."""

    def __post_init__(self) -> None:
        text = Schema(
            type=OpenAPIType.STRING,
            description="The file as it is, in UTF-8, UTF-16 with its byte order mark, or windows-1252.",
        )
        self.request_body = RequestBody(
            content={kind: OpenAPIMediaType(schema=text, example="clickid,payout,status\n") for kind in KINDS},
            description="A table with a header (comma, semicolon or tab; columns are named like the parameters of a postback, others are "
            "kept), or one conversion a line: clickid, clickid:payout:status, clickid:key=value:key=value.",
            required=True,
        )


def _answer_too_large(_request: AnyRequest, error: UploadTooLargeError) -> Response[Problem]:
    return problem_response(413, str(error))


def _answer_no_room(_request: AnyRequest, error: NoRoomError) -> Response[Problem]:
    return problem_response(507, str(error))


def _answer_gone(_request: AnyRequest, _error: FileNotFoundError) -> Response[Problem]:
    return problem_response(410, "The file of this upload is no longer kept; its lines are in Conversions - In.")


UploadName = Annotated[str, QueryParameter(max_length=200, description="What to call it, such as the file's name.")]
IsPreview = Annotated[bool, QueryParameter(description="1: only tell what each line would do; nothing is registered.")]
MAX_LINES_EXAMINED = 200_000
"""Maximum number of lines searched for those with a verdict: a file may have millions."""
OfVerdict = Annotated[
    Verdict | None, QueryParameter(description=f"Only lines with this verdict, among the first {MAX_LINES_EXAMINED:,}.")
]
IsIncomplete = Annotated[
    bool,
    QueryParameter(
        description="1: register a table too of which no column was taken as payout or txid, and another was not understood."
    ),
]
Dates = Annotated[
    DateOrder | None,
    QueryParameter(
        description="Order of dates such as 05/06/2026; left out: as other lines prove it, else they are unreadable."
    ),
]
WithPostbacks = Annotated[bool, QueryParameter(description="0: hold back the postbacks that its conversions owe.")]


async def upload_conversions(
    context: Context,
    request: AnyRequest,
    name: UploadName = "",
    preview: IsPreview = False,
    postbacks: WithPostbacks = True,
    incomplete: IsIncomplete = False,
    dates: Dates = None,
) -> Response[UploadView]:
    """Takes the file to disk and answers 202; its lines are then registered in the background, each like a network's postback.

    Follow it at the address in Location. A line that was registered before, by whatever door, comes to a repeat, so the same file
    can be uploaded again. A file whose form is not recognised is refused at once (422), one that is too large with 413, and with 507
    when the disk has no room for it. A table of which a column that may be the payout or the transaction id was not understood is
    refused too (columns_not_understood), unless it is a preview or incomplete=1.
    """
    if faults := text_faults("name", name, 200):
        raise InvalidInputError(tuple(faults))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise HTTPException(
            status_code=415, detail=f"The body is {kind[:100]!r}; one of {', '.join(KINDS)} is expected."
        )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and len(announced) < 20:
        context.uploads.check_size(int(announced))
    view = await take_upload(
        context,
        request.stream(),
        lambda: UploadWish(name=name, preview=preview, postbacks=postbacks, incomplete=incomplete, date_order=dates),
    )
    return Response(view, headers={"Location": f"/api/v1/{NOUN}/{view.upload_id}"})


async def take_upload(context: ApiContext, pieces: AsyncIterator[bytes], wish: Callable[[], UploadWish]) -> UploadView:
    """Takes a file to disk as it comes, and enters it. ``wish`` is asked at its end.

    Raises InvalidInputError for what is no such file, UploadTooLargeError, NoRoomError.
    """
    files = context.uploads
    arriving = await asyncio.to_thread(files.receive, context.record_ids())
    try:
        await _take_pieces(pieces, arriving)
        entered = await asyncio.to_thread(enter_upload, context.ledger, files, arriving, wish(), context.clock())
    finally:
        await asyncio.to_thread(arriving.abandon)
    if isinstance(entered, Unusable):
        raise _unusable(entered)
    view = _view(context, entered)
    await asyncio.to_thread(_note, context, view, Action.UPLOADED)
    return view


def _note(context: ApiContext, view: UploadView, action: Action) -> None:
    with context.ledger.write() as tx:
        note_change(tx, context, NOUN, view.upload_id, after=view, action=action)


async def _take_pieces(pieces: AsyncIterator[bytes], arriving: ArrivingFile) -> None:
    """Writes a file to disk as it comes. Raises InvalidInputError as soon as its beginning shows that it is no such file."""
    gathered: list[bytes] = []
    octets = 0
    is_checked = False
    async for piece in pieces:
        gathered.append(piece)
        octets += len(piece)
        if octets >= _WRITE_OCTETS or (not is_checked and octets >= HEAD_OCTETS):
            await asyncio.to_thread(arriving.write, b"".join(gathered))
            gathered, octets = [], 0
        if not is_checked and len(arriving.head) == HEAD_OCTETS:
            is_checked = True
            if isinstance(found := detect(arriving.head), Unusable):
                raise _unusable(found)
    await asyncio.to_thread(arriving.write, b"".join(gathered))


def list_uploads(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[UploadView]:
    """Uploads, the newest first."""
    before = read_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        found = UPLOADS.before(tx, before, limit + 1)
    return page_of(found, limit, NOUN, lambda upload: upload.upload_id, lambda upload: _view(context, upload))


def read_upload(context: Context, upload_id: RecordIdPath) -> UploadView:
    """One upload."""
    return _view(context, _upload(context, upload_id))


def read_upload_lines(
    context: Context, upload_id: RecordIdPath, limit: Limit = 50, verdict: OfVerdict = None
) -> UploadLinesView:
    """The first lines that are taken, each with its verdict, or the first with this one; all of them are in the result."""
    upload = _upload(context, upload_id)
    results = islice(line_results(context.ledger, context.uploads, upload), MAX_LINES_EXAMINED)
    found = (result for result in results if verdict is None or result.finding.verdict is verdict)
    totals = payout_totals(context.uploads, upload, MAX_LINES_EXAMINED) if upload.preview else {}
    return UploadLinesView(
        items=[_line_view(result) for result in islice(found, limit)],
        payouts=[money_text(micros, currency) for currency, micros in sorted(totals.items())],
    )


def read_upload_result(context: Context, upload_id: RecordIdPath) -> Stream:
    """Each line that is taken so far with its verdict, as CSV for spreadsheets; corrected, it can be uploaded again.

    A line that waited for its click, or was run again, is shown as it stands now.
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
    """Registers what a finished preview has looked at: an upload of its own of the same file. The preview stays as it is."""
    preview = _upload(context, upload_id)
    if not preview.preview or preview.state is not JobState.FINISHED:
        raise invalid("upload_id", FaultCode.NOT_ALLOWED, "Only a preview that has finished can be registered.")
    wish = UploadWish(name=preview.name, postbacks=postbacks, date_order=dates)
    entered = enter_again(context.ledger, context.uploads, preview, context.record_ids(), wish, context.clock())
    view = _view(context, entered)
    _note(context, view, Action.UPLOADED)
    return view


def stop_upload(context: Context, upload_id: RecordIdPath) -> UploadView:
    """Takes no further line of it. What is registered stays so; what is at its end stays as it is."""
    upload = _upload(context, upload_id)
    with context.ledger.write() as tx:
        UPLOADS.stop(tx, upload.upload_id, context.clock())
        note_change(tx, context, NOUN, upload.upload_id, before=_view(context, upload), action=Action.CANCELLED)
    return _view(context, _upload(context, upload_id))


def _upload(context: ApiContext, upload_id: str) -> Upload:
    with context.ledger.read() as tx:
        upload = UPLOADS.find(tx, upload_id.lower())
    if upload is None:
        raise not_found("upload of that id")
    return upload


def _unusable(found: Unusable) -> InvalidInputError:
    return InvalidInputError((Fault("", found.fault, found.sentence),))


def _view(context: ApiContext, upload: Upload) -> UploadView:
    until = None if upload.finished_at is None else upload.finished_at + context.upload_keep_hours * HOUR_MS
    return UploadView(
        upload_id=upload.upload_id,
        name=shown(upload.name),
        state=upload.state,
        preview=upload.preview,
        postbacks=upload.postbacks,
        format=upload.format,
        format_text=upload.format.sentence,
        octets=upload.octets,
        octets_read=upload.octets_read,
        lines=upload.lines,
        counts={verdict.value: upload.counts.get(verdict, 0) for verdict in Verdict},
        reasons=upload.reasons,
        flagged=upload.flagged,
        flags=upload.flags,
        created_at=moment_text(upload.created_at),
        finished_at=optional_moment_text(upload.finished_at),
        error=upload.error,
        encoding=upload.encoding,
        unused_columns=[shown(name)[:200] for name in upload.unused_columns],
        missing_values=list(upload.missing_values),
        incomplete=upload.is_incomplete,
        date_order=context.uploads.date_order(upload.upload_id),
        result_until=optional_moment_text(until),
    )


def _line_view(result: LineResult) -> UploadLineView:
    finding = result.finding
    return UploadLineView(
        line=finding.number,
        verdict=finding.verdict,
        reason=finding.reason,
        message=result.sentence,
        flags=list(finding.flags),
        conversion_id=finding.conversion_id,
        notice_id=finding.notice_id,
        payout=money_text(finding.payout.micros, finding.payout.currency) if finding.payout else None,
        status=shown(finding.status),
        text=shown(result.text),
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post(
            "/",
            status_code=202,
            request_max_body_size=None,
            operation_class=_FileOperation,
            exception_handlers={UploadTooLargeError: _answer_too_large, NoRoomError: _answer_no_room},
            summary="Upload a file of conversions",
        )(upload_conversions),
        get("/", sync_to_thread=True, summary="List uploads")(list_uploads),
        get("/{upload_id:str}", sync_to_thread=True, summary="Read an upload and how far it is")(read_upload),
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
            summary="Register what a preview has looked at",
        )(register_preview),
        post("/{upload_id:str}/cancel", status_code=200, sync_to_thread=True, summary="Stop an upload")(stop_upload),
    ],
    tags=["Conversions"],
)
