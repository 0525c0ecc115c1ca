"""Logs as CSV for spreadsheets, streamed page by page."""

from typing import Annotated

from litestar.params import QueryParameter
from litestar.response import Stream

from clickloop.log_filter import LogFilter
from clickloop.logs.column import chosen_columns
from clickloop.logs.context import LogContext
from clickloop.logs.log import LOGS, csv_of_pages
from clickloop.store.ledger.jobs.exports import ExportNoun

CSV = "text/csv; charset=utf-8; header=present"
ROWS_PER_PAGE = 1_000

ChosenColumns = Annotated[
    str,
    QueryParameter(
        name="columns", max_length=2_000, description="Columns in their order, comma-separated. Leave empty for all."
    ),
]


def exported(
    context: LogContext, noun: ExportNoun, wanted: LogFilter, columns: str, rows: int = ROWS_PER_PAGE
) -> Stream:
    """Return the rows of a log as CSV, newest first. Raise InvalidInputError before the response starts."""
    log = LOGS[noun]
    chosen = chosen_columns(log.columns, columns)
    pieces = csv_of_pages(context, chosen, lambda cursor: log.list_page(context, wanted, rows, cursor))
    return Stream(
        pieces, media_type=CSV, headers={"Content-Disposition": f'attachment; filename="clickloop-{noun}.csv"'}
    )
