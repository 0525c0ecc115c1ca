"""/lists/…/entries: values of black, white and watch lists with the figures that they were judged by, and what still arrives."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response, Router, get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from clickloop.clock import HOUR_MS, Moment, iso_text, optional_iso_text
from clickloop.logs.page import Page, page_of, read_number_cursor
from clickloop.report.period import Preset
from clickloop.report.query_input import ReportRequest, report_period
from clickloop.report.spreadsheet import csv_line
from clickloop.saving import lists as saving
from clickloop.saving.list_entries import add_values, remove_values, still_arriving
from clickloop.setup.list_entry import ListEntry
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.store.ledger.setup.list_entries import entries_before, present_entries
from clickloop.text import readable
from clickloop.web.api.context import Context
from clickloop.web.api.paging import Cursor, Id, Limit
from clickloop.web.api.setup.lists import LISTS
from clickloop.web.long_work import in_long_work

_NOUN = "list-entries"
MAX_GRACE_HOURS = 720
Values = Annotated[list[str], Meta(description="Values, at most 10,000.", examples=[["1001", "1002"]])]


class EntryView(msgspec.Struct, kw_only=True):
    """A value of a list, and its figures in the period that it was judged by."""

    value: str
    added_at: Moment
    added_by: str
    since: Annotated[Moment, Meta(description="Start of the period of the figures, inclusive.")]
    until: Annotated[Moment, Meta(description="End of the period, exclusive.")]
    clicks: int
    conversions: int
    cost: MoneyText
    revenue: MoneyText
    removed_at: Annotated[Moment | None, Meta(description="null: the value is in the list.")]
    removed_by: str


class NewEntries(msgspec.Struct, kw_only=True):
    """Values to add, and the period whose figures are kept with them."""

    values: Values = []
    period: (
        Annotated[Preset, Meta(description="Named period. Defaults to the last 7 days, including today.")] | None
    ) = None
    first: Annotated[str, Meta(max_length=10, description="First day. Overrides the named period.")] = msgspec.field(
        default="", name="from"
    )
    last: Annotated[str, Meta(max_length=10, description="Last day, inclusive.")] = msgspec.field(default="", name="to")


class OldEntries(msgspec.Struct, kw_only=True):
    """Values to remove."""

    values: Values = []


class EntriesChanged(msgspec.Struct, kw_only=True):
    """The outcome of adding or removing values."""

    changed: Annotated[int, Meta(description="Values added or removed.")]
    unchanged: Annotated[int, Meta(description="Values that were in the list already, or not in it.")]
    entries: Annotated[int, Meta(description="Values that are in the list now.")]


class ArrivingRow(msgspec.Struct, kw_only=True):
    """A value that sends clicks against the list."""

    value: str
    added_at: Annotated[Moment | None, Meta(description="null: it is not on the list, which is a white one.")]
    clicks: Annotated[int, Meta(description="Clicks since the list should be in effect.")]
    cost: MoneyText


class ArrivingView(msgspec.Struct, kw_only=True):
    """The values that send clicks against a list, the most costly first."""

    list_id: int
    name: str
    rows: list[ArrivingRow]
    clicks: int
    cost: MoneyText


GraceHours = Annotated[
    int,
    QueryParameter(
        ge=0, le=MAX_GRACE_HOURS, description="Hours that a traffic source may take to apply a change of a list."
    ),
]
ExportFormat = Annotated[
    str, QueryParameter(name="format", pattern="^(text|csv|json)$", description="text (one per line), csv or json.")
]


def list_entries(context: Context, number: Id, limit: Limit = 50, cursor: Cursor = "") -> Page[EntryView]:
    """List the values of a black, white or watch list, removed ones too, newest first."""
    before_id = read_number_cursor(_NOUN, cursor)
    with context.ledger.read() as tx:
        saving.NOUN.get(tx, number)
        found = entries_before(tx, number, before_id or None, limit + 1)
    return page_of(found, limit, _NOUN, lambda entry: entry.id, _view)


def add_entries(context: Context, number: Id, data: JSONBody[NewEntries]) -> EntriesChanged:
    """Add values to a black, white or watch list, with their clicks, conversions, cost and revenue in a period.

    Values that are in the list stay as they are, with the figures of their time.
    """
    asked = ReportRequest(period=data.period, first=data.first, last=data.last)
    period = report_period(asked, context.clock(), context.instance.time_zone)
    named, added = add_values(
        context, context.facts, number, data.values, period, context.currency, LISTS.logged(context)
    )
    return EntriesChanged(changed=added, unchanged=len(data.values) - added, entries=len(named.entries))


def remove_entries(context: Context, number: Id, data: JSONBody[OldEntries]) -> EntriesChanged:
    """Remove values from a black, white or watch list. Their history stays."""
    named, removed = remove_values(context, number, data.values, LISTS.logged(context))
    return EntriesChanged(changed=removed, unchanged=len(data.values) - removed, entries=len(named.entries))


def read_arriving(context: Context, number: Id, grace_hours: GraceHours = 1) -> ArrivingView:
    """Return which values still send clicks although a traffic source should have cut them.

    They are those on a black or watch list, or those that are not on a white one.
    """
    with context.ledger.read() as tx:
        named = saving.NOUN.get(tx, number)
    zone = ZoneInfo(context.instance.time_zone)
    found = still_arriving(context, context.facts, number, context.currency, zone, grace_hours * HOUR_MS)
    return ArrivingView(
        list_id=number,
        name=named.name,
        rows=[
            ArrivingRow(
                value=readable(one.value),
                added_at=optional_iso_text(one.added_at),
                clicks=one.clicks,
                cost=money_text(one.cost_micros, context.currency),
            )
            for one in found
        ],
        clicks=sum(one.clicks for one in found),
        cost=money_text(sum(one.cost_micros for one in found), context.currency),
    )


def export_list(context: Context, number: Id, output: ExportFormat = "text") -> Response[Any]:
    """Return the values of a list to hand to a traffic source: one per line, as CSV with figures, or as JSON."""
    with context.ledger.read() as tx:
        named = saving.NOUN.get(tx, number)
        entries = present_entries(tx, number)
    headers = {"Content-Disposition": f'attachment; filename="list-{number}.{_ENDINGS[output]}"'}
    if output == "json":
        return Response(list(named.entries), headers=headers)
    if output == "text":
        text = "".join(f"{entry}\n" for entry in named.entries)
        return Response(text.encode(), media_type="text/plain; charset=utf-8", headers=headers)
    return Response(_csv(named.entries, entries), media_type="text/csv", headers=headers)


_ENDINGS = {"text": "txt", "csv": "csv", "json": "json"}


def _csv(values: tuple[str, ...], entries: list[ListEntry]) -> bytes:
    head = ("value", "added_at", "added_by", "clicks", "conversions", "cost", "revenue", "currency")
    kept = {entry.value: _view(entry) for entry in entries}
    lines = [csv_line(head)]
    for value in values:
        view = kept.get(value)
        figures: tuple[str | int, ...] = ("",) * 7
        if view is not None:
            counts = (view.clicks, view.conversions)
            figures = (
                *(view.added_at or "", view.added_by, *counts),
                *(view.cost.amount, view.revenue.amount, view.cost.currency),
            )
        lines.append(csv_line((value, *figures)))
    return b"".join(lines)


def _view(entry: ListEntry) -> EntryView:
    judged = entry.judged
    return EntryView(
        value=readable(entry.value),
        added_at=iso_text(entry.added_at),
        added_by=entry.added_by,
        since=iso_text(judged.from_at),
        until=iso_text(judged.until_at),
        clicks=judged.clicks,
        conversions=judged.conversions,
        cost=money_text(judged.cost_micros, judged.currency),
        revenue=money_text(judged.revenue_micros, judged.currency),
        removed_at=optional_iso_text(entry.removed_at),
        removed_by=entry.removed_by,
    )


_ENTRIES = "/{number:int}/entries"
router = Router(
    "/lists",
    route_handlers=[
        get(_ENTRIES, sync_to_thread=True, summary="List the values of a list and their history")(list_entries),
        post(_ENTRIES, status_code=200, summary="Add values to a list")(in_long_work(add_entries)),
        post(f"{_ENTRIES}/remove", status_code=200, sync_to_thread=True, summary="Remove values from a list")(
            remove_entries
        ),
        get("/{number:int}/arriving", summary="List values that still arrive")(in_long_work(read_arriving)),
        get("/{number:int}/export", sync_to_thread=True, summary="Export a list")(export_list),
    ],
    tags=["Lists"],
)
