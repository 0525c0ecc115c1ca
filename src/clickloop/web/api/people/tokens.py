"""/tokens: the secrets that give access to this API."""

import os
from typing import Annotated

import msgspec
from litestar import Router, delete, get, post
from litestar.exceptions import PermissionDeniedException
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.logs.page import Page, page_of, read_number_cursor
from clickloop.logs.view import view_of
from clickloop.people.user import Right, Role
from clickloop.setup.fault import FaultCode, InvalidInputError, invalid, text_faults
from clickloop.setup.reading import value_or
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.people.tokens import (
    SECRET_BYTES,
    Token,
    find_token,
    insert_token,
    revoke_token,
    secret_of,
    tokens_after,
)
from clickloop.web.api.context import Context
from clickloop.web.api.paging import Cursor, Id, Limit
from clickloop.web.api.problem import not_found
from clickloop.web.api.rights import RIGHT

NOUN = "tokens"

Name = Annotated[str, Meta(description="What the token is for.", examples=["reporting script"])]
RoleField = Annotated[
    Role,
    Meta(description="Role of the token, limited to its user's current role. Omit to use your own role."),
]


class TokenCreation(msgspec.Struct, kw_only=True):
    """A token to create."""

    name: Name
    role: RoleField | UnsetType = UNSET


class TokenView(msgspec.Struct, kw_only=True):
    """A token without its secret."""

    id: Annotated[int, Meta(examples=[1])]
    name: Name
    role: RoleField
    user_id: Annotated[
        int | None, Meta(description="User who created it; null if created by a command on the machine.")
    ]
    created_at: Moment
    last_used_at: Annotated[Moment | None, Meta(description="To the minute; null if never used.")]
    revoked_at: Annotated[Moment | None, Meta(description="null if it is valid.")]


class NewTokenView(TokenView, kw_only=True):
    """A new token with its secret, which is shown only once."""

    secret: Annotated[str, Meta(description="Send as Authorization: Bearer <secret>. It is not shown again.")]


def create_token(context: Context, data: JSONBody[TokenCreation]) -> NewTokenView:
    """Create a token. Only this response contains its secret."""
    faults = text_faults("name", data.name, 200, required=True)
    if faults:
        raise InvalidInputError(tuple(faults))
    role = value_or(data.role, context.actor.role)
    if not context.actor.role.reaches(role):
        raise invalid(
            "role", FaultCode.NOT_ALLOWED, f"You are {context.actor.role}. A token cannot have more rights than you."
        )
    secret = secret_of(os.urandom(SECRET_BYTES))
    with context.ledger.write() as tx:
        number = insert_token(tx, data.name, secret, context.clock(), role, context.actor.user_id or None)
        view = _view(_token(tx, number))
        record_change(tx, context, NOUN, number, after=view)
    return NewTokenView(secret=secret, **msgspec.structs.asdict(view))


def list_tokens(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[TokenView]:
    """List tokens in order of creation, including revoked ones."""
    after = read_number_cursor(NOUN, cursor)
    with context.ledger.read() as tx:
        found = tokens_after(tx, after, limit + 1)
    return page_of(found, limit, NOUN, lambda token: token.id, _view)


def read_token(context: Context, number: Id) -> TokenView:
    """Return a token without its secret."""
    with context.ledger.read() as tx:
        return _view(_token(tx, number))


def remove_token(context: Context, number: Id) -> TokenView:
    """Revoke a token permanently, with immediate effect."""
    with context.ledger.write() as tx:
        before = _token(tx, number)
        if not context.actor.role.reaches(before.role):
            raise PermissionDeniedException(f"Only an {before.role} can revoke a token with the role {before.role}.")
        if revoke_token(tx, number, context.clock()):
            record_change(tx, context, NOUN, number, _view(before), _view(_token(tx, number)), Action.REVOKED)
        return _view(_token(tx, number))


def _token(tx: Connection, number: int) -> Token:
    token = find_token(tx, number)
    if token is None:
        raise not_found(f"token {number}")
    return token


def _view(token: Token) -> TokenView:
    return view_of(TokenView, token)


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", sync_to_thread=True, summary="Create a token")(create_token),
        get("/", sync_to_thread=True, summary="List tokens")(list_tokens),
        get("/{number:int}", sync_to_thread=True, summary="Get a token")(read_token),
        delete("/{number:int}", status_code=200, sync_to_thread=True, summary="Revoke a token")(remove_token),
    ],
    opt={RIGHT: Right.ADMINISTER},
    tags=["Tokens"],
)
