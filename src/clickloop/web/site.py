"""The web site of the core: the API and the panel as one application."""

from typing import Any

from litestar import Litestar, Response, get
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.types import Message, Scope

from clickloop.web.api.application import create_api
from clickloop.web.api.context import ApiContext, app_context
from clickloop.web.api.problem import answer_http
from clickloop.web.browser import browser_of
from clickloop.web.panel.frame.application import SECURITY_HEADERS, create_panel, error_page_outside
from clickloop.web.panel.frame.viewer import HOME, AnyRequest


def create_site(context: ApiContext) -> Litestar:
    """Return the application that serves API and panel on these stores. Nothing is opened or closed here."""
    return create_api(
        context,
        beside=[create_panel(), _to_panel],
        before_send=[_secure_panel, _https_only],
        answer_refused=_answer_refused,
    )


def _answer_refused(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Return a page for errors in the panel, problem details for the rest."""
    is_panel = request.scope["path"].startswith(f"{HOME}/")
    return error_page_outside(request, error) if is_panel else answer_http(request, error)


@get("/", include_in_schema=False, sync_to_thread=False)
def _to_panel() -> Redirect:
    """Redirect users who enter only the host to the panel."""
    return Redirect(HOME, status_code=303)


async def _https_only(message: Message, scope: Scope) -> None:
    """Tell browsers that came over HTTPS to use nothing else for a year (RFC 6797), whatever link they follow."""
    if message["type"] == "http.response.start":
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope)
        if browser_of(connection, app_context(connection).proxies).secure:
            message["headers"] = [*message["headers"], (b"strict-transport-security", b"max-age=31536000")]


async def _secure_panel(message: Message, scope: Scope) -> None:
    """Add the headers to every page that restrict its scripts and keep its content from leaking."""
    if message["type"] == "http.response.start" and scope["path"].startswith(HOME):
        headers = list(message["headers"])
        if not any(name.lower() == b"cache-control" for name, _ in headers):
            headers.append((b"cache-control", b"no-store"))
        message["headers"] = [*headers, *SECURITY_HEADERS]
