"""The public endpoints for pages: the click URL, and ``track.js`` with what it reports. Thin: see ``tracking.page_events``."""

import base64
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from clickloop.click.link import tail_of
from clickloop.click.page.landing_click import PageQuery, read_page_query
from clickloop.click.page.page_report import (
    MAX_REPORT_BYTES,
    UnreadableReportError,
    image_report,
    read_report,
)
from clickloop.click.redirect import cookie_line, cookie_value, visitor_cookie_line
from clickloop.edge.content_encoding import refusal_of_body
from clickloop.edge.message import HttpRequest, HttpResponse, plain_response
from clickloop.edge.redirects import RedirectResponses
from clickloop.tracking.click_lookup import CoreLookup
from clickloop.tracking.pages.page_events import VisitSearch, find_visit, take_landing_click
from clickloop.tracking.pages.page_reports import take_page_report
from clickloop.tracking.take import ClickRedirect, Edge

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
SCRIPT_SECONDS = 3600
"""Time that browsers cache ``track.js``."""
_ANY_ORIGIN = b"access-control-allow-origin: *\r\n"
# Without it, pages that isolate themselves (COEP) could not load what is meant for any page.
_ANY_PAGE = b"cross-origin-resource-policy: cross-origin\r\n"
_PREFLIGHT = (
    _ANY_ORIGIN
    + b"access-control-allow-methods: POST\r\naccess-control-allow-headers: content-type\r\naccess-control-max-age: 86400\r\n"
)
_NOWHERE = "There is no offer behind this link. Go back to the page and try again.\n"


class TrackScript:
    """``track.js``, as it is sent."""

    def __init__(self) -> None:
        self._text = Path(__file__).with_name("track.js").read_bytes()
        self._packed = gzip.compress(self._text, 9, mtime=0)
        self._etag = b'"%b"' % hashlib.blake2s(self._text, digest_size=8).hexdigest().encode()

    def response(self, request: HttpRequest) -> bytes:
        """Return the script, or 304 if the browser has it."""
        is_known = self._etag in request.headers.get(b"if-none-match", b"")
        is_packed = b"gzip" in request.headers.get(b"accept-encoding", b"")
        body = b"" if is_known else self._packed if is_packed else self._text
        return b"".join(
            (
                b"HTTP/1.1 304 Not Modified\r\n" if is_known else b"HTTP/1.1 200 OK\r\n",
                b"cache-control: public, max-age=%d\r\netag: %b\r\nvary: accept-encoding\r\n"
                % (SCRIPT_SECONDS, self._etag),
                _ANY_ORIGIN,
                _ANY_PAGE,
                b"x-content-type-options: nosniff\r\ncontent-type: text/javascript; charset=utf-8\r\n",
                b"content-encoding: gzip\r\n" if is_packed and not is_known else b"",
                b"" if is_known else b"content-length: %d\r\n" % len(body),
                b"\r\n" if request.keep_alive else b"connection: close\r\n\r\n",
                body,
            )
        )


class PageEndpoints:
    """The handler of requests from pages. ``resolve_client``: sets visitor's address, host and scheme of a request.

    ``note_lost_landing_click``: counts a landing click without a click id, for the health page.
    """

    def __init__(
        self,
        edge: Edge,
        lookup: CoreLookup,
        redirects: RedirectResponses,
        resolve_client: Callable[[HttpRequest], None],
        note_lost_landing_click: Callable[[], None],
    ) -> None:
        self._edge = edge
        self._lookup = lookup
        self._redirects = redirects
        self._resolve_client = resolve_client
        self._note_lost_landing_click = note_lost_landing_click
        self._script = TrackScript()

    def __call__(self, request: HttpRequest) -> HttpResponse | None:
        """Return the response, awaitable if the click must be looked up in the core; None for another endpoint's path."""
        path = request.path
        if path[:6] == b"/click" and not path[6:7].isalnum():
            return self._click(request, path[6:])
        if path == b"/track":
            return self._report(request)
        if path == b"/track.js":
            if request.method not in {b"GET", b"HEAD"}:
                return _not_allowed(request, b"GET, HEAD")
            return self._script.response(request)
        if path == b"/track.gif":
            return self._image(request)
        return None

    def _click(self, request: HttpRequest, tail: bytes) -> HttpResponse:
        if request.method not in {b"GET", b"HEAD"}:
            return _not_allowed(request, b"GET, HEAD")
        self._resolve_client(request)
        tail = _mend(request, tail)
        page = read_page_query(request.query)
        search = find_visit(self._edge, request, page)
        if search.click_id is None:
            self._note_lost_landing_click()
        if search.needs_core:
            return self._click_later(request, tail, page, search)
        return self._redirect(request, take_landing_click(self._edge, request, tail, page, search, None))

    async def _click_later(self, request: HttpRequest, tail: bytes, page: PageQuery, search: VisitSearch) -> bytes:
        click = await self._lookup.find(search.click_id) if search.click_id is not None else None
        return self._redirect(request, take_landing_click(self._edge, request, tail, page, search, click))

    def _redirect(self, request: HttpRequest, redirected: ClickRedirect | None) -> bytes:
        if redirected is None or not redirected.location:
            return plain_response(404, _NOWHERE, request.keep_alive)
        return self._redirects(redirected, request)

    def _report(self, request: HttpRequest) -> bytes:
        if request.method == b"OPTIONS":
            return plain_response(204, "", request.keep_alive, _PREFLIGHT)
        if request.method != b"POST":
            return _not_allowed(request, b"POST, OPTIONS")
        if (
            b"content-encoding" in request.headers
            and (refusal := refusal_of_body(request, MAX_REPORT_BYTES)) is not None
        ):
            return refusal
        try:
            report = read_report(request.body)
        except UnreadableReportError as fault:
            status = 413 if len(request.body) > MAX_REPORT_BYTES else 400
            return plain_response(status, f"{fault}\n", request.keep_alive, _ANY_ORIGIN)
        self._resolve_client(request)
        taken = take_page_report(self._edge, request, report)
        text = msgspec.json.encode(taken.answer).decode()
        return plain_response(200, text, request.keep_alive, _ANY_ORIGIN, kind=b"application/json")

    def _image(self, request: HttpRequest) -> bytes:
        """Answer ``track.gif``, the image of pages whose visitor runs no scripts. Its own query is read as a campaign link's is."""
        if request.method == b"HEAD":
            return gif_response(b"", request.keep_alive)
        if request.method != b"GET":
            return _not_allowed(request, b"GET, HEAD")
        self._resolve_client(request)
        cookie = cookie_value(request.headers.get(b"cookie", b""))
        report = image_report(request.query, request.headers.get(b"referer", b""), cookie)
        taken = take_page_report(self._edge, request, report)
        cookies = b""
        if taken.answer.cid and not report.events:
            cookies = cookie_line(taken.answer.cid, request.secure)
        if taken.visitor_cookie:
            cookies += visitor_cookie_line(taken.visitor_cookie, request.secure)
        return gif_response(cookies, request.keep_alive)


def gif_response(headers: bytes, keep_alive: bool) -> bytes:
    """Return a transparent image of one pixel, with caching disabled."""
    return _uncached(b"image/gif", PIXEL, headers, keep_alive)


def empty_script_response(headers: bytes, keep_alive: bool) -> bytes:
    """Return a script that does nothing, with caching disabled."""
    return _uncached(b"text/javascript; charset=utf-8", b"", headers, keep_alive)


def _uncached(kind: bytes, body: bytes, headers: bytes, keep_alive: bool) -> bytes:
    return b"".join(
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncache-control: no-store, max-age=0\r\n" % kind,
            b"x-content-type-options: nosniff\r\n",
            _ANY_PAGE,
            headers,
            b"content-length: %d\r\n" % len(body),
            b"\r\n" if keep_alive else b"connection: close\r\n\r\n",
            body,
        )
    )


def _not_allowed(request: HttpRequest, methods: bytes) -> bytes:
    text = f"Use {methods.decode().replace(', ', ' or ')}.\n"
    return plain_response(405, text, request.keep_alive, b"allow: %b\r\n" % methods)


def _mend(request: HttpRequest, tail: bytes) -> bytes:
    """Return the button's part of the path. Parameters that follow it without a question mark become the query's."""
    if not tail or tail[1:].isalnum():
        return tail
    at = 1
    while at < len(tail) and (tail[at : at + 1].isalnum() or tail[at : at + 1] == b"-"):
        at += 1
    behind = tail[at:] if tail[:1] == b"/" else tail
    parameters = tail_of(behind)
    if b"=" in parameters:
        request.query = b"&".join(part for part in (parameters, request.query) if part)
        return tail[: len(tail) - len(behind)]
    return tail
