"""Pages of lists: at most ``limit`` items and an opaque cursor that leads to the next ones."""

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from clickloop.log_filter import MAX_ID
from clickloop.logs.page import MAX_LIMIT

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Maximum number of items.")]
Cursor = Annotated[
    str, QueryParameter(max_length=200, description="next_cursor of the previous page. Leave out for the first page.")
]
Id = Annotated[int, PathParameter(ge=1, le=MAX_ID, description="The record's ID.")]
ClickIdPath = Annotated[str, PathParameter(max_length=200, description="Our click ID, in upper or lower case.")]
RecordIdPath = Annotated[str, PathParameter(max_length=200, description="The record's ID, 26 letters and digits.")]
KeyPath = Annotated[str, PathParameter(max_length=200, description="The record's key.")]
Words = Annotated[
    str, QueryParameter(name="q", max_length=200, description="Only records whose name contains this, ignoring case.")
]
Tag = Annotated[str, QueryParameter(max_length=50, description="Only records with this tag, ignoring case.")]
Archived = Annotated[bool, QueryParameter(description="true to list archived records instead of live ones.")]
