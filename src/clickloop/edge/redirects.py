"""The responses that send a visitor on: a redirect, or a page that the browser leaves at once."""

import time

from clickloop.click.redirect import cookie_line, date_line, redirect_response, visitor_cookie_line
from clickloop.click.redirect_mode import SecondHops, leaving_page
from clickloop.edge.message import HttpRequest, plain_response
from clickloop.setup.redirect import RedirectMode
from clickloop.tracking.take import ClickRedirect, Edge

SECOND_HOP_PATH = "/r/"
_HTML = b"text/html; charset=utf-8"
_FOUND = RedirectMode.FOUND  # looking up an enumeration's member costs more than comparing it
_NO_REFERRER = b"referrer-policy: no-referrer\r\n"


class RedirectResponses:
    """Makes the responses of an edge process."""

    def __init__(self, edge: Edge) -> None:
        self._clock = edge.clock
        self._hops = SecondHops(edge.click_ids.derived_key(b"second hop"))
        self._date = b""
        self._date_second = 0

    def __call__(self, redirected: ClickRedirect, request: HttpRequest) -> bytes:
        """Return the response that sends a visitor to ``location`` and sets their cookies."""
        cookies = cookie_line(redirected.click_id, request.secure) if redirected.click_id else b""
        if redirected.mode is _FOUND and not redirected.visitor_cookie:  # first, because nearly all are
            return redirect_response(redirected.location, cookies, request.keep_alive, self._date_line())
        if redirected.visitor_cookie:
            cookies += visitor_cookie_line(redirected.visitor_cookie, request.secure)
        location = redirected.location
        match redirected.mode:
            case RedirectMode.FOUND:
                return redirect_response(location, cookies, request.keep_alive, self._date_line())
            case RedirectMode.FOUND_NO_REFERRER:
                return redirect_response(location, _NO_REFERRER + cookies, request.keep_alive, self._date_line())
            case RedirectMode.TEMPORARY:
                found = redirect_response(location, cookies, request.keep_alive, self._date_line())
                return found.replace(b"302 Found", b"307 Temporary Redirect", 1)
            case RedirectMode.DOUBLE_META:
                location = self._second_page(redirected, request)
        return _page(location, request, cookies, by_script=redirected.mode is RedirectMode.SCRIPT)

    def _second_page(self, redirected: ClickRedirect, request: HttpRequest) -> str:
        """Return the address of the second page, without a host unless one is set up: the request's may be wrong, or missing.

        An address too long for a link is its own: one page hides the campaign link, too, and the visitor gets there.
        """
        token = self._hops.token(redirected.location, self._clock())
        if token is None:
            return redirected.location
        scheme = "https" if request.secure else "http"
        base = f"{scheme}://{redirected.hop_domain}" if redirected.hop_domain else ""
        return f"{base}{SECOND_HOP_PATH}{token}"

    def second_hop(self, request: HttpRequest, token: bytes) -> bytes:
        """Return the second page of a double meta refresh. Its token was signed at most a minute ago."""
        if request.method not in {b"GET", b"HEAD"}:
            return plain_response(405, "Open this page with GET.\n", request.keep_alive, b"allow: GET, HEAD\r\n")
        location = self._hops.location(token.decode("ascii", "replace"), self._clock())
        if location is None:
            return plain_response(404, "This link has expired. Go back and try again.\n", request.keep_alive)
        return _page(location, request, b"", by_script=False)

    def _date_line(self) -> bytes:
        # Formatted once a second: it costs as much as routing a click.
        second = int(time.monotonic())
        if second != self._date_second:
            self._date_second = second
            self._date = date_line(self._clock() // 1000)
        return self._date


def _page(location: str, request: HttpRequest, cookies: bytes, *, by_script: bool) -> bytes:
    headers = b"x-robots-tag: noindex\r\n" + _NO_REFERRER + cookies
    page = leaving_page(location, by_script=by_script).decode("ascii")
    return plain_response(200, page, request.keep_alive, headers, kind=_HTML)
