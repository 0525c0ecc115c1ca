"""/costs/uploads: tables of costs, with a preview of each line."""

import asyncio
from typing import Annotated

import msgspec
from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import SkipValidation
from msgspec import Meta

from clickloop.log_filter import MAX_ID
from clickloop.report.cost.segment import SpreadOver
from clickloop.report.cost.table import MAX_TABLE_BYTES
from clickloop.setup.fault import InvalidInputError, text_faults
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.tracking.costs.entering import NOUN, undo_upload
from clickloop.tracking.costs.uploading import (
    CostUploadOptions,
    LineVerdict,
    UploadResult,
    enter_table,
    preview_table,
)
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs.uploads import KINDS, FileOperation
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.problem import AnyRequest, expect_found
from clickloop.web.api.query import from_query
from clickloop.web.api.reports.costs import CostEntryView, defaults_of, entry_view

MAX_LINES_SHOWN = 500


class CostLineView(msgspec.Struct, kw_only=True):
    """A line of a table and what it would do."""

    line: Annotated[int, Meta(description="Line number in the file, from 1.")]
    verdict: LineVerdict
    message: str
    clicks_bearing: Annotated[int, Meta(description="In a preview, clicks that would bear its amount.")]
    overlaps: Annotated[list[int], Meta(description="In a preview, entries that may cover clicks of its segment, too.")]


class ZoneFitView(msgspec.Struct, kw_only=True):
    """A time zone, and how much the file's clicks per hour are like ours in it."""

    zone: str
    offset: Annotated[str, Meta(examples=["UTC+1"])]
    likeness: Annotated[str, Meta(description="Correlation, from -1 to 1.", examples=["0.98"])]


class CostUploadView(msgspec.Struct, kw_only=True):
    """The effect of a table of costs, before or after it is entered."""

    upload_id: Annotated[str | None, Meta(description="null for a preview.")]
    counts: Annotated[
        dict[str, int], Meta(description="Lines by verdict.", examples=[{"matched": 28, "unreadable": 1}])
    ]
    overlapping: Annotated[int, Meta(description="Lines that overlap with entries in effect.")]
    entries: Annotated[int, Meta(description="Entries: lines of the same campaign, time and filters are added up.")]
    repeated: Annotated[int, Meta(description="Entries that change nothing, since an equal one is in effect.")]
    replaced: Annotated[
        int, Meta(description="Entries that replace an earlier amount of an upload for the same segment.")
    ]
    amounts: Annotated[list[MoneyText], Meta(description="Sum of the entries by currency.")]
    unused_columns: Annotated[list[str], Meta(description="Headers of columns that mean nothing here.")]
    zones: Annotated[
        list[ZoneFitView],
        Meta(description="In a preview of hours with clicks: the time zones that fit best, the best first."),
    ]
    lines: Annotated[list[CostLineView], Meta(description=f"The first {MAX_LINES_SHOWN}, lines at fault first.")]


class TableRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Options for reading a table of costs."""

    zone: Annotated[str, Meta(max_length=64, description="Time zone of the table. Defaults to the instance's.")] = ""
    spread: Annotated[SpreadOver, Meta(description="Which clicks bear the amounts.")] = SpreadOver.CLICKS
    campaign_id: Annotated[int, Meta(ge=0, le=MAX_ID, description="Campaign of lines that name none.")] = 0
    source_id: Annotated[
        int,
        Meta(ge=0, le=MAX_ID, description="Traffic source of lines that name none. Its names of V1… apply."),
    ] = 0
    preview: Annotated[bool, Meta(description="1 to only see what each line would do.")] = False
    partial: Annotated[bool, Meta(description="1 to enter the lines that can be read, although others cannot.")] = False
    name: Annotated[str, Meta(max_length=200, description="A name, such as the file's.")] = ""


Requested = NamedDependency[SkipValidation[TableRequest]]


async def upload_costs(context: Context, request: AnyRequest, requested: Requested) -> Response[CostUploadView]:
    """Upload a table of costs, or preview it.

    Columns: date (a day, or a time of an hour) and cost; campaign (ID, key or name) or source; and optionally hour, currency, clicks,
    and filters named like those of a cost entry. The same table again changes nothing; corrected amounts replace the earlier ones.
    """
    if faults := text_faults("name", requested.name, 200):
        raise InvalidInputError(tuple(faults))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise HTTPException(status_code=415, detail=f"The body is {kind[:100]!r}. Expected one of {', '.join(KINDS)}.")
    options = CostUploadOptions(
        zone=requested.zone,
        over=requested.spread,
        campaign_id=requested.campaign_id,
        source_id=requested.source_id,
        partial=requested.partial,
        name=requested.name,
    )
    view = await asyncio.to_thread(take_table, context, await request.body(), options, preview=requested.preview)
    return Response(view, status_code=200 if requested.preview else 202)


def take_table(context: ApiContext, data: bytes, options: CostUploadOptions, *, preview: bool) -> CostUploadView:
    """Preview or enter a table. Raise InvalidInputError."""
    if preview:
        found = preview_table(context.ledger, context.facts.costs, data, options, defaults_of(context))
        return upload_view(found, None)
    upload_id = context.record_ids().lower()
    return upload_view(enter_table(context, data, options, defaults_of(context), upload_id), upload_id)


def undo_table(context: Context, upload_id: RecordIdPath) -> list[CostEntryView]:
    """Take all entries of an upload back that no later one has replaced. Return the upload's entries."""
    entries = undo_upload(context, upload_id.lower())
    return [entry_view(entry) for entry in expect_found(entries or None, "upload of costs with that ID")]


def upload_view(found: UploadResult, upload_id: str | None) -> CostUploadView:
    """Return the view of a table."""
    sums: dict[str, int] = {}
    for entry in found.entries:
        sums[entry.currency] = sums.get(entry.currency, 0) + entry.micros
    order = list(LineVerdict)[::-1]
    lines = sorted(found.lines, key=lambda line: (order.index(line.verdict), not line.overlaps, line.number))
    return CostUploadView(
        upload_id=upload_id,
        counts={verdict.value: found.count(verdict) for verdict in LineVerdict},
        overlapping=sum(1 for line in found.lines if line.overlaps),
        entries=len(found.entries),
        repeated=found.repeated,
        replaced=found.replaced,
        amounts=[money_text(micros, currency) for currency, micros in sorted(sums.items())],
        unused_columns=list(found.unused),
        zones=[ZoneFitView(zone=fit.zone, offset=fit.offset, likeness=f"{fit.likeness:.2f}") for fit in found.zones],
        lines=[
            CostLineView(
                line=line.number,
                verdict=line.verdict,
                message=line.sentence,
                clicks_bearing=line.clicks,
                overlaps=list(line.overlaps),
            )
            for line in lines[:MAX_LINES_SHOWN]
        ],
    )


router = Router(
    f"/{NOUN}/uploads",
    route_handlers=[
        post(
            "/",
            status_code=202,
            request_max_body_size=MAX_TABLE_BYTES,
            operation_class=FileOperation,
            dependencies={"requested": from_query(TableRequest)},
            summary="Upload a table of costs",
        )(upload_costs),
        post("/{upload_id:str}/undo", status_code=202, sync_to_thread=True, summary="Undo an upload of costs")(
            undo_table
        ),
    ],
    tags=["Reports"],
)
