"""Users, their roles, and the one-time links with which they set their passwords."""

from typing import Any

import msgspec
from litestar import get, post

from clickloop.people.user import Right, Role
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Id
from clickloop.web.api.people import users as api
from clickloop.web.api.problem import AnyRequest
from clickloop.web.browser import browser_of
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.edit_conflict import RecordEdit, save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.setup_choices import zone_choices

PATH = "/panel/users"
ROWS_PER_PAGE = 100

_FIELDS = ("name", "role", "time_zone")


def show_list(viewer: CurrentViewer, context: Context, cursor: Cursor = "") -> PageResponse:
    found = api.list_users(context, ROWS_PER_PAGE, cursor)
    return page(viewer, "users.html", found=found, cursor=cursor)


def show_new(viewer: CurrentViewer, context: Context) -> PageResponse:
    return _editor(viewer, context, {"name": "", "role": Role.WORKER.value, "time_zone": ""}, None)


def show(viewer: CurrentViewer, context: Context, user_id: Id) -> PageResponse:
    view = api.read_user(context, user_id)
    return _editor(viewer, context, msgspec.to_builtins(view), view)


def create(viewer: CurrentViewer, context: Context, request: AnyRequest, form: FormParameter) -> PageResponse:
    """Create a user and show their link, this once."""
    try:
        view = save_or_report_faults(context, form.read_partly(api.UserCreation), api.create_user)
    except InvalidInputError as error:
        return _editor(viewer, context, form.tree, None, error.faults)
    return _link(viewer, context, request, view, view.link)


def change(viewer: CurrentViewer, context: Context, user_id: Id, form: FormParameter) -> PageResponse:
    view = api.read_user(context, user_id)
    try:
        edit = RecordEdit(api.NOUN, user_id, view, _FIELDS, lambda: api.read_user(context, user_id))
        save_edit(context, form, edit, api.UserUpdate, api.change_user)
    except InvalidInputError as error:
        return _editor(viewer, context, form.tree, view, error.faults)
    return viewer.go(f"{PATH}/{user_id}", FlashMessage.SAVED)


def disable(viewer: CurrentViewer, context: Context, user_id: Id) -> PageResponse:
    """Disable a user, which ends their sessions and tokens."""
    try:
        api.remove_user(context, user_id)
    except InvalidInputError as error:
        view = api.read_user(context, user_id)
        return _editor(viewer, context, msgspec.to_builtins(view), view, error.faults)
    return viewer.go(f"{PATH}/{user_id}", FlashMessage.DISABLED)


def enable(viewer: CurrentViewer, context: Context, user_id: Id) -> PageResponse:
    api.change_user(context, user_id, api.UserUpdate(disabled=False))
    return viewer.go(f"{PATH}/{user_id}", FlashMessage.ENABLED)


def make_link(viewer: CurrentViewer, context: Context, request: AnyRequest, user_id: Id) -> PageResponse:
    """Show a new link with which the user sets their password, this once."""
    made = api.make_user_link(context, user_id)
    return _link(viewer, context, request, api.read_user(context, user_id), made.link)


def sign_out(viewer: CurrentViewer, context: Context, user_id: Id) -> PageResponse:
    api.sign_user_out(context, user_id)
    return viewer.go(f"{PATH}/{user_id}", FlashMessage.USER_SIGNED_OUT)


def _link(viewer: Viewer, context: ApiContext, request: AnyRequest, view: api.UserView, path: str) -> PageResponse:
    browser = browser_of(request, context.proxies)
    link = f"{'https' if browser.secure else 'http'}://{browser.host}{path}"
    return page(viewer, "user_link.html", user=view, link=link)


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.UserView | None,
    faults: tuple[FieldFault, ...] = (),
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
        zones=zone_choices(),
        zone_of_instance=context.instance.time_zone,
    )


_ADMINISTER = {NEEDS: Right.ADMINISTER}
routes = [
    get("/users", opt=_ADMINISTER, sync_to_thread=True)(show_list),
    get("/users/new", opt=_ADMINISTER, sync_to_thread=True)(show_new),
    post("/users/new", opt=_ADMINISTER, sync_to_thread=True)(create),
    get("/users/{user_id:int}", opt=_ADMINISTER, sync_to_thread=True)(show),
    post("/users/{user_id:int}", opt=_ADMINISTER, sync_to_thread=True)(change),
    post("/users/{user_id:int}/disable", opt=_ADMINISTER, sync_to_thread=True)(disable),
    post("/users/{user_id:int}/enable", opt=_ADMINISTER, sync_to_thread=True)(enable),
    post("/users/{user_id:int}/link", opt=_ADMINISTER, sync_to_thread=True)(make_link),
    post("/users/{user_id:int}/sign-out", opt=_ADMINISTER, sync_to_thread=True)(sign_out),
]
