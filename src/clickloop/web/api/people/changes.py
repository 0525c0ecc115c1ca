"""/changes: the log of changes: who changed what, and how it was before and after."""

from typing import Annotated, Any

import msgspec
from litestar import Router, get
from litestar.params import QueryParameter
from msgspec import Meta

from clickloop.clock import Moment
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page, page_of, read_number_cursor
from clickloop.people.user import Right, Via
from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.logs.audit_log import Action, ChangesFilter, LoggedChange, changes_before, find_change
from clickloop.web.api.context import Context
from clickloop.web.api.paging import Cursor, Id, Limit
from clickloop.web.api.problem import not_found
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.wire import moment_text, shown

NOUN = "changes"

Snapshot = Annotated[
    dict[str, Any] | None, Meta(description="The record as the API showed it, secrets masked; null: there was none.")
]


class LogLineView(msgspec.Struct, kw_only=True):
    """A line of the log of changes."""

    id: Annotated[int, Meta(examples=[1])]
    at: Moment
    actor: Annotated[str, Meta(description="Name of the user at that time.", examples=["anna"])]
    user_id: Annotated[
        int | None, Meta(description="null: a command on the machine, or a token that belongs to no user.")
    ]
    via: Annotated[Via, Meta(description="How the user was signed in.")]
    action: Annotated[Action, Meta(description="What was done.")]
    noun: Annotated[str, Meta(description="Of what, as in the addresses of this API.", examples=["campaigns"])]
    record_id: Annotated[str, Meta(description="The record's number, id or key.", examples=["7"])]
    before: Snapshot
    after: Snapshot


OfNoun = Annotated[str | None, QueryParameter(max_length=32, description="Only of this noun, such as campaigns.")]
OfRecord = Annotated[str | None, QueryParameter(max_length=300, description="Only of this record; needs noun.")]
OfUser = Annotated[int | None, QueryParameter(ge=0, le=MAX_ID, description="Only by this user; 0: by none.")]
OfActor = Annotated[str | None, QueryParameter(max_length=200, description="Only by who had this name.")]
OfAction = Annotated[Action | None, QueryParameter(description="Only where this was done.")]


def list_changes(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    noun: OfNoun = None,
    record_id: OfRecord = None,
    user_id: OfUser = None,
    actor: OfActor = None,
    action: OfAction = None,
) -> Page[LogLineView]:
    """The log, the newest line first."""
    if record_id is not None and noun is None:
        raise invalid("record_id", FaultCode.REQUIRED, "Name the noun that the record is of, too.")
    wanted = ChangesFilter(noun=noun, record_id=record_id, user_id=user_id, actor=actor, action=action)
    before = read_number_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        found = changes_before(tx, wanted, before, limit + 1)
    return page_of(found, limit, NOUN, lambda change: change.id, _view)


def read_change(context: Context, number: Id) -> LogLineView:
    """One line of the log."""
    with context.ledger.read() as tx:
        change = find_change(tx, number)
    if change is None:
        raise not_found(f"line {number} in the log of changes")
    return _view(change)


def _view(change: LoggedChange) -> LogLineView:
    return LogLineView(
        id=change.id,
        at=moment_text(change.at),
        actor=shown(change.actor),
        user_id=change.user_id or None,
        via=change.via,
        action=change.action,
        noun=change.noun,
        record_id=shown(change.record_id),
        before=change.before,
        after=change.after,
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="Read the log of changes")(list_changes),
        get("/{number:int}", sync_to_thread=True, summary="Read a line of the log of changes")(read_change),
    ],
    opt={RIGHT: Right.ADMINISTER},
    tags=["Log of changes"],
)
