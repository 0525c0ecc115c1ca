"""Pages of lists, linked by opaque cursors."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from clickloop.log_filter import MAX_ID
from clickloop.setup.fault import FaultCode, invalid

MAX_LIMIT = 500  # a page is in memory, and holds a thread while it is made

T = TypeVar("T")
U = TypeVar("U")


class Page(msgspec.Struct, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: Annotated[
        str | None,
        Meta(description="Pass it as cursor to get the next page. null for the last page.", examples=[None]),
    ]


def page_of(found: Sequence[U], limit: int, noun: str, key: Callable[[U], object], view: Callable[[U], T]) -> Page[T]:
    """Return a page of at most ``limit`` of the records. One more than that means that there is a next page."""
    shown = found[:limit]
    return Page([view(item) for item in shown], cursor_of(noun, str(key(shown[-1]))) if len(found) > limit else None)


def cursor_of(noun: str, key: str) -> str:
    """Return a cursor that continues the list of ``noun`` after ``key``."""
    return base64.urlsafe_b64encode(f"{noun}:{key}".encode()).decode().rstrip("=")


def read_cursor(noun: str, cursor: str) -> str:
    """Return the key in a cursor, empty for an empty cursor. Raise InvalidInputError for one that is not of this list."""
    if not cursor:
        return ""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found, colon, key = text.partition(":")
    if not colon or found != noun or not key:
        raise invalid(
            "cursor", FaultCode.NOT_A_CURSOR, "This is not a next_cursor of this list. Start again without a cursor."
        )
    return key


def read_number_cursor(noun: str, cursor: str) -> int:
    """Return the id in a cursor of a list that is sorted by id, 0 for an empty cursor. Raise InvalidInputError."""
    key = read_cursor(noun, cursor)
    if not key:
        return 0
    if not key.isdecimal() or len(key) > 20 or int(key) > MAX_ID:
        raise invalid(
            "cursor", FaultCode.NOT_A_CURSOR, "This is not a next_cursor of this list. Start again without a cursor."
        )
    return int(key)
