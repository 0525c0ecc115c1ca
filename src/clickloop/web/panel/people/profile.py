"""The user's own profile: password, time zone and active sessions."""

from litestar import get, post

from clickloop.people.user import MIN_PASSWORD_LENGTH
from clickloop.saving import access
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.people.users import find_user
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Id
from clickloop.web.api.people import profile as api
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.session_cookie import session_secret
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.setup_choices import zone_choices

PATH = "/panel/profile"


def show(viewer: CurrentViewer, context: Context) -> PageResponse:
    return _page(viewer, context)


def change(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    try:
        api.change_profile(context, form.read(api.ProfileUpdate))
    except InvalidInputError as error:
        return _page(viewer, context, error.faults)
    return viewer.go(PATH, FlashMessage.SAVED)


async def change_password(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Change the password, which ends the user's other sessions."""
    device = f"user {context.actor.user_id}"
    return await context.access.threads.run(_change_password, viewer, context, form, device=device)


def _change_password(viewer: Viewer, context: ApiContext, form: Form) -> PageResponse:
    current, password = form.raw("current"), form.raw("password")
    with context.ledger.read() as tx:
        user = find_user(tx, context.actor.user_id)
    assert user is not None, "the session's user exists"
    try:
        if form.raw("again") != password:
            raise InvalidInputError((FieldFault("again", FaultCode.CONFLICT, "The passwords do not match."),))
        access.change_password(context.access, user, current, password, context.actor, keep=viewer.session_id)
    except InvalidInputError as error:
        return _page(viewer, context, error.faults)
    return viewer.go(PATH, FlashMessage.PASSWORD_SET)


def end_session(viewer: CurrentViewer, context: Context, session_id: Id) -> PageResponse:
    """End one of the user's other sessions."""
    api.end_session(context, session_id)
    return viewer.go(PATH, FlashMessage.SESSION_ENDED)


def end_others(viewer: CurrentViewer, context: Context, request: AnyRequest) -> PageResponse:
    """End all other sessions of the user."""
    session = access.find_active_session(context.access, session_secret(context, request))
    if session is not None:
        access.sign_out_everywhere(context.access, session)
    return viewer.go(PATH, FlashMessage.SIGNED_OUT_EVERYWHERE)


def _page(viewer: Viewer, context: ApiContext, faults: tuple[FieldFault, ...] = ()) -> PageResponse:
    with context.ledger.read() as tx:
        user = find_user(tx, context.actor.user_id)
    assert user is not None, "the session's user exists"
    return page(
        viewer,
        "profile.html",
        faults,
        user=user,
        sessions=api.list_sessions(context).items,
        zones=zone_choices(),
        zone_of_instance=context.instance.time_zone,
        min_length=MIN_PASSWORD_LENGTH,
    )


routes = [
    get("/profile", sync_to_thread=True)(show),
    post("/profile", opt={NEEDS: None}, sync_to_thread=True)(change),
    post("/profile/password", opt={NEEDS: None})(change_password),
    post("/profile/sessions/end-others", opt={NEEDS: None}, sync_to_thread=True)(end_others),
    post("/profile/sessions/{session_id:int}/end", opt={NEEDS: None}, sync_to_thread=True)(end_session),
]
