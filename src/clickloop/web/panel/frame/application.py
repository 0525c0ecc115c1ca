"""The panel as one Litestar router: its pages, its guard and its error pages."""

from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import quote, urlencode

from litestar import Router
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from clickloop.machine.log import MAX_PATH, log, log_unexpected_error
from clickloop.people.user import NotPermittedError
from clickloop.saving.record import UnknownRecordError
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.damaged_record import is_damaged_record
from clickloop.web.api.context import ApiContext, app_context
from clickloop.web.api.problem import STORE_DAMAGED
from clickloop.web.panel.diagnosis import check, health, route_trial, trace, trial_clicks, try_it
from clickloop.web.panel.frame import not_found, static_files, theme
from clickloop.web.panel.frame.auth_guard import SIGN_IN, SignInRequired, form_of, panel_guard, viewer_of
from clickloop.web.panel.frame.field_names import field_name
from clickloop.web.panel.frame.flash import IGNORABLE, ignored_word
from clickloop.web.panel.frame.form_draft import SignedOut
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import AnyRequest, Viewer
from clickloop.web.panel.jobs import backtests, exports, mark_reruns, reruns, resends, uploads
from clickloop.web.panel.logs import clicks, conversion_entry, conversions, notices, postbacks
from clickloop.web.panel.people import changes, profile, sign_in, tokens, users, welcome
from clickloop.web.panel.reports import costs, dashboard, reports, views
from clickloop.web.panel.routing import campaign_flow, flows
from clickloop.web.panel.setup import (
    campaigns,
    landings,
    lists,
    macro_fields,
    marks,
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
    views,
    costs,
    rates,
    traffic_sources,
    networks,
    offers,
    landings,
    lists,
    marks,
    flows,
    campaigns,
    campaign_flow,
    postback_rules,
    try_it,
    route_trial,
    backtests,
    mark_reruns,
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
    not_found,
)

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)

_NO_SUCH_PAGE = "This page does not exist. Check the address, or start from the menu."
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
"""Titles of error pages by status; other statuses use HTTP's own phrase."""

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"content-security-policy", _POLICY.encode()),
)


def create_panel() -> Router:
    """Return the router of the panel."""
    return Router(
        "/panel",
        route_handlers=[_accept_any_text(route) for pages in _PAGES for route in pages.routes],
        guards=[panel_guard()],
        dependencies={
            "context": Provide(_context_of, sync_to_thread=False),
            "viewer": Provide(viewer_of),
            "form": Provide(form_of),
        },
        exception_handlers={
            SignInRequired: _go_to_sign_in,
            SignedOut: _signed_out,
            InvalidInputError: _invalid,
            ValidationException: _unreadable,
            UnknownRecordError: _unknown_record,
            NotPermittedError: _not_permitted,
            HTTPException: _http_error,
            IntegrityError: _conflict,
            OperationalError: _store_unavailable,
            DatabaseError: _store_damaged,
            FactsError: _store_unavailable,
            Exception: _internal_error,
        },
        include_in_schema=False,
    )


def _context_of(request: AnyRequest) -> ApiContext:
    """Return the context of a request, acting as the viewer that the guard identified; pages without sign-in have no viewer."""
    context = app_context(request)
    viewer: Viewer | None = request.scope.get("viewer")  # type: ignore[assignment]  # our own key of the scope
    return context if viewer is None else context.with_actor(viewer.actor, viewer.saved)


def _accept_any_text(route: HTTPRouteHandler) -> HTTPRouteHandler:
    """Match numbers in a page's path as any text.

    A wrong number then fails in the page's validation, whose error is shown inside the layout, unlike the router's.
    """
    route.paths = {path.replace(":int}", ":str}") for path in route.paths}
    return route


def error_page_outside(request: AnyRequest, error: HTTPException) -> PageResponse:
    """Return the error page for a path or method of the panel that no route matches. No guard has run: there is no viewer."""
    sentence = _NO_SUCH_PAGE if error.status_code in (404, 405) else error.detail
    return page(
        None, "problem_outside.html", status=error.status_code, title=_title(error.status_code), sentence=sentence
    )


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase


def _go_to_sign_in(_request: AnyRequest, needed: SignInRequired) -> PageResponse:
    return Redirect(f"{SIGN_IN}?{urlencode({'next': needed.path})}", status_code=303)


def _signed_out(_request: AnyRequest, signed_out: SignedOut) -> PageResponse:
    return sign_in.signed_out_page(signed_out.draft)


def _problem_page(request: AnyRequest, status: int, sentence: str) -> PageResponse:
    """Return an error page, inside the layout if the user is signed in."""
    viewer: Viewer | None = request.scope.get("viewer")  # type: ignore[assignment]  # our own key of the scope
    template = "problem.html" if viewer else "problem_outside.html"
    return page(viewer, template, status=status, title=_title(status), sentence=sentence)


def _redirect_without(request: AnyRequest, names: Collection[str]) -> PageResponse | None:
    """Return a redirect to the same page without these parameters, which it then lists as ignored; None if none is in the query.

    A mistyped filter leaves a log usable. Each redirect drops at least one parameter, so the chain ends.
    """
    pairs = list(request.query_params.multi_items())
    ignored = {name for name, _ in pairs} & {*names} - {"said"}
    if request.method != "GET" or not ignored or not all(IGNORABLE.fullmatch(name) for name in ignored):
        return None
    viewer: Viewer | None = request.scope.get("viewer")  # type: ignore[assignment]  # our own key of the scope
    before = viewer.ignored if viewer else frozenset()
    remaining = [(name, str(value)) for name, value in pairs if name not in ignored and name != "said"]
    query = urlencode([*remaining, ("said", ignored_word(before | ignored))])
    return Redirect(f"{quote(request.scope['path'])}?{query}", status_code=303)


def _invalid(request: AnyRequest, error: InvalidInputError) -> PageResponse:
    """Return the error page for faults that no form shows beside its fields, such as a tampered cursor."""
    if response := _redirect_without(request, {fault.field for fault in error.faults}):
        return response
    return _problem_page(request, 422, " ".join(_sentence(fault) for fault in error.faults))


def _sentence(fault: FieldFault) -> str:
    return f"{field_name(fault.field)}: {fault.message}" if fault.field else fault.message


def _unreadable(request: AnyRequest, error: ValidationException) -> PageResponse:
    faults = error.extra if isinstance(error.extra, list) else []
    if any(fault.get("key") in request.path_params for fault in faults):
        return _problem_page(request, 404, _NO_SUCH_PAGE)
    if response := _redirect_without(request, {str(fault.get("key", "")) for fault in faults}):
        return response
    sentences = [f"{fault.get('key', '')}: {fault.get('message', '')}." for fault in faults]
    return _problem_page(request, 422, " ".join(["Part of the URL could not be read.", *sentences]))


def _http_error(request: AnyRequest, error: HTTPException) -> PageResponse:
    sentence = _NO_SUCH_PAGE if error.detail == "Not Found" else error.detail
    response = _problem_page(request, error.status_code, sentence)
    if retry_after := (error.headers or {}).get("Retry-After"):
        response.headers["retry-after"] = retry_after
    return response


def _unknown_record(request: AnyRequest, error: UnknownRecordError) -> PageResponse:
    return _problem_page(request, 404, f"There is no {error}.")


def _not_permitted(request: AnyRequest, error: NotPermittedError) -> PageResponse:
    return _problem_page(request, 403, str(error))


def _conflict(request: AnyRequest, _error: IntegrityError) -> PageResponse:
    return _problem_page(
        request, 409, "Someone else saved a change that conflicts with this one. Go back, reload, and try again."
    )


def _store_unavailable(request: AnyRequest, error: Exception) -> PageResponse:
    log("panel: store away", method=request.method, path=request.scope["path"][:MAX_PATH], error=str(error))
    return _problem_page(request, 503, "The database is unavailable. Nothing was saved. Try again in a moment.")


def _store_damaged(request: AnyRequest, error: Exception) -> PageResponse:
    log(
        "panel: the ledger cannot be read",
        method=request.method,
        path=request.scope["path"][:MAX_PATH],
        error=str(error),
    )
    return _problem_page(request, 503, STORE_DAMAGED)


def _internal_error(request: AnyRequest, error: Exception) -> PageResponse:
    log_unexpected_error("panel broke", error, method=request.method, path=request.scope["path"][:MAX_PATH])
    if is_damaged_record(error):
        return _problem_page(request, 503, STORE_DAMAGED)
    return _problem_page(request, 500, "An internal error occurred. The server log has the details.")
