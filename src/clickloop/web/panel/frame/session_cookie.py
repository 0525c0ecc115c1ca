"""The session cookie: HttpOnly and SameSite=Lax.

Over https its name begins with ``__Host-``, so that no sibling domain can plant one (RFC 6265bis, section 4.1.3.2).
"""

from typing import Any

from litestar import Response

from clickloop.web.api.context import ApiContext
from clickloop.web.browser import browser_of
from clickloop.web.cookies import cookie_of
from clickloop.web.panel.frame.viewer import AnyRequest

COOKIE = "clickloop_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
_PATH = "/panel"
_SECURE_PATH = "/"
"""Browsers accept a ``__Host-`` cookie only with this path."""


def session_secret(context: ApiContext, request: AnyRequest) -> str:
    """Return the session secret that a browser sent, or an empty text."""
    secure = browser_of(request, context.proxies).secure
    return cookie_of(request, SECURE_COOKIE if secure else COOKIE)


def set_session(response: Response[Any], secret: str, max_age_seconds: int, *, secure: bool) -> None:
    """Set the session cookie. ``secure``: the request came over https."""
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        secret,
        max_age=max_age_seconds,
        path=_SECURE_PATH if secure else _PATH,
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def end_session(response: Response[Any], *, secure: bool) -> None:
    """Delete the session cookie."""
    name, path = (SECURE_COOKIE, _SECURE_PATH) if secure else (COOKIE, _PATH)
    response.set_cookie(name, "", max_age=0, path=path, secure=secure, httponly=True, samesite="lax")
