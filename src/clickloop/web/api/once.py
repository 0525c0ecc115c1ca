"""Idempotency keys: a request that is sent again with its key does nothing a second time and gets the same answer."""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.params import HeaderParameter
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.setup.fault import FaultCode
from clickloop.store.ledger.jobs.bulk_jobs import KeptAnswer, find_answer, insert_answer
from clickloop.web.api.context import ApiContext
from clickloop.web.api.problem import AnyRequest, invalid

MAX_KEY_LENGTH = 200  # it is part of an index; a UUID has 36
REPEATED = "Idempotency-Repeated"
"""The header that tells that an answer was given before."""

Key = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=MAX_KEY_LENGTH,
        required=False,
        description="A text of your own. The same request with the same key again, within 48 hours, does nothing and gets the same answer.",
    ),
]
T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class Done(msgspec.Struct, frozen=True):
    """What was done, to be answered."""

    status: int
    answer: Annotated[msgspec.Struct, Meta(description="A view.")]


def once(
    context: ApiContext, request: AnyRequest, key: str, asked: object, do: Callable[[Connection], Done]
) -> Response[Any]:
    """Answers what ``do`` did in one transaction with keeping the answer, or what it did when the key came before.

    ``asked`` is the body: the same key with another one is refused. What ``do`` refuses by raising is not kept.
    """
    if key and not (key.isascii() and key.isprintable()):
        raise invalid("Idempotency-Key", FaultCode.CHARACTER, "Printable ASCII is expected.")
    place = f"{request.method} {request.scope['path']} {key}"
    question = hashlib.sha256(_encode(asked)).hexdigest()
    with context.ledger.write() as tx:
        kept = find_answer(tx, place) if key else None
        if kept is None:
            done = do(tx)
            octets = _encode(done.answer)
            if key:
                kept_at = context.clock()
                insert_answer(
                    tx, KeptAnswer(key=place, question=question, status=done.status, answer=octets, created_at=kept_at)
                )
            return _response(done.status, octets)
    if kept.question != question:
        raise HTTPException(
            status_code=422,
            detail="This Idempotency-Key came with another request before: use a new key for a new request.",
        )
    return _response(kept.status, kept.answer, {REPEATED: "true"})


def view_in(answer: Response[Any], kind: type[T]) -> T:
    """The view that an answer of ``once`` holds, for those who want it as it was before it was written."""
    return msgspec.json.decode(answer.content, type=kind)


def _response(status: int, octets: bytes, headers: dict[str, str] | None = None) -> Response[Any]:
    return Response(octets, status_code=status, media_type="application/json", headers=headers or {})
