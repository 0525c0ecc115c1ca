"""Who may enter the API: bearer tokens, looked up by hash; and no parameter that a door does not know."""

import asyncio
import hashlib
import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from clickloop.campaign.fault import Fault, FaultCode, InvalidInputError
from clickloop.store.ledger.tokens import USE_RESOLUTION_MS, find_valid_token, note_token_use
from clickloop.web.api.context import ApiContext

LONGEST_SECRET = 200


def token_guard(context: ApiContext) -> Guard:
    """A guard that lets a request pass when its Authorization header carries a valid token, else answers 401.

    It says what is missing but never what was wrong with a token.
    """
    local = _digest(context.local_token) if context.local_token else None

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise _unauthorized(
                "A token is needed: Authorization: Bearer <secret>. Make one: clickloop token create NAME."
            )
        if len(secret) <= LONGEST_SECRET:
            if local is not None and hmac.compare_digest(local, _digest(secret)):
                return
            if await asyncio.to_thread(_is_valid, context, secret):
                return
        raise _unauthorized("The token is unknown or was revoked.", ', error="invalid_token"')

    return guard


def refuse_unknown_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raises InvalidInputError for parameters of the query that the door does not know: a filter mistyped is not ignored."""
    taken = {"context", "data", "request", *connection.path_params}
    fields = {name: field for name, field in handler.parsed_fn_signature.parameters.items() if name not in taken}
    known = {getattr(field.kwarg_definition, "name", None) or name for name, field in fields.items()}
    listing = f"known are {', '.join(sorted(known))}" if known else "it knows none"
    faults = tuple(
        Fault(name[:100], FaultCode.UNKNOWN_FIELD, f"There is no such parameter here; {listing}.")
        for name in dict.fromkeys(connection.query_params)
        if name not in known
    )
    if faults:
        raise InvalidInputError(faults)


def _is_valid(context: ApiContext, secret: str) -> bool:
    now_ms = context.clock()
    with context.ledger.read() as tx:
        token = find_valid_token(tx, secret)
    if token is None:
        return False
    if token.last_used_at is None or token.last_used_at < now_ms - USE_RESOLUTION_MS:
        with context.ledger.write() as tx:
            note_token_use(tx, token.id, now_ms)
    return True


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _unauthorized(detail: str, error: str = "") -> HTTPException:
    return HTTPException(
        status_code=401, detail=detail, headers={"WWW-Authenticate": f'Bearer realm="clickloop"{error}'}
    )
