"""Logs as CSV for spreadsheets: streamed page by page, text that could run as a formula made harmless."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any

from litestar.params import QueryParameter
from litestar.response import Stream

from clickloop.report.spreadsheet import csv_line
from clickloop.web.api.context import ApiContext
from clickloop.web.api.logs.columns import Column, Names, csv_cells, csv_heads, names_for
from clickloop.web.api.paging import Page

CSV = "text/csv; charset=utf-8; header=present"
ROWS_PER_PAGE = 1_000
"""Rows of one page of an export."""

ChosenColumns = Annotated[
    str,
    QueryParameter(
        name="columns", max_length=2_000, description="Which columns, in which order, with commas between; empty: all."
    ),
]


def exported(
    context: ApiContext,
    noun: str,
    columns: Sequence[Column],
    list_page: Callable[[int, str], Page[Any]],
    rows: int = ROWS_PER_PAGE,
) -> Stream:
    """All rows that a list has now, the newest first; ``list_page`` returns the page of a number of rows at a cursor.

    Faults of the filters are raised before anything is sent.
    """
    read = partial(list_page, rows)
    first = read("")
    return Stream(
        _lines(context, columns, _pages(first, read)),
        media_type=CSV,
        headers={"Content-Disposition": f'attachment; filename="clickloop-{noun}.csv"'},
    )


def _pages(first: Page[Any], list_page: Callable[[str], Page[Any]]) -> Iterator[list[Any]]:
    found = first
    yield found.items
    while found.next_cursor is not None:
        found = list_page(found.next_cursor)
        yield found.items


def _lines(context: ApiContext, columns: Sequence[Column], pages: Iterator[list[Any]]) -> Iterator[bytes]:
    """The table in pieces of a page."""
    yield csv_line(csv_heads(columns))
    names: Names = {}
    for rows in pages:
        with context.ledger.read() as tx:
            names = names_for(tx, columns, rows, names)
        yield b"".join(csv_line(csv_cells(columns, row, names)) for row in rows)
