"""Idempotency keys over HTTP."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.params import HeaderParameter
from sqlalchemy import Connection

from clickloop.tracking.jobs import idempotency
from clickloop.tracking.jobs.idempotency import KeyReusedError, NewAnswer
from clickloop.web.api.context import ApiContext
from clickloop.web.api.problem import AnyRequest

MAX_KEY_LENGTH = 200  # it is part of an index; a UUID has 36
REPEATED = "Idempotency-Repeated"
"""The header of a stored answer."""

Key = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=MAX_KEY_LENGTH,
        required=False,
        description="Any text. The same request with the same key within 48 hours does nothing and gets the same answer.",
    ),
]
T = TypeVar("T")


def once(
    context: ApiContext, request: AnyRequest, key: str, body: object, do: Callable[[Connection], NewAnswer]
) -> Response[Any]:
    """Return the answer of ``do``, or the one stored with the key. Raise HTTPException 422 if another request used the key."""
    try:
        answered = idempotency.once(context, f"{request.method} {request.scope['path']}", key, body, do)
    except KeyReusedError:
        raise HTTPException(
            status_code=422,
            detail="This Idempotency-Key was used for another request. Use a new key for a new request.",
        ) from None
    headers = {REPEATED: "true"} if answered.repeated else {}
    return Response(answered.body, status_code=answered.status, media_type="application/json", headers=headers)


def view_in(answer: Response[Any], kind: type[T]) -> T:
    """Return the view in an answer of ``once``."""
    return msgspec.json.decode(answer.content, type=kind)
