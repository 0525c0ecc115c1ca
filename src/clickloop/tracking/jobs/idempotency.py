"""Idempotency keys: a request that is sent again with its key does nothing a second time and gets the same answer."""

import hashlib
from collections.abc import Callable

import msgspec
from sqlalchemy import Connection

from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.jobs.bulk_jobs import KeptAnswer, find_answer, insert_answer
from clickloop.store.ledger.logs.audit_entry import ActorContext

_encode = msgspec.json.Encoder().encode


class KeyReusedError(Exception):
    """The key came with another request before."""


class Done(msgspec.Struct, frozen=True):
    """What was done, as an HTTP status and the view to answer with."""

    status: int
    answer: msgspec.Struct


class Answered(msgspec.Struct, frozen=True):
    """The answer to a request, as JSON. ``repeated``: it was given before, and nothing was done now."""

    status: int
    body: bytes
    repeated: bool = False


def once(context: ActorContext, endpoint: str, key: str, request: object, do: Callable[[Connection], Done]) -> Answered:
    """Do something and store its answer in one transaction; for a key that came before, return the answer stored with it.

    Without a key it is always done. A request that ``do`` refuses by raising is not stored. Raise KeyReusedError.
    """
    if key and not (key.isascii() and key.isprintable()):
        raise invalid("Idempotency-Key", FaultCode.CHARACTER, "Printable ASCII is expected.")
    place = f"{endpoint} {key}"
    question = hashlib.sha256(_encode(request)).hexdigest()
    with context.ledger.write() as tx:
        stored = find_answer(tx, place) if key else None
        if stored is None:
            done = do(tx)
            body = _encode(done.answer)
            if key:
                answer = KeptAnswer(
                    key=place, question=question, status=done.status, answer=body, created_at=context.clock()
                )
                insert_answer(tx, answer)
            return Answered(done.status, body)
    if stored.question != question:
        raise KeyReusedError
    return Answered(stored.status, stored.answer, repeated=True)
