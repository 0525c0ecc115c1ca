"""One's own profile: password, time zone, and the browsers in which one is signed in."""

from litestar import get, post

from clickloop.people.user import MIN_PASSWORD_LENGTH
from clickloop.saving import access
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
from clickloop.setup.instance import time_zones
from clickloop.store.ledger.people.users import find_user
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Id
from clickloop.web.api.people import profile as api
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.session_cookie import session_secret
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer

PATH = "/panel/profile"


def show(viewer: CurrentViewer, context: Context) -> PageResponse:
    """The page."""
    return _page(viewer, context)


def change(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Saves the time zone."""
    try:
        api.change_profile(context, form.read(api.ProfileUpdate))
    except InvalidInputError as error:
        return _page(viewer, context, error.faults)
    return viewer.go(PATH, Said.SAVED)


async def change_password(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Sets another password; the other browsers are signed out."""
    device = f"user {context.actor.user_id}"
    return await context.access.threads.run(_change_password, viewer, context, form, device=device)


def _change_password(viewer: Viewer, context: ApiContext, form: Form) -> PageResponse:
    current, password = form.raw("current"), form.raw("password")
    with context.ledger.read() as tx:
        user = find_user(tx, context.actor.user_id)
    assert user is not None, "the session's user is there"
    try:
        if form.raw("again") != password:
            raise InvalidInputError((Fault("again", FaultCode.CONFLICT, "It is not the same as above."),))
        access.change_password(context.access, user, current, password, context.actor, keep=viewer.session_id)
    except InvalidInputError as error:
        return _page(viewer, context, error.faults)
    return viewer.go(PATH, Said.PASSWORD_SET)


def end_session(viewer: CurrentViewer, context: Context, number: Id) -> PageResponse:
    """Signs another browser out."""
    api.end_session(context, number)
    return viewer.go(PATH, Said.SESSION_ENDED)


def end_others(viewer: CurrentViewer, context: Context, request: AnyRequest) -> PageResponse:
    """Signs all other browsers out."""
    seat = access.session_of(context.access, session_secret(context, request))
    if seat is not None:
        access.sign_out_everywhere(context.access, seat)
    return viewer.go(PATH, Said.SIGNED_OUT_EVERYWHERE)


def _page(viewer: Viewer, context: ApiContext, faults: tuple[Fault, ...] = ()) -> PageResponse:
    with context.ledger.read() as tx:
        user = find_user(tx, context.actor.user_id)
    assert user is not None, "the session's user is there"
    return page(
        viewer,
        "profile.html",
        faults,
        user=user,
        sessions=api.list_sessions(context).items,
        zones=[(zone, zone.replace("_", " ")) for zone in time_zones()],
        zone_of_instance=context.instance.time_zone,
        shortest=MIN_PASSWORD_LENGTH,
    )


routes = [
    get("/profile", sync_to_thread=True)(show),
    post("/profile", opt={NEEDS: None}, sync_to_thread=True)(change),
    post("/profile/password", opt={NEEDS: None})(change_password),
    post("/profile/sessions/end-others", opt={NEEDS: None}, sync_to_thread=True)(end_others),
    post("/profile/sessions/{number:int}/end", opt={NEEDS: None}, sync_to_thread=True)(end_session),
]
