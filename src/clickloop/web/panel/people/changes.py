"""The audit log: who changed what and when, each change as a readable difference."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter

from clickloop.people.user import Right
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.people.users import users_after
from clickloop.web.api.context import Context
from clickloop.web.api.paging import Cursor
from clickloop.web.api.people import changes as api
from clickloop.web.api.people.changes import NounParameter, RecordParameter
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer
from clickloop.web.panel.setup.record_difference import FieldDifference, differences

ROWS_PER_PAGE = 50
_MAX_USERS = 1000  # in a filter; instances have tens

NOUNS = {
    "campaigns": "Campaigns",
    "offers": "Offers",
    "landings": "Landings",
    "flows": "Flows",
    "lists": "Lists",
    "views": "Views",
    "networks": "Networks",
    "traffic-sources": "Traffic sources",
    "postback-rules": "Postback rules",
    "statuses": "Statuses",
    "conversions": "Conversions by hand",
    "conversions/uploads": "Uploads",
    "exports": "Exports",
    "notices": "Incoming postbacks reprocessed",
    "notices/reruns": "Reprocessing jobs",
    "marks/reruns": "Reruns of marks",
    "postbacks": "Postbacks",
    "postbacks/resends": "Resend jobs",
    "receivers": "Receivers",
    "health": "Health",
    "rates": "Exchange rates",
    "settings": "Settings",
    "delivery": "Delivery",
    "users": "Users",
    "tokens": "API tokens",
}
"""Display names of record types; a type without one is shown as it is."""

_PAGES = {
    "campaigns": "/panel/campaigns/{}",
    "offers": "/panel/offers/{}",
    "landings": "/panel/landings/{}",
    "flows": "/panel/flows/{}",
    "lists": "/panel/lists/{}",
    "views": "/panel/views/{}",
    "networks": "/panel/networks/{}",
    "traffic-sources": "/panel/traffic-sources/{}",
    "postback-rules": "/panel/postback-rules/{}",
    "statuses": "/panel/statuses/{}",
    "conversions": "/panel/conversions/{}",
    "conversions/uploads": "/panel/uploads/{}",
    "exports": "/panel/exports/{}",
    "notices": "/panel/notices/{}",
    "marks/reruns": "/panel/marks/reruns/{}",
    "postbacks": "/panel/postbacks/{}",
    "receivers": "/panel/health/receivers/{}",
    "health": "/panel/health",
    "settings": "/panel/settings",
    "delivery": "/panel/health",
    "users": "/panel/users/{}",
    "tokens": "/panel/tokens",
}


UserParameter = Annotated[str, QueryParameter(name="user_id", max_length=20)]
ActionParameter = Annotated[str, QueryParameter(name="action", max_length=40)]


class ChangeRow(msgspec.Struct, frozen=True):
    """A line of the log, with its differences and a link to the record."""

    line: api.AuditEntryView
    name: str
    page: str
    differences: tuple[FieldDifference, ...]


def show_list(
    viewer: CurrentViewer,
    context: Context,
    cursor: Cursor = "",
    noun: NounParameter = None,
    record_id: RecordParameter = None,
    user_id: UserParameter = "",
    action: ActionParameter = "",
) -> PageResponse:
    """Return the log, newest first."""
    found = api.list_changes(
        context,
        ROWS_PER_PAGE,
        cursor,
        noun or None,
        record_id if noun and record_id else None,
        int(user_id) if user_id.isascii() and user_id.isdecimal() and len(user_id) < 10 else None,
        None,
        Action(action) if action in set(Action) else None,
    )
    with context.ledger.read() as tx:
        users = [(user.id, user.name) for user in users_after(tx, 0, _MAX_USERS)]
    return page(
        viewer,
        "changes.html",
        lines=[change_row(line, dict(users)) for line in found.items],
        next_cursor=found.next_cursor,
        cursor=cursor,
        noun=noun or "",
        record_id=record_id or "",
        user_id=user_id,
        action=action,
        nouns=list(NOUNS.items()),
        users=users,
        actions=[(one.value, one.value.replace("_", " ")) for one in Action],
    )


def change_row(line: api.AuditEntryView, users: Mapping[int, str]) -> ChangeRow:
    """Return a line with the record's display name and page. ``users``: names by user id."""
    name = next((str(view["name"]) for view in (line.after, line.before) if view and view.get("name")), "")
    path = _PAGES.get(line.noun, "").format(line.record_id)
    if line.noun == "users" and not name and line.record_id.isdecimal():
        name = users.get(int(line.record_id), "")
    return ChangeRow(line, name, path, differences(line.before, line.after, line.noun))


routes = [get("/changes", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(show_list)]
