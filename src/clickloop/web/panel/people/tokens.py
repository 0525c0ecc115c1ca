"""API tokens. Each secret is shown once, when the token is created."""

from litestar import get, post

from clickloop.people.user import Right, Role
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.store.ledger.people.users import users_after
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Id
from clickloop.web.api.people import tokens as api
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer

PATH = "/panel/tokens"
ROWS_PER_PAGE = 100
_MAX_USERS = 1000  # whose names are shown; instances have tens


def show_list(viewer: CurrentViewer, context: Context, cursor: Cursor = "") -> PageResponse:
    """Return the tokens and the form for a new one."""
    return _page(viewer, context, cursor)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Create a token and show its secret, this once."""
    try:
        made = api.create_token(context, form.read(api.TokenCreation))
    except InvalidInputError as error:
        return _page(viewer, context, name=form.text("name"), role=form.text("role"), faults=error.faults)
    return _page(viewer, context, made=made)


def revoke(viewer: CurrentViewer, context: Context, token_id: Id) -> PageResponse:
    """Revoke a token, immediately and for good."""
    api.remove_token(context, token_id)
    return viewer.go(PATH, FlashMessage.REVOKED)


def _page(
    viewer: Viewer,
    context: ApiContext,
    cursor: str = "",
    *,
    made: api.NewTokenView | None = None,
    name: str = "",
    role: str = "",
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    with context.ledger.read() as tx:
        names = {user.id: user.name for user in users_after(tx, 0, _MAX_USERS)}
    return page(
        viewer,
        "tokens.html",
        faults,
        found=api.list_tokens(context, ROWS_PER_PAGE, cursor),
        cursor=cursor,
        made=made,
        name=name,
        role=role or Role.WORKER.value,
        roles=[(one.value, f"{one.value} – {one.sentence}") for one in Role if context.actor.role.reaches(one)],
        may_revoke=context.actor.role.reaches,
        names=names,
    )


_ADMINISTER = {NEEDS: Right.ADMINISTER}
routes = [
    get("/tokens", opt=_ADMINISTER, sync_to_thread=True)(show_list),
    post("/tokens", opt=_ADMINISTER, sync_to_thread=True)(create),
    post("/tokens/{token_id:int}/revoke", opt=_ADMINISTER, sync_to_thread=True)(revoke),
]
