"""Users: who may sign in, as what, and the one-time links by which they set their passwords."""

from typing import Any

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation

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
from clickloop.web.panel.frame.edit_conflict import Edited, save_over, seen_mark
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import Answer, page
from clickloop.web.panel.frame.viewer import Visit, VisitFacts

PATH = "/panel/users"
ROWS_A_PAGE = 100

_FIELDS = ("name", "role", "time_zone")
_FormParameter = NamedDependency[SkipValidation[Form]]


def show_list(visit: Visit, context: Context, cursor: Cursor = "") -> Answer:
    """Every user."""
    found = api.list_users(context, ROWS_A_PAGE, cursor)
    return page(visit, "users.html", found=found, cursor=cursor)


def show_new(visit: Visit, context: Context) -> Answer:
    """The form for a new user."""
    return _editor(visit, context, {"name": "", "role": Role.WORKER.value, "time_zone": ""}, None)


def show(visit: Visit, context: Context, number: Id) -> Answer:
    """A user."""
    view = api.read_user(context, number)
    return _editor(visit, context, msgspec.to_builtins(view), view)


def create(visit: Visit, context: Context, request: AnyRequest, form: _FormParameter) -> Answer:
    """Creates the user and shows the link for him, this once."""
    try:
        view = save_read(context, form.read_partly(api.UserCreation), api.create_user)
    except InvalidInputError as error:
        return _editor(visit, context, form.tree, None, error.faults)
    return _link(visit, context, request, view, view.link)


def change(visit: Visit, context: Context, number: Id, form: _FormParameter) -> Answer:
    """Saves the user."""
    view = api.read_user(context, number)
    try:
        edited = Edited(api.NOUN, number, view, _FIELDS, lambda: api.read_user(context, number))
        save_over(context, form, edited, api.UserUpdate, api.change_user)
    except InvalidInputError as error:
        return _editor(visit, context, form.tree, view, error.faults)
    return visit.go(f"{PATH}/{number}", Said.SAVED)


def disable(visit: Visit, context: Context, number: Id) -> Answer:
    """Puts the user out at once."""
    try:
        api.remove_user(context, number)
    except InvalidInputError as error:
        view = api.read_user(context, number)
        return _editor(visit, context, msgspec.to_builtins(view), view, error.faults)
    return visit.go(f"{PATH}/{number}", Said.DISABLED)


def enable(visit: Visit, context: Context, number: Id) -> Answer:
    """Lets a disabled user in again."""
    api.change_user(context, number, api.UserUpdate(disabled=False))
    return visit.go(f"{PATH}/{number}", Said.ENABLED)


def make_link(visit: Visit, context: Context, request: AnyRequest, number: Id) -> Answer:
    """Shows a new link by which he sets his password, this once."""
    made = api.make_user_link(context, number)
    return _link(visit, context, request, api.read_user(context, number), made.link)


def sign_out(visit: Visit, context: Context, number: Id) -> Answer:
    """Ends all his sessions."""
    api.sign_user_out(context, number)
    return visit.go(f"{PATH}/{number}", Said.SIGNED_OUT_HIM)


def _link(visit: VisitFacts, context: ApiContext, request: AnyRequest, view: api.UserView, path: str) -> Answer:
    browser = browser_of(request, context.proxies)
    link = f"{'https' if browser.secure else 'http'}://{browser.host}{path}"
    return page(visit, "user_link.html", user=view, link=link)


def _editor(
    visit: VisitFacts,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.UserView | None,
    faults: tuple[Fault, ...] = (),
) -> Answer:
    return page(
        visit,
        "user.html",
        422 if faults else 200,
        faults,
        v={"name": "", "role": "", "time_zone": "", **tree},
        view=view,
        mark=seen_mark(context, tree, view, _FIELDS),
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
