"""The logs that can be exported: their columns, the filters that each is narrowed by, and how a page of one becomes lines."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from clickloop.click.click_log import ClickFilter
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.moment import read_moment
from clickloop.conversion.notice_log import NoticeFilter
from clickloop.log_filter import LogFilter
from clickloop.postback.postback_log import PostbackFilter
from clickloop.report.spreadsheet import csv_line
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
from clickloop.store.ledger.jobs.exports import Export, ExportNoun
from clickloop.store.period import FAR_MS, period_of
from clickloop.tracking.exports import ExportedPage, PageOf
from clickloop.web.api.context import ApiContext
from clickloop.web.api.logs.clicks import list_clicks
from clickloop.web.api.logs.columns import (
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
from clickloop.web.api.logs.conversions import list_conversions
from clickloop.web.api.logs.log_words import refuse_unknown_status
from clickloop.web.api.logs.notices import list_notices
from clickloop.web.api.logs.postbacks import list_postbacks
from clickloop.web.api.paging import Page
from clickloop.web.api.problem import invalid

ROWS_A_STEP = 2_000
"""Rows per page of an export: other work gets its turn between two pages."""


class Log(msgspec.Struct, frozen=True):
    """A log. ``list_page`` returns a page of what a filter leaves, at a cursor."""

    title: str
    columns: tuple[Column, ...]
    filters: type[LogFilter]
    list_page: Callable[[ApiContext, Any, int, str], Page[Any]]
    moment: Callable[[Any], str]
    """The moment that its rows are sorted by."""


LOGS = {
    ExportNoun.CLICKS: Log("Clicks", CLICK_COLUMNS, ClickFilter, list_clicks, attrgetter("at")),
    ExportNoun.CONVERSIONS: Log(
        "Conversions", CONVERSION_COLUMNS, ConversionFilter, list_conversions, attrgetter("created_at")
    ),
    ExportNoun.NOTICES: Log("Conversions - In", NOTICE_COLUMNS, NoticeFilter, list_notices, attrgetter("at")),
    ExportNoun.POSTBACKS: Log(
        "Conversions - Out", POSTBACK_COLUMNS, PostbackFilter, list_postbacks, attrgetter("created_at")
    ),
}

TITLES = {noun.value: log.title for noun, log in LOGS.items()}
"""What the logs are called."""


def check_filters(context: ApiContext, noun: ExportNoun, filters: LogFilter) -> None:
    """Raises InvalidInputError for filters of the right shape that the log would refuse, so that it is told at once."""
    try:
        period_of(filters)
        if noun is ExportNoun.CONVERSIONS and isinstance(filters, ConversionFilter):
            with context.ledger.read() as tx:
                refuse_unknown_status(tx, filters.status)
    except InvalidInputError as error:
        raise InvalidInputError(in_filters(error.faults)) from None


def in_filters(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """The faults of filters as those of a body that holds them."""
    return tuple(
        msgspec.structs.replace(fault, field=f"filters.{fault.field}" if fault.field else "filters") for fault in faults
    )


def filters_of(export: Export) -> LogFilter:
    """What an export is narrowed by. Raises InvalidInputError where another version knew filters that this one does not."""
    try:
        return msgspec.json.decode(export.filters, type=LOGS[export.noun].filters)
    except msgspec.ValidationError as error:
        raise invalid("filters", FaultCode.NOT_ALLOWED, f"Its filters are not known any more: {error}.") from None


def page_reader(context: ApiContext, rows: int = ROWS_A_STEP) -> PageOf:
    """Reads exports page by page. Secrets are masked in them, whoever asked."""

    def read(export: Export) -> ExportedPage:
        log = LOGS[export.noun]
        columns = chosen_columns(log.columns, export.columns)
        found = log.list_page(context, filters_of(export), rows, export.next_cursor)
        with context.ledger.read() as tx:
            names = names_for(tx, columns, found.items)
        head = b"" if export.next_cursor else csv_line(csv_heads(columns))
        return ExportedPage(
            lines=head + b"".join(csv_line(csv_cells(columns, row, names)) for row in found.items),
            rows=len(found.items),
            next_cursor=found.next_cursor,
            reached_at=read_moment(log.moment(found.items[-1]), FAR_MS) if found.items else None,
        )

    return read
