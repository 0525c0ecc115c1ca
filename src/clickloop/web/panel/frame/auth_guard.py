"""Who may enter the panel: a session's cookie, and for every change the session's own word and the page's own origin."""

import asyncio
import hmac
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from clickloop.people.user import Right
from clickloop.saving.access import csrf_of, session_of
from clickloop.setup.instance import time_zones
from clickloop.store.ledger.setup.names import Named, newest_names
from clickloop.store.ledger.setup.settings import read_instance
from clickloop.web.api.context import ApiContext, app_context
from clickloop.web.browser import browser_of, note_forwarded
from clickloop.web.cookies import cookie_of
from clickloop.web.panel.frame.flash import ignored_in, said_of
from clickloop.web.panel.frame.form import CSRF_FIELD, Form
from clickloop.web.panel.frame.form_body import form_pairs
from clickloop.web.panel.frame.form_draft import SignedOut, keep_form
from clickloop.web.panel.frame.session_cookie import session_secret
from clickloop.web.panel.frame.streamed_form import STREAMED
from clickloop.web.panel.frame.viewer import AnyRequest, VisitFacts

THEME_COOKIE = "clickloop_theme"
SIGN_IN = "/panel/sign-in"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = "open"
"""The ``opt`` of a page that nobody has to be signed in for."""
NEEDS = "right"
"""The ``opt`` that names the Right which a page needs; a page that changes something needs ``WORK`` unless it says otherwise."""


class SignInNeeded(Exception):  # noqa: N818 – no error: the way to the door
    """Nobody is signed in; ``path`` is where he wanted to go."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def panel_guard() -> Guard:
    """A guard that finds out who comes, refuses what he may not do, and puts the visit into the scope."""

    threads = ThreadPoolExecutor(2, "session-check")  # for the same reason as those of the API's tokens

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if not isinstance(connection, Request):
            raise PermissionDeniedException("The panel speaks HTTP alone.")
        context = app_context(connection)
        changes = connection.method not in SAFE_METHODS
        note_forwarded(connection, context.proxies, context.untrusted)
        host = browser_of(connection, context.proxies).host
        if changes:
            _refuse_other_origins(connection, host)
        if handler.opt.get(OPEN):
            return
        visit = await asyncio.get_running_loop().run_in_executor(threads, _visit_of, context, connection)
        if visit is None and changes:
            raise SignedOut(await keep_form(connection, handler, host))
        if visit is None:
            raise SignInNeeded(_wanted(connection))
        needed = handler.opt.get(NEEDS, Right.WORK if changes else None)
        if needed is not None and not visit.may(needed):
            raise PermissionDeniedException(f"Your role, {visit.actor.role}, does not allow this.")
        if changes and not handler.opt.get(STREAMED):
            word = dict(await form_pairs(connection)).get(CSRF_FIELD, "")
            if not hmac.compare_digest(word.encode(), visit.csrf.encode()):
                raise PermissionDeniedException(
                    "This form is from before you signed in: reload the page and try again."
                )
        connection.scope["visit"] = visit  # type: ignore[typeddict-unknown-key]  # our own key of the scope

    return guard


async def visit_of(request: AnyRequest) -> VisitFacts:
    """The visit that the guard found."""
    visit: VisitFacts = request.scope["visit"]  # type: ignore[typeddict-item]  # our own key of the scope
    return visit


async def form_of(request: AnyRequest) -> Form:
    """What was submitted: the texts; files are read by the page that asks for one."""
    return Form(await form_pairs(request))


def _visit_of(context: ApiContext, connection: AnyRequest) -> VisitFacts | None:
    secret = session_secret(context, connection)
    seat = session_of(context.access, secret)
    if seat is None:
        return None
    with context.ledger.read() as tx:
        saved = read_instance(tx)
        is_newcomer = not newest_names(tx, Named.CAMPAIGN, 1)
    query = [(name, value) for name, value in connection.query_params.multi_items() if name != "said"]
    theme = cookie_of(connection, THEME_COOKIE)
    return VisitFacts(
        actor=seat.actor,
        zone=_zone(seat.user.time_zone, saved.over(context.started).time_zone),
        csrf=csrf_of(secret),
        saved=saved,
        session_id=seat.session.id,
        path=connection.scope["path"],
        query=urlencode(query),
        theme=theme if theme in ("light", "dark") else "",
        said=said_of(connection.query_params.get("said", "")),
        ignored=ignored_in(connection.query_params.get("said", "")),
        alarms=context.count_alarms(),
        is_newcomer=is_newcomer,
        is_posted=connection.method not in SAFE_METHODS,
    )


def _zone(*names: str) -> ZoneInfo:
    """The first that is a time zone still; UTC if none is."""
    return next((ZoneInfo(name) for name in names if name in time_zones()), ZoneInfo("UTC"))


def _wanted(connection: AnyRequest) -> str:
    """Where to go after signing in: only a page of ours."""
    query = connection.scope["query_string"].decode("ascii", "replace")
    return quote(connection.scope["path"]) + (f"?{query}" if query else "")


def _refuse_other_origins(connection: AnyRequest, host: str) -> None:
    """Refuses what another site's page sends in a browser that is signed in here. Commands name no origin."""
    origin = connection.headers.get("origin", "")
    site = connection.headers.get("sec-fetch-site", "")
    if site == "same-origin":  # said by the browser, over https alone, whatever host a proxy asks us for
        return
    if origin and origin != "null" and urlsplit(origin).netloc.lower() == host:
        return
    if origin or site not in ("", "none"):
        raise HTTPException(status_code=403, detail=_other_site(origin, host))


def _other_site(origin: str, host: str) -> str:
    told = "This was sent by a page of another site; nothing was done."
    page = urlsplit(origin).netloc.lower()
    if not page:
        return told
    return (
        f"{told} The page is of {page[:100]}, and the request came for {host[:100]}. If a reverse proxy of yours changes the host, "
        "have it pass the Host header on (nginx: proxy_set_header Host $http_host;)."
    )
