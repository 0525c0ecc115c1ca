"""One's own profile: password, time zone, and the browsers in which one is signed in."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation

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
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import Answer, page
from clickloop.web.panel.frame.session_cookie import session_secret
from clickloop.web.panel.frame.viewer import Visit, VisitFacts

PATH = "/panel/profile"

_FormParameter = NamedDependency[SkipValidation[Form]]


def show(visit: Visit, context: Context) -> Answer:
    """The page."""
    return _page(visit, context)


def change(visit: Visit, context: Context, form: _FormParameter) -> Answer:
    """Saves the time zone."""
    try:
        api.change_profile(context, form.read(api.ProfileUpdate))
    except InvalidInputError as error:
        return _page(visit, context, error.faults)
    return visit.go(PATH, Said.SAVED)


async def change_password(visit: Visit, context: Context, form: _FormParameter) -> Answer:
    """Sets another password; the other browsers are signed out."""
    device = f"user {context.actor.user_id}"
    return await context.access.threads.run(_change_password, visit, context, form, device=device)


def _change_password(visit: VisitFacts, context: ApiContext, form: Form) -> Answer:
    current, password = form.raw("current"), form.raw("password")
    with context.ledger.read() as tx:
        user = find_user(tx, context.actor.user_id)
    assert user is not None, "the session's user is there"
    try:
        if form.raw("again") != password:
            raise InvalidInputError((Fault("again", FaultCode.CONFLICT, "It is not the same as above."),))
        access.change_password(context.access, user, current, password, context.actor, keep=visit.session_id)
    except InvalidInputError as error:
        return _page(visit, context, error.faults)
    return visit.go(PATH, Said.PASSWORD_SET)


def end_session(visit: Visit, context: Context, number: Id) -> Answer:
    """Signs another browser out."""
    api.end_session(context, number)
    return visit.go(PATH, Said.SESSION_ENDED)


def end_others(visit: Visit, context: Context, request: AnyRequest) -> Answer:
    """Signs all other browsers out."""
    seat = access.session_of(context.access, session_secret(context, request))
    if seat is not None:
        access.sign_out_everywhere(context.access, seat)
    return visit.go(PATH, Said.SIGNED_OUT_EVERYWHERE)


def _page(visit: VisitFacts, context: ApiContext, faults: tuple[Fault, ...] = ()) -> Answer:
    with context.ledger.read() as tx:
        user = find_user(tx, context.actor.user_id)
    assert user is not None, "the session's user is there"
    return page(
        visit,
        "profile.html",
        422 if faults else 200,
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
