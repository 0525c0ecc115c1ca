"""Answers that can also be had as a page of text, for terminals."""

import enum
from typing import Annotated, Any

from litestar import Response
from litestar.params import QueryParameter

from clickloop.web.api.problem import AnyRequest


class Format(enum.StrEnum):
    """How an answer is told."""

    JSON = "json"
    TEXT = "text"


AskedFormat = Annotated[
    Format, QueryParameter(name="format", description="text: a page to read; so does Accept: text/plain.")
]


def wants_text(request: AnyRequest, asked: Format) -> bool:
    """Whether the answer is to be a page of text."""
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip().lower()
    return asked is Format.TEXT or accepted == "text/plain"


def text_response(text: str, status: int = 200) -> Response[Any]:
    """A page of text."""
    return Response(text, status_code=status, media_type="text/plain")
