"""The public endpoints: campaign links, notices, pixel, health. A click is answered synchronously, without a database."""

from collections.abc import Callable

import msgspec

from clickloop.click.link import mended_link, tail_of
from clickloop.config import Settings, proxy_networks
from clickloop.conversion.notice import Channel
from clickloop.edge.content_encoding import refusal_of_body
from clickloop.edge.message import HttpRequest, HttpResponse, plain_response
from clickloop.edge.page_endpoints import PageEndpoints, empty_script_response, gif_response
from clickloop.edge.proxies import Hosts, Proxies, client_behind, first_of
from clickloop.edge.redirects import RedirectResponses
from clickloop.edge.request_limits import MAX_BODY_BYTES
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.edge.vitals import Health
from clickloop.store.journal.group_commit import GroupCommit
from clickloop.store.journal.writer import JournalBroken, JournalFull
from clickloop.store.unknown_links import UnknownLinkCounter
from clickloop.tracking.click_lookup import CoreLookup
from clickloop.tracking.receiving import NoticeReceipt, take_notice
from clickloop.tracking.take import Edge, record_clicks, take_click

_NOT_FOUND = "There is nothing here.\n"


class NoticeCommits(msgspec.Struct, frozen=True):
    """The group commits of the two notice journals. Deferred notices are settled last: refused on arrival, or in excess."""

    notices: GroupCommit
    deferred: GroupCommit


class EdgeEndpoints:
    """The handler of all public requests. ``broken`` is called when the journal can no longer be trusted.

    ``reload_catalog`` loads a changed catalog and returns whether there was one. It is called before a campaign is reported as
    unknown, so that a new link works as soon as the API has confirmed it.
    """

    def __init__(
        self,
        settings: Settings,
        edge: Edge,
        commits: NoticeCommits,
        health: Callable[[], Health],
        broken: Callable[[Exception], None],
        reload_catalog: Callable[[], bool],
        unknown_links: UnknownLinkCounter,
        untrusted: UntrustedProxies,
    ) -> None:
        self._edge = edge
        self._commit = commits.notices
        self._deferred_commit = commits.deferred
        self._health = health
        self._broken = broken
        self._reload_catalog = reload_catalog
        self._proxies = Proxies(proxy_networks(settings.trusted_proxies))
        self._has_proxies = bool(self._proxies)
        self._hosts = Hosts()
        self._unknown_links = unknown_links
        self._untrusted = untrusted
        self._redirects = RedirectResponses(edge)
        lookup = CoreLookup(settings.folder(), edge.clock)
        self._pages = PageEndpoints(
            edge, lookup, self._redirects, self._resolve_client, unknown_links.note_lost_landing_click
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response; awaitable if something must reach the disk first."""
        path = request.path
        if path[:3] == b"/c/":
            return self._click(request, path[3:])
        if path == b"/postback":
            return self._notice(request, Channel.S2S)
        if path in (b"/pixel.gif", b"/pixel.js"):
            return self._notice(request, Channel.PIXEL)
        if (page := self._pages(request)) is not None:
            return page
        if path == b"/health":
            return self._health_response(request)
        if path[:3] == b"/r/":
            return self._redirects.second_hop(request, path[3:])
        return self._mended(request)

    def _mended(self, request: HttpRequest) -> HttpResponse:
        """Answer a slightly wrong path: one with extra slashes, or with the query appended without a question mark."""
        path = request.path
        if path[:2] == b"//":
            request.path = b"/" + path.lstrip(b"/")
            return self(request)
        for known in (b"/postback", b"/pixel.gif", b"/pixel.js"):
            behind = path[len(known) :]
            if path.startswith(known) and not behind[:1].isalnum():
                tail = tail_of(behind)
                if not tail or b"=" in tail:
                    request.path = known
                    request.query = b"&".join(part for part in (tail, request.query) if part)
                    return self(request)
        if path == b"/c":
            self._unknown_links.note(b"", self._edge.clock())
        return _not_found(request)

    def before_sending(self) -> None:
        """Record the clicks whose redirects are about to be sent. If it raises JournalBroken, they must not be sent."""
        try:
            record_clicks(self._edge)
        except JournalBroken as fault:
            self._broken(fault)
            raise

    def trusts(self, peer: str) -> bool:
        """Return whether a peer is one of the configured proxies."""
        return self._proxies.trust(peer)

    def _click(self, request: HttpRequest, key: bytes) -> HttpResponse:
        if request.method not in {b"GET", b"HEAD"}:
            return plain_response(405, "Open a campaign link with GET.\n", request.keep_alive, b"allow: GET, HEAD\r\n")
        self._resolve_client(request)
        redirected = take_click(self._edge, request, key)
        # Only after a miss: a stat per click would be noticeable, and links of new campaigns are rare.
        if redirected is None and self._reload_catalog():
            redirected = take_click(self._edge, request, key)
        if redirected is None:
            # Last, since it is expensive and an intact link never gets here.
            link = mended_link(key, request.query)
            if link is not None:
                request.query = link.query
                redirected = take_click(self._edge, request, link.key, link.flag)
        if redirected is None:
            self._unknown_links.note(key, self._edge.clock())
            return _not_found(request)
        if not redirected.location:
            return plain_response(404, "This campaign has nowhere to send you.\n", request.keep_alive)
        return self._redirects(redirected, request)

    def _notice(self, request: HttpRequest, channel: Channel) -> HttpResponse:
        method = request.method
        if method == b"HEAD":  # some services probe a callback URL this way before they save it
            return _pixel_response(request, b"") if channel is Channel.PIXEL else _ok(request)
        if method not in {b"GET", b"POST"} or (channel is Channel.PIXEL and method == b"POST"):
            allowed = b"allow: GET, HEAD\r\n" if channel is Channel.PIXEL else b"allow: GET, HEAD, POST\r\n"
            text = "Load the pixel with GET.\n" if channel is Channel.PIXEL else "Send postbacks with GET or POST.\n"
            return plain_response(405, text, request.keep_alive, allowed)
        # Before it is stored, so that reading the journal never depends on an encoding.
        if b"content-encoding" in request.headers and (refusal := refusal_of_body(request, MAX_BODY_BYTES)) is not None:
            return refusal
        try:
            self._resolve_client(request)
            stored = take_notice(self._edge, request, channel)
        # 503 makes networks retry; a notice that is not on disk must not be answered 200.
        except JournalFull:
            return self._storage_failed(request)
        except JournalBroken as fault:
            self._broken(fault)
            return self._storage_failed(request)
        return self._once_durable(request, stored, channel)

    async def _once_durable(self, request: HttpRequest, stored: NoticeReceipt, channel: Channel) -> bytes:
        try:
            # A 200 before this point could lose the notice: the network would not send it again.
            await (self._deferred_commit if stored.is_deferred else self._commit).durable(stored.position)
        except JournalBroken as fault:
            self._broken(fault)
            return self._storage_failed(request)
        outcome = f"refused; reason={stored.reason}" if stored.reason else "accepted"
        headers = f"x-clickloop-outcome: {outcome}\r\n".encode("ascii")
        if channel is Channel.PIXEL:
            return _pixel_response(request, headers)
        text = stored.return_text or (f"{stored.reason.sentence}\n" if stored.reason else "OK\n")
        return plain_response(200, text, request.keep_alive, headers)

    def _storage_failed(self, request: HttpRequest) -> bytes:
        self._edge.unstored += 1
        return plain_response(
            503, "The postback could not be stored. Send it again.\n", request.keep_alive, b"retry-after: 10\r\n"
        )

    def _health_response(self, request: HttpRequest) -> bytes:
        health = self._health()
        status = 503 if health.status == "failing" else 200
        return plain_response(
            status, msgspec.json.encode(health).decode() + "\n", request.keep_alive, kind=b"application/json"
        )

    def _resolve_client(self, request: HttpRequest) -> None:
        """Set the visitor's address, the requested host and whether the request came over https."""
        headers = request.headers
        host = headers.get(b"host", b"")
        request.secure = self._edge.secure
        if self._has_proxies and self._proxies.trust(request.ip):
            peer, forwarded_for = request.ip, headers.get(b"x-forwarded-for", b"")
            request.ip = client_behind(forwarded_for, peer, self._proxies.trust)
            self._untrusted.note_trusted(peer, forwarded_for, request.ip)
            host = headers.get(b"x-forwarded-host") or host
            scheme = first_of(headers.get(b"x-forwarded-proto", b""))
            request.secure = self._edge.secure or scheme.lower() == b"https"
        elif b"x-forwarded-for" in headers or b"forwarded" in headers:
            self._untrusted.note(request.ip)
        request.host = self._hosts(host)


def _not_found(request: HttpRequest) -> bytes:
    return plain_response(404, _NOT_FOUND, request.keep_alive)


def _ok(request: HttpRequest) -> bytes:
    return plain_response(200, "OK\n", request.keep_alive)


def _pixel_response(request: HttpRequest, headers: bytes) -> bytes:
    """Return the pixel's image, or a script that does nothing, as the page loads it."""
    is_script = request.path == b"/pixel.js"
    return (empty_script_response if is_script else gif_response)(headers, request.keep_alive)
