"""/costs: what traffic costs, entered for segments of clicks, and where the cost of a report's groups comes from."""

from typing import Annotated, Any

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter, SkipValidation
from msgspec import Meta

from clickloop.clock import Moment, iso_text, optional_iso_text
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.report.cost.entry import CostEntry, EntryState
from clickloop.report.cost.entry_input import CostBody, CostDefaults
from clickloop.report.cost.segment import CostKind, SpreadOver
from clickloop.report.query_input import ReportRequest
from clickloop.setup.fault import FaultCode, invalid
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.store.ledger.jobs.cost_entries import EntryFilter, entries_before, find_entry
from clickloop.text import readable
from clickloop.tracking.costs.entering import NOUN, EntryPreview, enter_cost, preview_cost, undo_cost
from clickloop.tracking.costs.origins import read_origins
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Id, Limit
from clickloop.web.api.problem import expect_found
from clickloop.web.api.query import from_query
from clickloop.web.api.reports.reports import requested_query
from clickloop.web.long_work import in_long_work


class CostEntryView(msgspec.Struct, kw_only=True):
    """A cost entry and how far it is in effect."""

    cost_id: int
    kind: Annotated[CostKind, Meta(description="Manual entries count before uploads and the API.")]
    state: Annotated[
        EntryState,
        Meta(
            description="waiting: it is being spread. applied: it is in effect. undoing, retiring: it is being taken back. undone, "
            "replaced: it is not in effect any more."
        ),
    ]
    campaign_id: int | None
    source_id: int | None
    filters: dict[str, list[str]]
    since: Annotated[Moment, Meta(description="Start of the span, inclusive.")]
    until: Annotated[Moment, Meta(description="End of the span, exclusive.")]
    zone: str
    amount: MoneyText
    spread: SpreadOver
    key: str
    note: str
    upload_id: str
    clicks_covered: Annotated[int, Meta(description="Clicks whose cost it sets, unless another entry comes first.")]
    clicks_bearing: Annotated[int, Meta(description="Those of them that bear a part of the amount.")]
    clicks_done: Annotated[int, Meta(description="Covered clicks for which it is in effect already.")]
    unattributed: Annotated[
        MoneyText | None, Meta(description="The amount, if no click bears it. It is in no other figure.")
    ]
    replaced_by: int | None
    entered_by: str
    created_at: Moment
    ended_at: Moment | None


class CostPreview(msgspec.Struct, kw_only=True):
    """The effect that an entry would have."""

    clicks: Annotated[int, Meta(description="Counted clicks of the segment.")]
    unique_clicks: int
    clean_clicks: int
    clicks_bearing: Annotated[int, Meta(description="Clicks that would bear a part. 0: the amount stays unattributed.")]
    is_repeat: Annotated[bool, Meta(description="true if an equal entry with this key is in effect.")]
    overlaps: Annotated[list[CostEntryView], Meta(description="Entries that may cover clicks of the segment, too.")]


class OriginView(msgspec.Struct, kw_only=True):
    """A part of a cost."""

    origin: Annotated[
        str, Meta(description="link, model, or the kind of the entry.", examples=["link", "model", "manual"])
    ]
    certainty: Annotated[
        str,
        Meta(
            description="measured: by the link of each click. spread: an amount over clicks. estimated: by a cost model.",
            examples=["measured"],
        ),
    ]
    cost_id: int | None
    amount: MoneyText
    share: Annotated[str | None, Meta(description="Percentage of the group's cost.", examples=["62.00"])]
    not_converted: Annotated[list[MoneyText], Meta(description="Amounts in currencies without a rate.")]


class OriginRowView(msgspec.Struct, kw_only=True):
    """A group and where its cost comes from."""

    keys: Annotated[list[str], Meta(description="Values of the dimensions, in the order of group_by.")]
    origins: list[OriginView]


class OriginsView(msgspec.Struct, kw_only=True):
    """The origins of the cost of groups."""

    rows: list[OriginRowView]


CampaignParameter = Annotated[int | None, QueryParameter(name="campaign_id", description="Only of this campaign.")]
SourceParameter = Annotated[int | None, QueryParameter(name="source_id", description="Only of this traffic source.")]
UploadParameter = Annotated[str, QueryParameter(name="upload_id", max_length=26, description="Only of this upload.")]
UnattributedParameter = Annotated[
    bool, QueryParameter(description="true for entries only whose amount no click bears.")
]
Requested = NamedDependency[SkipValidation[ReportRequest]]


def create_cost(context: Context, data: JSONBody[CostBody]) -> CostEntryView:
    """Enter what clicks cost.

    The amount is spread over the segment's clicks in equal parts, exact to the millionth, within seconds. Each click has one cost:
    that of the newest entry that covers it, manual entries before uploads and the API, entries before cost models and links. After
    its span has ended, an entry is spread anew if more clicks have arrived.
    """
    return entry_view(enter_cost(context, data, CostKind.API, defaults_of(context)))


def preview(context: Context, data: JSONBody[CostBody]) -> CostPreview:
    """Return what an entry would do, without entering it."""
    return preview_view(preview_cost(context, context.facts.costs, data, CostKind.API, defaults_of(context)))


def list_costs(
    context: Context,
    campaign_id: CampaignParameter = None,
    source_id: SourceParameter = None,
    upload_id: UploadParameter = "",
    unattributed: UnattributedParameter = False,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[CostEntryView]:
    """List cost entries, newest first."""
    wanted = EntryFilter(
        campaign_id=campaign_id, source_id=source_id, upload_id=upload_id.lower(), unattributed=unattributed
    )
    key = read_cursor(NOUN, cursor)
    if key and not (key.isdecimal() and len(key) < 16):
        sentence = "This is not a next_cursor of this list. Start again without a cursor."
        raise invalid("cursor", FaultCode.NOT_A_CURSOR, sentence)
    with context.ledger.read() as tx:
        found = entries_before(tx, wanted, int(key) if key else None, limit + 1)
    return page_of(found, limit, NOUN, lambda entry: str(entry.entry_id), entry_view)


def read_cost(context: Context, number: Id) -> CostEntryView:
    """Return a cost entry."""
    with context.ledger.read() as tx:
        return entry_view(expect_found(find_entry(tx, number), "cost entry with that ID"))


def undo(context: Context, number: Id) -> CostEntryView:
    """Take a cost entry back. What it covered has the cost beneath again, within seconds. One that has ended is left alone."""
    return entry_view(expect_found(undo_cost(context, number), "cost entry with that ID"))


def read_cost_origins(context: Context, requested: Requested) -> OriginsView:
    """Return where the cost of a report's groups comes from: links, cost models, and which entries."""
    _, query = requested_query(context, requested)
    return OriginsView(
        rows=[
            OriginRowView(
                keys=list(group.keys),
                origins=[
                    OriginView(
                        origin=part.origin,
                        certainty=part.certainty,
                        cost_id=part.entry_id or None,
                        amount=money_text(part.micros, context.currency),
                        share=part.share_text,
                        not_converted=[money_text(micros, currency) for micros, currency in part.not_converted],
                    )
                    for part in group.parts
                ],
            )
            for group in read_origins(context.ledger, context.facts.costs, query)
        ]
    )


def defaults_of(context: ApiContext) -> CostDefaults:
    """Return the instance's currency and time zone."""
    return CostDefaults(context.currency, context.instance.time_zone)


def entry_view(entry: CostEntry) -> CostEntryView:
    """Return the view of an entry."""
    segment = entry.segment
    amount = money_text(entry.micros, entry.currency)
    return CostEntryView(
        cost_id=entry.entry_id,
        kind=entry.kind,
        state=entry.state,
        campaign_id=segment.campaign_id or None,
        source_id=segment.source_id or None,
        filters={one.dimension.value: [readable(value) for value in one.values] for one in segment.filters},
        since=iso_text(segment.from_at),
        until=iso_text(segment.until_at),
        zone=entry.zone,
        amount=amount,
        spread=entry.over,
        key=readable(entry.key.partition(":")[2]),
        note=readable(entry.note),
        upload_id=entry.upload_id,
        clicks_covered=entry.covered,
        clicks_bearing=entry.shared,
        clicks_done=entry.done,
        unattributed=amount if entry.is_unattributed else None,
        replaced_by=entry.replaced_by,
        entered_by=readable(entry.entered_by),
        created_at=iso_text(entry.created_at),
        ended_at=optional_iso_text(entry.ended_at),
    )


def preview_view(found: EntryPreview) -> CostPreview:
    """Return the view of a preview."""
    return CostPreview(
        clicks=found.clicks.clicks,
        unique_clicks=found.clicks.unique,
        clean_clicks=found.clicks.clean,
        clicks_bearing=found.clicks.shared(found.entry.over),
        is_repeat=found.is_repeat,
        overlaps=[entry_view(one) for one in found.overlaps],
    )


def _routes() -> list[Any]:
    return [
        post("/", status_code=202, sync_to_thread=True, summary="Enter cost")(create_cost),
        post("/preview", status_code=200, summary="Preview a cost entry")(in_long_work(preview)),
        get("/", sync_to_thread=True, summary="List cost entries")(list_costs),
        get("/{number:int}", sync_to_thread=True, summary="Read a cost entry")(read_cost),
        post("/{number:int}/undo", status_code=202, sync_to_thread=True, summary="Undo a cost entry")(undo),
    ]


router = Router(
    f"/{NOUN}",
    route_handlers=[
        *_routes(),
        Router(
            "/origins",
            route_handlers=[get("/", summary="Read where cost comes from")(in_long_work(read_cost_origins))],
            dependencies={"requested": from_query(ReportRequest)},
        ),
    ],
    tags=["Reports"],
)
