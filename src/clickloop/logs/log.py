"""The four logs side by side: the title, columns and filter of each, its pages, and its rows as CSV."""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from clickloop.click.click_log import ClickFilter
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.notice_log import NoticeFilter
from clickloop.log_filter import LogFilter
from clickloop.logs.column import LogColumn, Names, csv_cells, csv_heads, names_for
from clickloop.logs.columns import CLICK_COLUMNS, CONVERSION_COLUMNS, NOTICE_COLUMNS, POSTBACK_COLUMNS
from clickloop.logs.context import LogContext
from clickloop.logs.listing import list_clicks, list_conversions, list_notices, list_postbacks
from clickloop.logs.page import Page
from clickloop.postback.postback_log import PostbackFilter
from clickloop.report.spreadsheet import csv_line
from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.jobs.exports import Export, ExportNoun


class Log(msgspec.Struct, frozen=True):
    """A log. ``list_page`` returns the page of a filter, with a number of rows, at a cursor."""

    title: str
    columns: tuple[LogColumn, ...]
    filters: type[LogFilter]
    list_page: Callable[[LogContext, Any, int, str], Page[Any]]
    moment: Callable[[Any], str]
    """Returns the moment of a row by which the log is sorted."""


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
"""The titles of the logs."""


def filters_of(export: Export) -> LogFilter:
    """Return the filter of an export. Raise InvalidInputError if another version stored filters that this one does not know."""
    try:
        return msgspec.json.decode(export.filters, type=LOGS[export.noun].filters)
    except msgspec.ValidationError as error:
        raise invalid("filters", FaultCode.NOT_ALLOWED, f"Its filters are no longer supported: {error}.") from None


def csv_of_pages(
    context: LogContext, columns: Sequence[LogColumn], list_page: Callable[[str], Page[Any]]
) -> Iterator[bytes]:
    """Return the rows of a list as CSV, in pieces of a page; ``list_page`` returns the page at a cursor.

    The first page is read at once, so that faults of the filter are raised before anything is sent.
    """
    return _pieces(context, columns, list_page(""), list_page)


def _pieces(
    context: LogContext, columns: Sequence[LogColumn], page: Page[Any], list_page: Callable[[str], Page[Any]]
) -> Iterator[bytes]:
    yield csv_line(csv_heads(columns))
    names: Names = {}
    while True:
        with context.ledger.read() as tx:
            names = names_for(tx, columns, page.items, names)
        yield b"".join(csv_line(csv_cells(columns, row, names)) for row in page.items)
        if page.next_cursor is None:
            return
        page = list_page(page.next_cursor)
