"""Users: who may sign in, as what, and the one-time links by which they set their passwords."""

from typing import Any

import msgspec
from litestar import get, post

from clickloop.people.user import Right, Role
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.setup.instance import time_zones
from clickloop.web.api.all_faults import save_read
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Id
from clickloop.web.api.people import users as api
from clickloop.web.api.problem import AnyRequest
from clickloop.web.browser import browser_of
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.edit_conflict import RecordEdit, save_edit, seen_version
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer

PATH = "/panel/users"
ROWS_A_PAGE = 100

_FIELDS = ("name", "role", "time_zone")


def show_list(viewer: CurrentViewer, context: Context, cursor: Cursor = "") -> PageResponse:
    """Every user."""
    found = api.list_users(context, ROWS_A_PAGE, cursor)
    return page(viewer, "users.html", found=found, cursor=cursor)


def show_new(viewer: CurrentViewer, context: Context) -> PageResponse:
    """The form for a new user."""
    return _editor(viewer, context, {"name": "", "role": Role.WORKER.value, "time_zone": ""}, None)


def show(viewer: CurrentViewer, context: Context, number: Id) -> PageResponse:
    """A user."""
    view = api.read_user(context, number)
    return _editor(viewer, context, msgspec.to_builtins(view), view)


def create(viewer: CurrentViewer, context: Context, request: AnyRequest, form: FormParameter) -> PageResponse:
    """Creates the user and shows the link for him, this once."""
    try:
        view = save_read(context, form.read_partly(api.UserCreation), api.create_user)
    except InvalidInputError as error:
        return _editor(viewer, context, form.tree, None, error.faults)
    return _link(viewer, context, request, view, view.link)


def change(viewer: CurrentViewer, context: Context, number: Id, form: FormParameter) -> PageResponse:
    """Saves the user."""
    view = api.read_user(context, number)
    try:
        edited = RecordEdit(api.NOUN, number, view, _FIELDS, lambda: api.read_user(context, number))
        save_edit(context, form, edited, api.UserUpdate, api.change_user)
    except InvalidInputError as error:
        return _editor(viewer, context, form.tree, view, error.faults)
    return viewer.go(f"{PATH}/{number}", Said.SAVED)


def disable(viewer: CurrentViewer, context: Context, number: Id) -> PageResponse:
    """Puts the user out at once."""
    try:
        api.remove_user(context, number)
    except InvalidInputError as error:
        view = api.read_user(context, number)
        return _editor(viewer, context, msgspec.to_builtins(view), view, error.faults)
    return viewer.go(f"{PATH}/{number}", Said.DISABLED)


def enable(viewer: CurrentViewer, context: Context, number: Id) -> PageResponse:
    """Lets a disabled user in again."""
    api.change_user(context, number, api.UserUpdate(disabled=False))
    return viewer.go(f"{PATH}/{number}", Said.ENABLED)


def make_link(viewer: CurrentViewer, context: Context, request: AnyRequest, number: Id) -> PageResponse:
    """Shows a new link by which he sets his password, this once."""
    made = api.make_user_link(context, number)
    return _link(viewer, context, request, api.read_user(context, number), made.link)


def sign_out(viewer: CurrentViewer, context: Context, number: Id) -> PageResponse:
    """Ends all his sessions."""
    api.sign_user_out(context, number)
    return viewer.go(f"{PATH}/{number}", Said.USER_SIGNED_OUT)


def _link(viewer: Viewer, context: ApiContext, request: AnyRequest, view: api.UserView, path: str) -> PageResponse:
    browser = browser_of(request, context.proxies)
    link = f"{'https' if browser.secure else 'http'}://{browser.host}{path}"
    return page(viewer, "user_link.html", user=view, link=link)


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.UserView | None,
    faults: tuple[Fault, ...] = (),
) -> PageResponse:
    return page(
        viewer,
        "user.html",
        faults,
        v={"name": "", "role": "", "time_zone": "", **tree},
        view=view,
        seen=seen_version(context, tree, view, _FIELDS),
        roles=[(role.value, f"{role.value} – {role.sentence}") for role in Role if context.actor.role.manages(role)],
        may_manage=view is None or context.actor.role.manages(view.role),
        zones=[(zone, zone.replace("_", " ")) for zone in time_zones()],
        zone_of_instance=context.instance.time_zone,
    )


_ADMINISTER = {NEEDS: Right.ADMINISTER}
routes = [
    get("/users", opt=_ADMINISTER, sync_to_thread=True)(show_list),
    get("/users/new", opt=_ADMINISTER, sync_to_thread=True)(show_new),
    post("/users/new", opt=_ADMINISTER, sync_to_thread=True)(create),
    get("/users/{number:int}", opt=_ADMINISTER, sync_to_thread=True)(show),
    post("/users/{number:int}", opt=_ADMINISTER, sync_to_thread=True)(change),
    post("/users/{number:int}/disable", opt=_ADMINISTER, sync_to_thread=True)(disable),
    post("/users/{number:int}/enable", opt=_ADMINISTER, sync_to_thread=True)(enable),
    post("/users/{number:int}/link", opt=_ADMINISTER, sync_to_thread=True)(make_link),
    post("/users/{number:int}/sign-out", opt=_ADMINISTER, sync_to_thread=True)(sign_out),
]
