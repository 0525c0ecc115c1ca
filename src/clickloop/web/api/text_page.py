"""Answers that are also available as plain text, for terminals."""

import enum
from typing import Annotated, Any

from litestar import Response
from litestar.params import QueryParameter

from clickloop.web.api.problem import AnyRequest


class AnswerFormat(enum.StrEnum):
    """The format of an answer."""

    JSON = "json"
    TEXT = "text"


RequestedFormat = Annotated[
    AnswerFormat, QueryParameter(name="format", description="text returns plain text, and so does Accept: text/plain.")
]


def wants_text(request: AnyRequest, answer_format: AnswerFormat) -> bool:
    """Return whether plain text is requested."""
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip().lower()
    return answer_format is AnswerFormat.TEXT or accepted == "text/plain"


def text_response(text: str, status: int = 200) -> Response[Any]:
    """Return a plain text response."""
    return Response(text, status_code=status, media_type="text/plain")
