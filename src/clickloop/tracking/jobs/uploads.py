"""Uploads: files received and entered, previews registered, and what became of each line shown."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.clock import HOUR_MS, Moment, optional_iso_text
from clickloop.conversion.moment import DateOrder
from clickloop.conversion.upload.lines import HEAD_BYTES, RejectedFile, UploadFormat, detect
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.logs.view import view_of
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, invalid
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.store.disk_room import room_needed
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.jobs.uploads import UPLOADS, LineVerdict, Upload
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.upload_files import ArrivingFile
from clickloop.text import readable
from clickloop.tracking.jobs.context import JobContext
from clickloop.tracking.jobs.upload_results import LineResult, line_results, payout_totals
from clickloop.tracking.jobs.upload_work import UploadOptions, create_upload, create_upload_again

NOUN = "conversions/uploads"
MAX_LINES_EXAMINED = 200_000
"""Maximum number of lines searched for a verdict: a file may have millions."""
_WRITE_BYTES = 1024 * 1024
"""Bytes collected before a thread writes them: a thread switch per packet would be slow."""


class UploadView(msgspec.Struct, kw_only=True):
    """An upload, its progress, and the results of its lines so far."""

    upload_id: str
    name: str
    state: Annotated[JobState, Meta(description="waiting or running until it ends. If it is failed, error says why.")]
    preview: Annotated[bool, Meta(description="true if nothing is registered. The counts then say what would be.")]
    postbacks: Annotated[bool, Meta(description="false if postbacks for its conversions are suppressed.")]
    format: Annotated[UploadFormat, Meta(description="The format that was detected.")]
    format_text: Annotated[str, Meta(description="The format as a sentence.")]
    octets: Annotated[int, Meta(description="Size of the file as UTF-8, in bytes.")]
    octets_read: Annotated[int, Meta(description="Bytes processed so far.")]
    lines: Annotated[int, Meta(description="Lines processed so far, without empty ones.")]
    counts: Annotated[
        dict[str, int],
        Meta(
            description="Lines by verdict. A waiting line has no click yet and is refused after ten minutes, once older clicks are in.",
            examples=[{"new": 812, "changed": 3, "repeated": 40, "waiting": 0, "refused": 9, "unreadable": 1}],
        ),
    ]
    reasons: Annotated[
        dict[str, int], Meta(description="Refused and unreadable lines by reason.", examples=[{"forged_click_id": 9}])
    ]
    flagged: Annotated[int, Meta(description="Lines with a flag, regardless of their verdict. Check these first.")]
    flags: Annotated[
        dict[str, int],
        Meta(
            description="Lines by flag, with the flags of Conversions - In.",
            examples=[{"payout_unreadable": 3}],
        ),
    ]
    created_at: Annotated[
        Moment, Meta(description="When the file had arrived, which is when its conversions count as reported.")
    ]
    finished_at: Moment | None
    error: Annotated[str | None, Meta(description="The reason if it failed. Lines registered before stay registered.")]
    encoding: Annotated[str, Meta(description="The encoding that was detected.", examples=["utf-8", "windows-1252"])]
    unused_columns: Annotated[
        list[str], Meta(description="Headers that are no known parameter. Their cells are stored with the notices.")
    ]
    missing_values: Annotated[
        list[str], Meta(description="Those of payout and txid that have no column.", examples=[["txid"]])
    ]
    incomplete: Annotated[
        bool,
        Meta(
            description="true if one of the unused columns may hold a missing value. Such a table is registered only from its "
            "preview, or with incomplete=1."
        ),
    ]
    date_order: Annotated[
        DateOrder | None,
        Meta(description="Order of dates such as 05/06/2026, as chosen or as other lines prove it. null if neither."),
    ]
    result_until: Annotated[
        Moment | None, Meta(description="When the result will be deleted. null until the upload has ended.")
    ]


class UploadLineView(msgspec.Struct, kw_only=True):
    """A line of an upload and its verdict."""

    line: Annotated[int, Meta(description="Line number in the file, from 1.")]
    verdict: LineVerdict
    reason: Annotated[str, Meta(description="Why it is refused or unreadable.")]
    message: Annotated[str, Meta(description="The verdict as a sentence, with the place of a fault.")]
    flags: Annotated[list[str], Meta(description="What is unusual about it.")]
    conversion_id: Annotated[str, Meta(description="Its conversion. Empty in a preview.")]
    notice_id: Annotated[str, Meta(description="Its notice in Conversions - In. Empty in a preview.")]
    payout: Annotated[MoneyText | None, Meta(description="In a preview, the payout after this line.")]
    status: Annotated[str, Meta(description="In a preview, the name of the status after this line.")]
    text: Annotated[str, Meta(description="The line, comma-separated, without quotes.")]


class UploadLinesView(msgspec.Struct, kw_only=True):
    """The first lines of an upload."""

    items: list[UploadLineView]
    payouts: Annotated[
        list[MoneyText], Meta(description="In a preview, totals by currency of the first 200,000 lines.")
    ]


async def take_upload(
    context: JobContext, pieces: AsyncIterator[bytes], options: Callable[[], UploadOptions]
) -> UploadView:
    """Write a file to disk as it arrives, and enter the upload. ``options`` is called last, when a form's other fields are known.

    Raise InvalidInputError for a file in no known format, UploadTooLargeError, NoRoomError.
    """
    files = context.uploads
    with room_needed():
        arriving = await asyncio.to_thread(files.receive, context.record_ids())
        try:
            await _take_pieces(pieces, arriving)
            entered = await asyncio.to_thread(
                create_upload, context.ledger, files, arriving, options(), context.clock()
            )
        finally:
            await asyncio.to_thread(arriving.abandon)
    if isinstance(entered, RejectedFile):
        raise _unusable(entered)
    view = upload_view(context, entered)
    await asyncio.to_thread(_record, context, view, Action.UPLOADED)
    return view


def _record(context: JobContext, view: UploadView, action: Action) -> None:
    with context.ledger.write() as tx:
        record_change(tx, context, NOUN, view.upload_id, after=view, action=action)


async def _take_pieces(pieces: AsyncIterator[bytes], arriving: ArrivingFile) -> None:
    """Write a file to disk as it arrives. Raise InvalidInputError as soon as its start shows that the format is not known."""
    gathered: list[bytes] = []
    size = 0
    is_checked = False
    async for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= _WRITE_BYTES or (not is_checked and size >= HEAD_BYTES):
            await asyncio.to_thread(arriving.write, b"".join(gathered))
            gathered, size = [], 0
        if not is_checked and len(arriving.head) == HEAD_BYTES:
            is_checked = True
            if isinstance(found := detect(arriving.head), RejectedFile):
                raise _unusable(found)
    await asyncio.to_thread(arriving.write, b"".join(gathered))


def list_uploads(context: JobContext, limit: int, cursor: str = "") -> Page[UploadView]:
    """Return a page of uploads, newest first."""
    before = read_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        found = UPLOADS.before(tx, before, limit + 1)
    return page_of(found, limit, NOUN, lambda upload: upload.upload_id, lambda upload: upload_view(context, upload))


def find_upload(context: JobContext, upload_id: str) -> Upload | None:
    """Return the upload of that id."""
    with context.ledger.read() as tx:
        return UPLOADS.find(tx, upload_id)


def first_lines(context: JobContext, upload: Upload, limit: int, verdict: LineVerdict | None = None) -> UploadLinesView:
    """Return the first processed lines, or the first ones with a verdict. Raise FileNotFoundError if the file was deleted."""
    results = islice(line_results(context.ledger, context.uploads, upload), MAX_LINES_EXAMINED)
    found = (result for result in results if verdict is None or result.finding.verdict is verdict)
    totals = payout_totals(context.uploads, upload, MAX_LINES_EXAMINED) if upload.preview else {}
    return UploadLinesView(
        items=[_line_view(result) for result in islice(found, limit)],
        payouts=[money_text(micros, currency) for currency, micros in sorted(totals.items())],
    )


def register_preview(
    context: JobContext, preview: Upload, *, postbacks: bool = True, date_order: DateOrder | None = None
) -> UploadView:
    """Register the file of a finished preview as a new upload. Raise InvalidInputError, FileNotFoundError."""
    if not preview.preview or preview.state is not JobState.FINISHED:
        raise invalid("upload_id", FaultCode.NOT_ALLOWED, "Only a finished preview can be registered.")
    options = UploadOptions(name=preview.name, postbacks=postbacks, date_order=date_order)
    entered = create_upload_again(
        context.ledger, context.uploads, preview, context.record_ids(), options, context.clock()
    )
    view = upload_view(context, entered)
    _record(context, view, Action.UPLOADED)
    return view


def stop_upload(context: JobContext, upload: Upload) -> None:
    """Register no further line of an upload. One that has ended stays as it is."""
    with context.ledger.write() as tx:
        UPLOADS.stop(tx, upload.upload_id, context.clock())
        before = upload_view(context, upload)
        record_change(tx, context, NOUN, upload.upload_id, before=before, action=Action.CANCELLED)


def _unusable(found: RejectedFile) -> InvalidInputError:
    return InvalidInputError((FieldFault("", found.fault, found.sentence),))


def upload_view(context: JobContext, upload: Upload) -> UploadView:
    """Return the view of an upload."""
    until = None if upload.finished_at is None else upload.finished_at + context.upload_keep_hours * HOUR_MS
    return view_of(
        UploadView,
        upload,
        format_text=upload.format.sentence,
        counts={verdict.value: upload.counts.get(verdict, 0) for verdict in LineVerdict},
        unused_columns=[readable(name)[:200] for name in upload.unused_columns],
        incomplete=upload.is_incomplete,
        date_order=context.uploads.date_order(upload.upload_id),
        result_until=optional_iso_text(until),
    )


def _line_view(result: LineResult) -> UploadLineView:
    finding = result.finding
    return view_of(UploadLineView, finding, line=finding.number, message=result.sentence, text=readable(result.text))
