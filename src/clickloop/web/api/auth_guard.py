"""Access to the API: bearer tokens, which are looked up by hash, rights, and unknown query parameters."""

import asyncio
import dataclasses
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from clickloop.people.user import THIS_MACHINE, Right
from clickloop.saving.access import MAX_CREDENTIAL_LENGTH
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.people.tokens import USE_RESOLUTION_MS, find_valid_token, note_token_use
from clickloop.store.ledger.setup.settings import read_instance
from clickloop.web.api.context import ApiContext, app_context
from clickloop.web.api.problem import AnyRequest
from clickloop.web.api.query import parameters_of
from clickloop.web.api.rights import right_of
from clickloop.web.api.versions import CHANGING_METHODS, read_if_match

_CONTEXT = "clickloop_context"
_NEEDS = {
    Right.WORK: "Your role, {role}, may read but not change anything.",
    Right.SECRETS: "Your role, {role}, may not see secrets.",
    Right.ADMINISTER: "Your role, {role}, may not see or change users, tokens, settings and the log of changes.",
}


def token_guard() -> Guard:
    """Return a guard that passes requests with a valid token whose role has the endpoint's right.

    It raises HTTPException 401, which never says what is wrong with a token, or 403.
    """
    # Separate threads, so that checking a token never waits for reports and lists.
    threads = ThreadPoolExecutor(2, "token-check")

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        context = app_context(connection)
        scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise _unauthorized(
                "A token is required: Authorization: Bearer <secret>. Create one with: clickloop token create NAME."
            )
        local = context.local_token
        is_local = bool(local) and hmac.compare_digest(_digest(local), _digest(secret[: MAX_CREDENTIAL_LENGTH + 1]))
        request_context = None
        if len(secret) <= MAX_CREDENTIAL_LENGTH:
            loop = asyncio.get_running_loop()
            request_context = await loop.run_in_executor(threads, _context_for, context, secret, is_local)
        if request_context is None:
            raise _unauthorized("The token is unknown or was revoked.", ', error="invalid_token"')
        needed = right_of(handler, str(connection.scope.get("method", "")))
        if needed is not None and not request_context.actor.role.may(needed):
            raise PermissionDeniedException(_NEEDS[needed].format(role=request_context.actor.role))
        connection.scope[_CONTEXT] = request_context  # type: ignore[literal-required]  # our own key of the scope

    return guard


def context_of(request: AnyRequest) -> ApiContext:
    """Return the context of a request that passed the guard: with its actor, the expected version, and the current settings.

    Raise HTTPException 400 for an If-Match header that cannot be read.
    """
    context: ApiContext = request.scope[_CONTEXT]  # type: ignore[literal-required]  # our own key of the scope
    if_match = request.headers.getall("if-match", [])
    if not if_match or request.method not in CHANGING_METHODS:
        return context
    return dataclasses.replace(context, expected=read_if_match(if_match))


def refuse_unknown_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raise InvalidInputError for query parameters that the endpoint does not have, so that a mistyped filter is not ignored."""
    taken = {"context", "data", "request", *connection.path_params}
    fields = {name: field for name, field in parameters_of(handler).items() if name not in taken}
    known = {getattr(field.kwarg_definition, "name", None) or name for name, field in fields.items()}
    listing = f"Known parameters are {', '.join(sorted(known))}." if known else "This endpoint has none."
    faults = tuple(
        FieldFault(name[:100], FaultCode.UNKNOWN_FIELD, f"There is no such parameter. {listing}")
        for name in dict.fromkeys(connection.query_params)
        if name not in known
    )
    if faults:
        raise InvalidInputError(faults)


def _context_for(context: ApiContext, secret: str, is_local: bool) -> ApiContext | None:
    now_ms = context.clock()
    with context.ledger.read() as tx:
        known = None if is_local else find_valid_token(tx, secret)
        saved = read_instance(tx)
    if is_local:
        return context.with_actor(THIS_MACHINE, saved)
    if known is None:
        return None
    if known.token.last_used_at is None or known.token.last_used_at < now_ms - USE_RESOLUTION_MS:
        with context.ledger.write() as tx:
            note_token_use(tx, known.token.id, now_ms)
    return context.with_actor(known.actor, saved)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _unauthorized(detail: str, error: str = "") -> HTTPException:
    return HTTPException(
        status_code=401, detail=detail, headers={"WWW-Authenticate": f'Bearer realm="clickloop"{error}'}
    )
