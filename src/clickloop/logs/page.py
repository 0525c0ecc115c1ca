"""Pages of lists: at most ``limit`` items and an opaque cursor that leads to the next ones."""

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
    """A part of a list."""

    items: list[T]
    next_cursor: Annotated[
        str | None,
        Meta(description="Give it as cursor to get the next page; null: this was the last.", examples=[None]),
    ]


def page_of(found: Sequence[U], limit: int, noun: str, key: Callable[[U], object], view: Callable[[U], T]) -> Page[T]:
    """The page for what was found when ``limit + 1`` were asked for."""
    shown = found[:limit]
    more = len(found) > limit
    return Page([view(item) for item in shown], cursor_of(noun, str(key(shown[-1]))) if more else None)


def cursor_of(noun: str, key: str) -> str:
    """A cursor that continues the list of ``noun`` after ``key``."""
    return base64.urlsafe_b64encode(f"{noun}:{key}".encode()).decode().rstrip("=")


def read_cursor(noun: str, cursor: str) -> str:
    """The key behind a cursor; empty for none. Raises InvalidInputError for one that this list did not give."""
    if not cursor:
        return ""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found, colon, key = text.partition(":")
    if not colon or found != noun or not key:
        raise invalid("cursor", FaultCode.NOT_A_CURSOR, "It is not a next_cursor of this list: begin again without it.")
    return key


def read_number_cursor(noun: str, cursor: str) -> int:
    """The number behind a cursor of a list that is sorted by number; 0 for none."""
    key = read_cursor(noun, cursor)
    if not key:
        return 0
    if not key.isdecimal() or len(key) > 20 or int(key) > MAX_ID:
        raise invalid("cursor", FaultCode.NOT_A_CURSOR, "It is not a next_cursor of this list: begin again without it.")
    return int(key)
