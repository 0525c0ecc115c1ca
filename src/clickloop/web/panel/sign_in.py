"""Signing in and out."""

from typing import Annotated, Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation

from clickloop.store.ledger.users import has_owner_with_password
from clickloop.web import access, known_devices
from clickloop.web.api.context import Context
from clickloop.web.browser import browser_of
from clickloop.web.panel.entry import COOKIE, NEEDS, OPEN, SIGN_IN
from clickloop.web.panel.form import Form
from clickloop.web.panel.kept_form import KeptForm, kept_in
from clickloop.web.panel.page import Answer, page
from clickloop.web.panel.said import Said, said_of
from clickloop.web.panel.visit import HOME, AnyRequest, Visit, redirect

_PATH_OF_COOKIE = "/panel"

_FormParameter = NamedDependency[SkipValidation[Form]]
Next = Annotated[str, QueryParameter(name="next", max_length=2000)]
SaidWord = Annotated[str, QueryParameter(name="said", max_length=50)]


def show(context: Context, request: AnyRequest, wanted: Next = "", said: SaidWord = "") -> Answer:
    """The form; who is signed in already goes on."""
    if access.session_of(context.access, request.cookies.get(COOKIE, "")) is not None:
        return _on_to(wanted)
    with context.ledger.read() as tx:
        is_set_up = has_owner_with_password(tx)
    return _page(wanted=wanted, said=said_of(said), is_set_up=is_set_up)


def signed_out_page(kept: KeptForm | None) -> Answer:
    """For a form that came when nobody was signed in any more: that nothing was saved, and where what was typed is."""
    where = "Sign in again to send what you had typed." if kept else "The browser’s Back button has what was typed."
    return _page(401, sentence=f"You were signed out, nothing was saved yet. {where}", kept=kept)


def sign_in(context: Context, request: AnyRequest, form: _FormParameter) -> Answer:
    """Lets somebody in, or says no more than that name or password is wrong."""
    browser = browser_of(request, context.proxies)
    name, wanted = form.text("name"), form.text("next")
    former, kept = request.cookies.get(COOKIE, ""), kept_in(request, form, browser.host)
    device = request.cookies.get(known_devices.COOKIE, "")
    result = access.sign_in(context.access, name, form.raw("password"), browser, former, device)
    if isinstance(result, access.NotSignedIn):
        status = 429 if result.reason is access.NotSignedInReason.TOO_MANY else 403
        sentence = result.reason.sentence
        answer = _page(status, name=name, wanted=wanted, sentence=sentence, kept=kept)
        if result.wait_seconds:
            answer.headers["retry-after"] = str(result.wait_seconds)
        return answer
    onward = _ask_about(kept, result) if kept else _on_to(wanted)
    return with_session(onward, result, browser.secure)


def sign_out(context: Context, request: AnyRequest, visit: Visit) -> Answer:
    """Ends this session."""
    access.sign_out(context.access, request.cookies.get(COOKIE, ""))
    answer = visit.go(SIGN_IN, Said.SIGNED_OUT)
    answer.delete_cookie(COOKIE, path=_PATH_OF_COOKIE)
    return answer


def with_session(answer: Answer, signed_in: access.SignedIn, secure: bool) -> Answer:
    """The answer with the session's cookie, which no script can read and no other site's form sends along."""
    answer.set_cookie(
        COOKIE,
        signed_in.secret,
        max_age=access.SESSION_MS // 1000,
        path=_PATH_OF_COOKIE,
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    if mark := known_devices.new_device_mark(signed_in.user):
        answer.set_cookie(
            known_devices.COOKIE,
            mark,
            max_age=known_devices.MAX_AGE_SECONDS,
            path=SIGN_IN,
            secure=secure,
            httponly=True,
            samesite="lax",
        )
    return answer


def _page(status: int = 200, *, sentence: str = "", **more: Any) -> Answer:
    usual = {"name": "", "wanted": "", "said": None, "is_set_up": True, "kept": None}
    return page(None, "sign_in.html", status, **{**usual, **more, "sentence": sentence})


def _ask_about(kept: KeptForm, signed_in: access.SignedIn) -> Answer:
    """The page that shows what was typed before; it goes nowhere until he says so."""
    return page(None, "kept_form.html", kept=kept, csrf_word=access.csrf_of(signed_in.secret))


def _on_to(wanted: str) -> Answer:
    """To a page of ours and nowhere else."""
    is_ours = wanted == HOME or wanted.startswith((f"{HOME}/", f"{HOME}?"))
    safe = is_ours and wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    return redirect(wanted if safe else HOME)


routes = [
    get("/sign-in", opt={OPEN: True}, sync_to_thread=True)(show),
    post("/sign-in", opt={OPEN: True}, sync_to_thread=True)(sign_in),
    post("/sign-out", opt={NEEDS: None}, sync_to_thread=True)(sign_out),
]
