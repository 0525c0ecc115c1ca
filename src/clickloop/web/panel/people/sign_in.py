"""Sign-in and sign-out."""

import asyncio
from typing import Annotated, Any

from litestar import get, post
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter

from clickloop.people.user import User
from clickloop.saving import access
from clickloop.store.ledger.people.users import has_owner_with_password
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.browser import browser_of
from clickloop.web.cookies import cookie_of
from clickloop.web.panel.frame.auth_guard import NEEDS, OPEN, SIGN_IN
from clickloop.web.panel.frame.flash import FlashMessage, flash_message_of
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.form_body import MAX_ANONYMOUS_BODY_BYTES
from clickloop.web.panel.frame.form_draft import FormDraft, draft_in_form
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.session_cookie import end_session, session_secret, set_session
from clickloop.web.panel.frame.viewer import HOME, AnyRequest, CurrentViewer, redirect

DEVICE_COOKIE = "clickloop_device"
_DEVICE_SECONDS = 400 * 86_400
"""The longest lifetime that browsers accept for a cookie (RFC 6265bis, 5.5); each sign-in renews it."""
Next = Annotated[str, QueryParameter(name="next", max_length=2000)]
FlashParameter = Annotated[str, QueryParameter(name="said", max_length=50)]


def show(context: Context, request: AnyRequest, target: Next = "", flash: FlashParameter = "") -> PageResponse:
    """Return the sign-in form, or a redirect if the user is already signed in."""
    if access.find_active_session(context.access, session_secret(context, request)) is not None:
        return _redirect_to(target)
    with context.ledger.read() as tx:
        is_set_up = has_owner_with_password(tx)
    return _page(target=target, flash=flash_message_of(flash), is_set_up=is_set_up)


def signed_out_page(draft: FormDraft | None) -> PageResponse:
    """Return the sign-in form after a form was submitted without a session: nothing was saved, and where the input is."""
    where = (
        "Sign in again to continue with your changes."
        if draft
        else "Your browser’s Back button brings back what you typed."
    )
    return _page(401, sentence=f"You were signed out, so nothing has been saved. {where}", draft=draft)


async def sign_in(context: Context, request: AnyRequest, form: FormParameter) -> PageResponse:
    """Sign a user in, or return the form without saying if name or password is wrong. 503 if too many are signing in."""
    device = context.access.devices.id_of(cookie_of(request, DEVICE_COOKIE))
    try:
        return await context.access.threads.run(_sign_in, context, request, form, device=device)
    except HTTPException as busy:
        return await asyncio.to_thread(_busy, context, request, form, busy)


def _busy(context: ApiContext, request: AnyRequest, form: Form, busy: HTTPException) -> PageResponse:
    draft = draft_in_form(request, form, browser_of(request, context.proxies).host)
    response = _page(
        busy.status_code, name=form.text("name"), target=form.text("next"), sentence=busy.detail, draft=draft
    )
    response.headers.update(busy.headers or {})
    return response


def _sign_in(context: ApiContext, request: AnyRequest, form: Form) -> PageResponse:
    browser = browser_of(request, context.proxies)
    name, target = form.text("name"), form.text("next")
    former, draft = session_secret(context, request), draft_in_form(request, form, browser.host)
    device = cookie_of(request, DEVICE_COOKIE)
    result = access.sign_in(context.access, name, form.raw("password"), browser, former, device)
    if isinstance(result, access.NotSignedIn):
        status = 429 if result.reason is access.NotSignedInReason.TOO_MANY else 403
        sentence = result.reason.sentence
        response = _page(status, name=name, target=target, sentence=sentence, draft=draft)
        if result.wait_seconds:
            response.headers["retry-after"] = str(result.wait_seconds)
        return response
    onward = _draft_page(draft, result) if draft else _redirect_to(target)
    return with_session(onward, result, browser.secure, known_device(context, request, result.user))


def known_device(context: ApiContext, request: AnyRequest, user: User) -> str:
    """Return the device cookie for a user who just signed in: the existing one if it belongs to this user, else a new one."""
    cookie, devices = cookie_of(request, DEVICE_COOKIE), context.access.devices
    return cookie if devices.id_for_user(cookie, user.id) else devices.new(user.id)


def sign_out(context: Context, request: AnyRequest, viewer: CurrentViewer) -> PageResponse:
    access.sign_out(context.access, session_secret(context, request))
    response = viewer.go(SIGN_IN, FlashMessage.SIGNED_OUT)
    end_session(response, secure=browser_of(request, context.proxies).secure)
    return response


def with_session(response: PageResponse, signed_in: access.SignedIn, secure: bool, device: str) -> PageResponse:
    """Return the response with the session and device cookies (HttpOnly, SameSite=Lax)."""
    set_session(response, signed_in.secret, access.SESSION_MS // 1000, secure=secure)
    response.set_cookie(
        DEVICE_COOKIE,
        device,
        max_age=_DEVICE_SECONDS,
        path=SIGN_IN,
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return response


def _page(status: int = 200, *, sentence: str = "", **more: Any) -> PageResponse:
    defaults = {"name": "", "target": "", "flash": None, "is_set_up": True, "draft": None}
    return page(None, "sign_in.html", status=status, **{**defaults, **more, "sentence": sentence})


def _draft_page(draft: FormDraft, signed_in: access.SignedIn) -> PageResponse:
    """Return the page that shows the draft; only the user sends it."""
    return page(None, "form_draft.html", draft=draft, csrf_token=access.csrf_token(signed_in.secret))


def _redirect_to(target: str) -> PageResponse:
    """Return a redirect to a page of the panel; any other target leads to the dashboard."""
    is_panel = target == HOME or target.startswith((f"{HOME}/", f"{HOME}?"))
    safe = is_panel and target.isascii() and target.isprintable() and "\\" not in target
    return redirect(target if safe else HOME)


routes = [
    get("/sign-in", opt={OPEN: True}, sync_to_thread=True)(show),
    post("/sign-in", opt={OPEN: True}, request_max_body_size=MAX_ANONYMOUS_BODY_BYTES)(sign_in),
    post("/sign-out", opt={NEEDS: None}, sync_to_thread=True)(sign_out),
]
