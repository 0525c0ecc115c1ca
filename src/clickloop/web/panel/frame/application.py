"""The panel as one Litestar router: every page, who may enter, and what an error looks like to people."""

from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import quote, urlencode

from litestar import Router
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from clickloop.machine.log import MAX_PATH, log, log_breakage
from clickloop.people.user import NotPermittedError
from clickloop.saving.record import UnknownRecordError
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.damaged_record import is_damaged_record
from clickloop.web.api.context import ApiContext, app_context
from clickloop.web.api.problem import STORE_DAMAGED
from clickloop.web.panel.diagnosis import check, health, trace, trial_clicks, try_it
from clickloop.web.panel.frame import not_found as nothing_here
from clickloop.web.panel.frame import static_files, theme
from clickloop.web.panel.frame.auth_guard import SIGN_IN, SignInNeeded, form_of, panel_guard, visit_of
from clickloop.web.panel.frame.field_names import field_name
from clickloop.web.panel.frame.flash import IGNORABLE, ignored_word
from clickloop.web.panel.frame.form_draft import SignedOut
from clickloop.web.panel.frame.page import Answer, page
from clickloop.web.panel.frame.viewer import AnyRequest, VisitFacts
from clickloop.web.panel.jobs import exports, reruns, resends, uploads
from clickloop.web.panel.logs import clicks, conversion_entry, conversions, notices, postbacks
from clickloop.web.panel.people import changes, profile, sign_in, tokens, users, welcome
from clickloop.web.panel.reports import dashboard, reports
from clickloop.web.panel.setup import (
    campaigns,
    macro_fields,
    networks,
    offers,
    postback_rules,
    rates,
    settings,
    statuses,
    traffic_sources,
)

_PAGES = (
    static_files,
    theme,
    macro_fields,
    dashboard,
    reports,
    rates,
    traffic_sources,
    networks,
    offers,
    campaigns,
    postback_rules,
    try_it,
    trial_clicks,
    check,
    health,
    uploads,
    exports,
    sign_in,
    welcome,
    profile,
    users,
    tokens,
    changes,
    settings,
    statuses,
    clicks,
    conversions,
    conversion_entry,
    notices,
    reruns,
    postbacks,
    resends,
    trace,
    nothing_here,
)

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)

_NOTHING = "This page does not exist. Check the address, or start from the menu."
_TITLES = {
    400: "The request could not be read",
    403: "Not allowed",
    404: "Page not found",
    405: "Page not found",
    409: "Conflict",
    413: "Too large",
    422: "That did not work",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Temporarily unavailable",
}
"""What errors are called on their pages; others by their phrase in HTTP."""

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"content-security-policy", _POLICY.encode()),
)


def create_panel() -> Router:
    """The panel."""
    return Router(
        "/panel",
        route_handlers=[_read_later(route) for pages in _PAGES for route in pages.routes],
        guards=[panel_guard()],
        dependencies={
            "context": Provide(_context_of, sync_to_thread=False),
            "visit": Provide(visit_of),
            "form": Provide(form_of),
        },
        exception_handlers={
            SignInNeeded: _to_sign_in,
            SignedOut: _signed_out,
            InvalidInputError: _invalid,
            ValidationException: _unreadable,
            UnknownRecordError: _unknown,
            NotPermittedError: _not_permitted,
            HTTPException: _refused,
            IntegrityError: _conflict,
            OperationalError: _store_away,
            DatabaseError: _store_damaged,
            FactsError: _store_away,
            Exception: _broken,
        },
        include_in_schema=False,
    )


def _context_of(request: AnyRequest) -> ApiContext:
    """Return the context of a request that the guard let pass; nobody asks for it where nobody has to be signed in."""
    context = app_context(request)
    visit: VisitFacts | None = request.scope.get("visit")  # type: ignore[assignment]  # our own key of the scope
    return context if visit is None else context.with_actor(visit.actor, visit.saved)


def _read_later(route: HTTPRouteHandler) -> HTTPRouteHandler:
    """The page, its numbers in the address matched as any text: what is none is refused by the page, in its frame, not by the routing."""
    route.paths = {path.replace(":int}", ":str}") for path in route.paths}
    return route


def answer_outside(request: AnyRequest, error: HTTPException) -> Answer:
    """For an address below the panel's that leads to no page, or not by this method. It is not known who asks."""
    sentence = _NOTHING if error.status_code in (404, 405) else error.detail
    return page(None, "problem_outside.html", error.status_code, title=_title(error.status_code), sentence=sentence)


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase


def _to_sign_in(_request: AnyRequest, needed: SignInNeeded) -> Answer:
    return Redirect(f"{SIGN_IN}?{urlencode({'next': needed.path})}", status_code=303)


def _signed_out(_request: AnyRequest, signed_out: SignedOut) -> Answer:
    return sign_in.signed_out_page(signed_out.kept)


def _told(request: AnyRequest, status: int, sentence: str) -> Answer:
    """A page that says what went wrong, inside the frame for somebody who is signed in."""
    visit: VisitFacts | None = request.scope.get("visit")  # type: ignore[assignment]  # our own key of the scope
    template = "problem.html" if visit else "problem_outside.html"
    return page(visit, template, status, title=_title(status), sentence=sentence)


def _without(request: AnyRequest, names: Collection[str]) -> Answer | None:
    """Return the way to the same page without parameters that cannot be read, which it then names; None where none is of the address.

    A log with a filter that is mistyped stays a log. Each round leaves out at least one parameter, so that it ends.
    """
    pairs = list(request.query_params.multi_items())
    ignored = {name for name, _ in pairs} & {*names} - {"said"}
    if request.method != "GET" or not ignored or not all(IGNORABLE.fullmatch(name) for name in ignored):
        return None
    visit: VisitFacts | None = request.scope.get("visit")  # type: ignore[assignment]  # our own key of the scope
    before = visit.ignored if visit else frozenset()
    kept = [(name, str(value)) for name, value in pairs if name not in ignored and name != "said"]
    query = urlencode([*kept, ("said", ignored_word(before | ignored))])
    return Redirect(f"{quote(request.scope['path'])}?{query}", status_code=303)


def _invalid(request: AnyRequest, error: InvalidInputError) -> Answer:
    """For what no form shows beside its fields, such as a cursor that was tampered with."""
    if answer := _without(request, {fault.field for fault in error.faults}):
        return answer
    return _told(request, 422, " ".join(_sentence(fault) for fault in error.faults))


def _sentence(fault: Fault) -> str:
    return f"{field_name(fault.field)}: {fault.message}" if fault.field else fault.message


def _unreadable(request: AnyRequest, error: ValidationException) -> Answer:
    found = error.extra if isinstance(error.extra, list) else []
    if any(fault.get("key") in request.path_params for fault in found):
        return _told(request, 404, _NOTHING)
    if answer := _without(request, {str(fault.get("key", "")) for fault in found}):
        return answer
    sentences = [f"{fault.get('key', '')}: {fault.get('message', '')}." for fault in found]
    return _told(request, 422, " ".join(["A part of the URL cannot be read.", *sentences]))


def _refused(request: AnyRequest, error: HTTPException) -> Answer:
    sentence = _NOTHING if error.detail == "Not Found" else error.detail
    answer = _told(request, error.status_code, sentence)
    if retry_after := (error.headers or {}).get("Retry-After"):
        answer.headers["retry-after"] = retry_after
    return answer


def _unknown(request: AnyRequest, error: UnknownRecordError) -> Answer:
    return _told(request, 404, f"There is no {error}.")


def _not_permitted(request: AnyRequest, error: NotPermittedError) -> Answer:
    return _told(request, 403, str(error))


def _conflict(request: AnyRequest, _error: IntegrityError) -> Answer:
    return _told(
        request, 409, "Someone else saved a change that conflicts with this one. Go back, reload, and try again."
    )


def _store_away(request: AnyRequest, error: Exception) -> Answer:
    log("panel: store away", method=request.method, path=request.scope["path"][:MAX_PATH], error=str(error))
    return _told(request, 503, "The database cannot be reached right now. Nothing was saved. Try again.")


def _store_damaged(request: AnyRequest, error: Exception) -> Answer:
    log(
        "panel: the ledger cannot be read",
        method=request.method,
        path=request.scope["path"][:MAX_PATH],
        error=str(error),
    )
    return _told(request, 503, STORE_DAMAGED)


def _broken(request: AnyRequest, error: Exception) -> Answer:
    log_breakage("panel broke", error, method=request.method, path=request.scope["path"][:MAX_PATH])
    if is_damaged_record(error):
        return _told(request, 503, STORE_DAMAGED)
    return _told(request, 500, "An internal error occurred. The server log says what happened.")
