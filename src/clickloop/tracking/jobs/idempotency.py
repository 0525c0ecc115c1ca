"""Idempotency keys: a request that is repeated with its key does nothing and gets the same answer."""

import hashlib
from collections.abc import Callable

import msgspec
from sqlalchemy import Connection

from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.jobs.bulk_jobs import StoredAnswer, find_answer, insert_answer
from clickloop.store.ledger.logs.audit_entry import ActorContext

_encode = msgspec.json.Encoder().encode


class KeyReusedError(Exception):
    """The key was used for another request."""


class NewAnswer(msgspec.Struct, frozen=True):
    """The HTTP status and the view to answer with."""

    status: int
    answer: msgspec.Struct


class JsonAnswer(msgspec.Struct, frozen=True):
    """The answer to a request, as JSON. ``repeated``: it is a stored answer, and nothing was done."""

    status: int
    body: bytes
    repeated: bool = False


def once(
    context: ActorContext, endpoint: str, key: str, request: object, do: Callable[[Connection], NewAnswer]
) -> JsonAnswer:
    """Call ``do`` and store its answer in the same transaction, or return the answer stored with the key.

    Without a key, ``do`` is always called and nothing is stored. Nothing is stored either if it raises. Raise KeyReusedError.
    """
    if key and not (key.isascii() and key.isprintable()):
        raise invalid("Idempotency-Key", FaultCode.CHARACTER, "Use printable ASCII characters only.")
    stored_key = f"{endpoint} {key}"
    digest = hashlib.sha256(_encode(request)).hexdigest()
    with context.ledger.write() as tx:
        stored = find_answer(tx, stored_key) if key else None
        if stored is None:
            done = do(tx)
            body = _encode(done.answer)
            if key:
                answer = StoredAnswer(
                    key=stored_key, question=digest, status=done.status, answer=body, created_at=context.clock()
                )
                insert_answer(tx, answer)
            return JsonAnswer(done.status, body)
    if stored.question != digest:
        raise KeyReusedError
    return JsonAnswer(stored.status, stored.answer, repeated=True)
