"""Access to the panel: the session cookie, and for every change the CSRF token of the session and the origin of the page."""

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
from clickloop.saving.access import csrf_token, find_active_session
from clickloop.setup.instance import time_zones
from clickloop.store.ledger.setup.names import RecordKind, newest_names
from clickloop.store.ledger.setup.settings import read_instance
from clickloop.web.api.context import ApiContext, app_context
from clickloop.web.browser import browser_of, note_forwarded
from clickloop.web.cookies import cookie_of
from clickloop.web.panel.frame.flash import flash_message_of, ignored_in
from clickloop.web.panel.frame.form import CSRF_FIELD, Form
from clickloop.web.panel.frame.form_body import form_pairs
from clickloop.web.panel.frame.form_draft import SignedOut, draft_of_request
from clickloop.web.panel.frame.session_cookie import session_secret
from clickloop.web.panel.frame.streamed_form import STALE_FORM, STREAMED
from clickloop.web.panel.frame.viewer import AnyRequest, Viewer

THEME_COOKIE = "clickloop_theme"
SIGN_IN = "/panel/sign-in"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = "open"
"""The ``opt`` of a page that needs no sign-in."""
NEEDS = "right"
"""The ``opt`` with the Right that a page requires; by default, pages that change something require ``WORK``."""


class SignInRequired(Exception):  # noqa: N818 – control flow, not an error
    """The user is not signed in. ``path``: the page they requested, with its query."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def panel_guard() -> Guard:
    """Return a guard that identifies the user, checks their rights and puts the Viewer into the scope."""

    threads = ThreadPoolExecutor(2, "session-check")  # its own, so that checks never queue behind slow pages

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if not isinstance(connection, Request):
            raise PermissionDeniedException("The panel speaks HTTP only.")
        context = app_context(connection)
        changes = connection.method not in SAFE_METHODS
        note_forwarded(connection, context.proxies, context.untrusted)
        host = browser_of(connection, context.proxies).host
        if changes:
            _refuse_other_origins(connection, host)
        if handler.opt.get(OPEN):
            return
        viewer = await asyncio.get_running_loop().run_in_executor(threads, _viewer_of, context, connection)
        if viewer is None and changes:
            raise SignedOut(await draft_of_request(connection, handler, host))
        if viewer is None:
            raise SignInRequired(_path_and_query(connection))
        needed = handler.opt.get(NEEDS, Right.WORK if changes else None)
        if needed is not None and not viewer.may(needed):
            raise PermissionDeniedException(f"Your role, {viewer.actor.role}, does not allow this.")
        if changes and not handler.opt.get(STREAMED):
            token = dict(await form_pairs(connection)).get(CSRF_FIELD, "")
            if not hmac.compare_digest(token.encode(), viewer.csrf.encode()):
                raise PermissionDeniedException(STALE_FORM)
        connection.scope["viewer"] = viewer  # type: ignore[typeddict-unknown-key]  # our own key of the scope

    return guard


async def viewer_of(request: AnyRequest) -> Viewer:
    """Return the viewer that the guard identified."""
    viewer: Viewer = request.scope["viewer"]  # type: ignore[typeddict-item]  # our own key of the scope
    return viewer


async def form_of(request: AnyRequest) -> Form:
    """Return the submitted form without its files; the upload page streams its own."""
    return Form(await form_pairs(request))


def _viewer_of(context: ApiContext, connection: AnyRequest) -> Viewer | None:
    secret = session_secret(context, connection)
    session = find_active_session(context.access, secret)
    if session is None:
        return None
    with context.ledger.read() as tx:
        saved = read_instance(tx)
        is_new_instance = not newest_names(tx, RecordKind.CAMPAIGN, 1)
    query = [(name, value) for name, value in connection.query_params.multi_items() if name != "said"]
    theme = cookie_of(connection, THEME_COOKIE)
    return Viewer(
        actor=session.actor,
        zone=_zone(session.user.time_zone, saved.over(context.started).time_zone),
        csrf=csrf_token(secret),
        saved=saved,
        session_id=session.session.id,
        path=connection.scope["path"],
        query=urlencode(query),
        theme=theme if theme in ("light", "dark") else "",
        flash=flash_message_of(connection.query_params.get("said", "")),
        ignored=ignored_in(connection.query_params.get("said", "")),
        alarms=context.count_alarms(),
        attributions=tuple(dict.fromkeys(one for base in context.geo_bases() for one in base.attributions)),
        is_new_instance=is_new_instance,
        is_posted=connection.method not in SAFE_METHODS,
    )


def _zone(*names: str) -> ZoneInfo:
    """Return the first name that is a known time zone, else UTC: the time zone database may have dropped a stored name."""
    return next((ZoneInfo(name) for name in names if name in time_zones()), ZoneInfo("UTC"))


def _path_and_query(connection: AnyRequest) -> str:
    """Return the requested path and query, to return to after signing in."""
    query = connection.scope["query_string"].decode("ascii", "replace")
    return quote(connection.scope["path"]) + (f"?{query}" if query else "")


def _refuse_other_origins(connection: AnyRequest, host: str) -> None:
    """Raise HTTPException 403 for a request that another site's page sent in a signed-in browser. Commands send no origin."""
    origin = connection.headers.get("origin", "")
    site = connection.headers.get("sec-fetch-site", "")
    if site == "same-origin":  # set by the browser, over https only; holds even if a proxy rewrites the host
        return
    if origin and origin != "null" and urlsplit(origin).netloc.lower() == host:
        return
    if origin or site not in ("", "none"):
        raise HTTPException(status_code=403, detail=_other_site(origin, host))


def _other_site(origin: str, host: str) -> str:
    sentence = "This request came from another site’s page, so nothing was done."
    page = urlsplit(origin).netloc.lower()
    if not page:
        return sentence
    return (
        f"{sentence} The page is on {page[:100]}, but the request was for {host[:100]}. If your reverse proxy changes the host, "
        "configure it to pass the Host header on (nginx: proxy_set_header Host $http_host;)."
    )
