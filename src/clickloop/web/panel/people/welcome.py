"""The page of a one-time link: the first owner chooses a name and password, others a password."""

from typing import Annotated

from litestar import get, post
from litestar.params import QueryParameter

from clickloop.people.user import MIN_PASSWORD_LENGTH
from clickloop.saving import access
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.browser import browser_of
from clickloop.web.panel.frame.auth_guard import OPEN
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.form_body import MAX_ANONYMOUS_BODY_BYTES
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import HOME, AnyRequest, redirect
from clickloop.web.panel.people.sign_in import known_device, with_session

Key = Annotated[str, QueryParameter(max_length=access.MAX_CREDENTIAL_LENGTH)]


def show(context: Context, key: Key = "") -> PageResponse:
    """Return the form. Opening it does not use up the link."""
    return _form(context, key, "owner")


async def enter(context: Context, request: AnyRequest, form: FormParameter) -> PageResponse:
    """Set the password and sign the user in."""
    return await context.access.threads.run(_enter, context, request, form)


def _enter(context: ApiContext, request: AnyRequest, form: Form) -> PageResponse:
    key, name, password = form.text("key"), form.text("name"), form.raw("password")
    browser = browser_of(request, context.proxies)
    try:
        if form.raw("again") != password:
            raise InvalidInputError((FieldFault("again", "different", "The passwords do not match."),))
        signed_in = access.accept_invitation(context.access, key, name, password, browser)
    except InvalidInputError as error:
        return _form(context, key, name, error.faults)
    if signed_in is None:
        return _form(context, key, name)
    return with_session(redirect(HOME), signed_in, browser.secure, known_device(context, request, signed_in.user))


def _form(context: ApiContext, key: str, name: str, faults: tuple[FieldFault, ...] = ()) -> PageResponse:
    invitation = access.find_invitation(context.access, key)
    if invitation is None:
        return page(None, "welcome_over.html", status=410)
    return page(
        None,
        "welcome.html",
        faults,
        user=invitation.user,
        name=name,
        key=key,
        min_length=MIN_PASSWORD_LENGTH,
    )


routes = [
    get("/welcome", opt={OPEN: True}, sync_to_thread=True)(show),
    post("/welcome", opt={OPEN: True}, request_max_body_size=MAX_ANONYMOUS_BODY_BYTES)(enter),
]
