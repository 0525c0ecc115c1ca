"""/changes, the audit log: who changed what, with each record before and after."""

from typing import Annotated, Any

import msgspec
from litestar import Router, get
from litestar.params import QueryParameter
from msgspec import Meta

from clickloop.clock import Moment
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page, page_of, read_number_cursor
from clickloop.logs.view import view_of
from clickloop.people.user import Right, Via
from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.logs.audit_log import Action, ChangesFilter, LoggedChange, changes_before, find_change
from clickloop.web.api.context import Context
from clickloop.web.api.paging import Cursor, Id, Limit
from clickloop.web.api.problem import not_found
from clickloop.web.api.rights import RIGHT

NOUN = "changes"

Snapshot = Annotated[
    dict[str, Any] | None,
    Meta(description="The record as the API returned it, secrets masked; null if there was none."),
]


class AuditEntryView(msgspec.Struct, kw_only=True):
    """An audit log entry."""

    id: Annotated[int, Meta(examples=[1])]
    at: Moment
    actor: Annotated[str, Meta(description="The user's name at the time.", examples=["anna"])]
    user_id: Annotated[int | None, Meta(description="null for a command on the machine, or a token without a user.")]
    via: Annotated[Via, Meta(description="How the user was signed in.")]
    action: Annotated[Action, Meta(description="The kind of change.")]
    noun: Annotated[str, Meta(description="Kind of record, as in the paths of this API.", examples=["campaigns"])]
    record_id: Annotated[str, Meta(description="The record's number, ID or key.", examples=["7"])]
    before: Snapshot
    after: Snapshot


NounParameter = Annotated[
    str | None, QueryParameter(max_length=32, description="Return only entries of this noun, such as campaigns.")
]
RecordParameter = Annotated[
    str | None, QueryParameter(max_length=300, description="Return only entries of this record. Requires noun.")
]
UserParameter = Annotated[
    int | None,
    QueryParameter(ge=0, le=MAX_ID, description="Return only entries by this user; 0 for entries without a user."),
]
ActorParameter = Annotated[
    str | None, QueryParameter(max_length=200, description="Return only entries by users with this name at the time.")
]
ActionParameter = Annotated[Action | None, QueryParameter(description="Return only entries with this action.")]


def list_changes(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    noun: NounParameter = None,
    record_id: RecordParameter = None,
    user_id: UserParameter = None,
    actor: ActorParameter = None,
    action: ActionParameter = None,
) -> Page[AuditEntryView]:
    """List audit log entries, newest first."""
    if record_id is not None and noun is None:
        raise invalid("record_id", FaultCode.REQUIRED, "Set noun as well.")
    filters = ChangesFilter(noun=noun, record_id=record_id, user_id=user_id, actor=actor, action=action)
    before = read_number_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        changes = changes_before(tx, filters, before, limit + 1)
    return page_of(changes, limit, NOUN, lambda change: change.id, _view)


def read_change(context: Context, number: Id) -> AuditEntryView:
    """Return an audit log entry."""
    with context.ledger.read() as tx:
        change = find_change(tx, number)
    if change is None:
        raise not_found(f"entry {number} in the audit log")
    return _view(change)


def _view(change: LoggedChange) -> AuditEntryView:
    # Passed on as they are: they were masked and converted to JSON when they were written.
    return view_of(AuditEntryView, change, user_id=change.user_id or None, before=change.before, after=change.after)


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List audit log entries")(list_changes),
        get("/{number:int}", sync_to_thread=True, summary="Get an audit log entry")(read_change),
    ],
    opt={RIGHT: Right.ADMINISTER},
    tags=["Audit log"],
)
