"""Find the order of day and month in the dates of an uploaded table, as proven by its rows."""

from collections.abc import Iterable, Iterator

from clickloop.conversion.moment import DateOrder, order_proven_by
from clickloop.conversion.upload.cells import without_text_quotes
from clickloop.conversion.upload.lines import MOMENT, UploadLayout, separator_of
from clickloop.conversion.upload.table import Record, records
from clickloop.conversion.upload.text import physical_lines
from clickloop.text import escape_bytes

MAX_EXAMINED_BYTES = 16 * 1024 * 1024
"""Bytes examined after the header: dates of a month in order reach the 13th day long before that."""


def has_moments(layout: UploadLayout) -> bool:
    """Return whether a table has a column for the time of a conversion."""
    return any(column.name == MOMENT for column in layout.column_uses())


def proven_order(layout: UploadLayout, pieces: Iterable[bytes], received_at: int) -> DateOrder | None:
    """Return the order of a table's dates; None: unproven. ``pieces`` begin after the header."""
    return order_proven_by(_moments(layout, _beginning(pieces)), received_at)


def _moments(layout: UploadLayout, pieces: Iterable[bytes]) -> Iterator[str]:
    places = [at for at, column in enumerate(layout.column_uses()) if column.name == MOMENT]
    for record in records(physical_lines(pieces), separator_of(layout)):
        if isinstance(record, Record):
            yield from (
                escape_bytes(without_text_quotes(record.cells[at].strip())) for at in places if at < len(record.cells)
            )


def _beginning(pieces: Iterable[bytes]) -> Iterator[bytes]:
    examined = 0
    for piece in pieces:
        yield piece
        examined += len(piece)
        if examined >= MAX_EXAMINED_BYTES:
            return
