"""The logs that can be exported: their columns, the filters that each is narrowed by, and how a page of one becomes lines."""

from collections.abc import Callable
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from clickloop.campaign.fault import Fault, FaultCode, InvalidInputError
from clickloop.conversion.moment import read_moment
from clickloop.conversion.notice import MAX_TXID, RefusalReason
from clickloop.postback.owing import SkipReason
from clickloop.postback.state import PostbackState
from clickloop.report.spreadsheet import csv_line
from clickloop.store.ledger.exports import Export, ExportNoun
from clickloop.store.ledger.notices import Outcome
from clickloop.tracking.exports import ExportedPage, PageOf
from clickloop.web.api.clicks import ScreeningFilter, list_clicks
from clickloop.web.api.columns import (
    CLICK_COLUMNS,
    CONVERSION_COLUMNS,
    NOTICE_COLUMNS,
    POSTBACK_COLUMNS,
    Column,
    chosen_columns,
    csv_cells,
    csv_heads,
    names_for,
)
from clickloop.web.api.context import ApiContext
from clickloop.web.api.conversions import list_conversions
from clickloop.web.api.log_words import FAR_MS, period_of, refuse_unknown_status
from clickloop.web.api.notices import list_notices
from clickloop.web.api.paging import LARGEST_ID, Page
from clickloop.web.api.postbacks import list_postbacks
from clickloop.web.api.problem import invalid

ROWS_A_STEP = 2_000
"""So many rows are read and written at once: other work gets its turn between two pages."""

Number = Annotated[int, Meta(ge=0, le=LARGEST_ID)]
RecordId = Annotated[str, Meta(max_length=26)]
MomentText = Annotated[str, Meta(max_length=40)]


class LogFilters(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What every log is narrowed by; the names are those of the log's list."""

    campaign_id: Number | None = None
    since: MomentText = ""
    until: MomentText = ""


class ClickFilters(LogFilters, frozen=True, omit_defaults=True, kw_only=True):
    """Which clicks."""

    source_id: Number | None = None
    external_id: Annotated[str, Meta(max_length=1024)] | None = None
    screening: ScreeningFilter | None = None


class ConversionFilters(LogFilters, frozen=True, omit_defaults=True, kw_only=True):
    """Which conversions."""

    click_id: RecordId | None = None
    txid: Annotated[str, Meta(max_length=MAX_TXID)] | None = None
    status: Annotated[str, Meta(max_length=32)] | None = None
    source_id: Number | None = None
    offer_id: Number | None = None
    network_id: Number | None = None
    flagged: bool | None = None


class NoticeFilters(LogFilters, frozen=True, omit_defaults=True, kw_only=True):
    """Which notices."""

    outcome: Outcome | None = None
    reason: RefusalReason | None = None
    click_id: RecordId | None = None
    conversion_id: RecordId | None = None
    network_id: Number | None = None
    flagged: bool | None = None
    status_word: Annotated[str, Meta(max_length=200)] | None = None


class PostbackFilters(LogFilters, frozen=True, omit_defaults=True, kw_only=True):
    """Which postbacks."""

    state: PostbackState | None = None
    reason: SkipReason | None = None
    click_id: RecordId | None = None
    conversion_id: RecordId | None = None
    source_id: Number | None = None
    rule_id: Number | None = None
    status: Annotated[str, Meta(max_length=32)] | None = None


class Exportable(msgspec.Struct, frozen=True):
    """A log. ``list_page`` answers the page of a cursor, so many rows long, of what its filters ask for."""

    title: str
    columns: tuple[Column, ...]
    filters: type[LogFilters]
    list_page: Callable[[ApiContext, int, str, dict[str, Any]], Page[Any]]
    moment: Callable[[Any], str]
    """The moment that its rows are sorted by."""


def _postbacks(context: ApiContext, rows: int, cursor: str, filters: dict[str, Any]) -> Page[Any]:
    others = {name: value for name, value in filters.items() if name != "state"}
    return list_postbacks(context, rows, cursor, in_state=filters["state"], **others)


LOGS = {
    ExportNoun.CLICKS: Exportable(
        "Clicks",
        CLICK_COLUMNS,
        ClickFilters,
        lambda context, rows, cursor, filters: list_clicks(context, rows, cursor, **filters),
        attrgetter("at"),
    ),
    ExportNoun.CONVERSIONS: Exportable(
        "Conversions",
        CONVERSION_COLUMNS,
        ConversionFilters,
        lambda context, rows, cursor, filters: list_conversions(context, rows, cursor, **filters),
        attrgetter("created_at"),
    ),
    ExportNoun.NOTICES: Exportable(
        "Conversions - In",
        NOTICE_COLUMNS,
        NoticeFilters,
        lambda context, rows, cursor, filters: list_notices(context, rows, cursor, **filters),
        attrgetter("at"),
    ),
    ExportNoun.POSTBACKS: Exportable(
        "Conversions - Out", POSTBACK_COLUMNS, PostbackFilters, _postbacks, attrgetter("created_at")
    ),
}

TITLES = {noun.value: exported.title for noun, exported in LOGS.items()}
"""What the logs are called."""


def check_filters(context: ApiContext, noun: ExportNoun, filters: LogFilters) -> None:
    """Raises InvalidInputError for filters of the right shape that the log would refuse, so that it is told at once."""
    try:
        period_of(filters.since, filters.until)
        if noun is ExportNoun.CONVERSIONS and isinstance(filters, ConversionFilters):
            with context.ledger.read() as tx:
                refuse_unknown_status(tx, filters.status)
    except InvalidInputError as error:
        raise InvalidInputError(in_filters(error.faults)) from None


def in_filters(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """The faults of filters as those of a body that holds them."""
    return tuple(
        msgspec.structs.replace(fault, field=f"filters.{fault.field}" if fault.field else "filters") for fault in faults
    )


def filters_of(export: Export) -> LogFilters:
    """What an export is narrowed by. Raises InvalidInputError where another version knew filters that this one does not."""
    try:
        return msgspec.json.decode(export.filters, type=LOGS[export.noun].filters)
    except msgspec.ValidationError as error:
        raise invalid("filters", FaultCode.NOT_ALLOWED, f"Its filters are not known any more: {error}.") from None


def page_reader(context: ApiContext, rows: int = ROWS_A_STEP) -> PageOf:
    """Reads exports in pages of so many rows. Secrets are masked in them, whoever asked."""

    def read(export: Export) -> ExportedPage:
        exported = LOGS[export.noun]
        columns = chosen_columns(exported.columns, export.columns)
        found = exported.list_page(context, rows, export.next_cursor, msgspec.structs.asdict(filters_of(export)))
        with context.ledger.read() as tx:
            names = names_for(tx, columns, found.items)
        head = b"" if export.next_cursor else csv_line(csv_heads(columns))
        return ExportedPage(
            lines=head + b"".join(csv_line(csv_cells(columns, row, names)) for row in found.items),
            rows=len(found.items),
            next_cursor=found.next_cursor,
            reached_at=read_moment(exported.moment(found.items[-1]), FAR_MS) if found.items else None,
        )

    return read
