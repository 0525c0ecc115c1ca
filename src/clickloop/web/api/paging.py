"""Pages of lists: at most ``limit`` items and an opaque cursor that leads to the next ones."""

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from clickloop.log_filter import MAX_ID
from clickloop.logs.page import MAX_LIMIT

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items at most.")]
Cursor = Annotated[
    str, QueryParameter(max_length=200, description="The next_cursor of the page before; without it the list begins.")
]
Id = Annotated[int, PathParameter(ge=1, le=MAX_ID, description="Its number.")]
ClickIdPath = Annotated[str, PathParameter(max_length=200, description="Our click id, in any case.")]
RecordIdPath = Annotated[str, PathParameter(max_length=200, description="Its id, 26 letters and digits.")]
KeyPath = Annotated[str, PathParameter(max_length=200, description="Its key.")]
Words = Annotated[
    str, QueryParameter(name="q", max_length=200, description="Only those whose name holds this, in any case.")
]
Tag = Annotated[str, QueryParameter(max_length=50, description="Only those with this tag, in any case.")]
Archived = Annotated[bool, QueryParameter(description="true: the archived ones instead of the live ones.")]
