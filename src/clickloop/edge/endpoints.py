"""The public doors: campaign links, notices, pixel, health. A click is answered from one function call, without a database."""

import base64
import time
from collections.abc import Callable

import msgspec

from clickloop.click.link import mended_link, tail_of
from clickloop.click.redirect import cookie_line, date_line, redirect_answer
from clickloop.config import Settings, proxy_networks
from clickloop.conversion.notice import Door
from clickloop.edge.content_encoding import BodyTooLargeError, UnknownEncodingError, UnreadableBodyError, decoded
from clickloop.edge.message import Answer, Request, plain_answer
from clickloop.edge.proxies import Hosts, Proxies, client_behind, first_of
from clickloop.edge.request_limits import BODY_BYTES
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.edge.vitals import Health
from clickloop.store.journal.group_commit import GroupCommit
from clickloop.store.journal.writer import JournalBroken, JournalFull
from clickloop.store.unknown_links import UnknownLinkCounter
from clickloop.tracking.take import Edge, Stored, record_clicks, take_click, take_notice

_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_NOT_FOUND = "There is nothing here.\n"


class Commits(msgspec.Struct, frozen=True):
    """What syncs the two journals of notices: that of genuine ones, and that of the deferred: refused at once, or far too many."""

    notices: GroupCommit
    deferred: GroupCommit


class EdgeDoors:
    """Answers requests at the public doors. ``broken`` is called once when the journal may not be trusted any more.

    ``set_up_changed`` takes a changed set-up over and answers whether there was one: asked before a campaign is said to be
    unknown, so that a link works from the moment at which the API has answered.
    """

    def __init__(
        self,
        settings: Settings,
        edge: Edge,
        commits: Commits,
        health: Callable[[], Health],
        broken: Callable[[Exception], None],
        set_up_changed: Callable[[], bool],
        unknown_links: UnknownLinkCounter,
        untrusted: UntrustedProxies,
    ) -> None:
        self._edge = edge
        self._commit = commits.notices
        self._deferred_commit = commits.deferred
        self._health = health
        self._broken = broken
        self._set_up_changed = set_up_changed
        self._proxies = Proxies(proxy_networks(settings.trusted_proxies))
        self._has_proxies = bool(self._proxies)
        self._hosts = Hosts()
        self._unknown_links = unknown_links
        self._untrusted = untrusted
        self._date = b""
        self._date_second = 0

    def __call__(self, request: Request) -> Answer:
        """The answer to one request; awaitable when something must reach the disk first."""
        path = request.path
        if path[:3] == b"/c/":
            return self._click(request, path[3:])
        if path == b"/postback":
            return self._notice(request, Door.S2S)
        if path == b"/pixel.gif":
            return self._notice(request, Door.PIXEL)
        if path == b"/health":
            return self._tell_health(request)
        return self._mended(request)

    def _mended(self, request: Request) -> Answer:
        """Answer a path that is not quite one of ours: with a slash too many, or with the query put straight behind it."""
        path = request.path
        if path[:2] == b"//":
            request.path = b"/" + path.lstrip(b"/")
            return self(request)
        for known in (b"/postback", b"/pixel.gif"):
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
        """Records the clicks whose redirects are about to leave. Raises JournalBroken: then they must not leave."""
        try:
            record_clicks(self._edge)
        except JournalBroken as fault:
            self._broken(fault)
            raise

    def trusts(self, peer: str) -> bool:
        """Whether a peer is one of the configured proxies."""
        return self._proxies.trust(peer)

    def _click(self, request: Request, key: bytes) -> Answer:
        if request.method not in {b"GET", b"HEAD"}:
            return plain_answer(
                405, "A campaign link is opened with GET.\n", request.keep_alive, b"allow: GET, HEAD\r\n"
            )
        self._look_behind_proxies(request)
        redirected = take_click(self._edge, request, key)
        # Asked only now: a stat per click would be felt, a link of a new campaign is rare.
        if redirected is None and self._set_up_changed():
            redirected = take_click(self._edge, request, key)
        if redirected is None:
            # Last, for it costs more, and a sound link never comes here.
            link = mended_link(key, request.query)
            if link is not None:
                request.query = link.query
                redirected = take_click(self._edge, request, link.key, link.flag)
        if redirected is None:
            self._unknown_links.note(key, self._edge.clock())
            return _not_found(request)
        if not redirected.location:
            return plain_answer(404, "This campaign has nowhere to send you.\n", request.keep_alive)
        cookie = cookie_line(redirected.click_id, request.secure)
        # Made once a second: formatting a date costs as much as routing a click.
        second = int(time.monotonic())
        if second != self._date_second:
            self._date_second = second
            self._date = date_line(self._edge.clock() // 1000)
        return redirect_answer(redirected.location, cookie, request.keep_alive, self._date)

    def _notice(self, request: Request, door: Door) -> Answer:
        method = request.method
        if method == b"HEAD":  # services try a callback URL this way before they save it
            return _pixel_answer(b"", request.keep_alive) if door is Door.PIXEL else _ok(request)
        if method not in {b"GET", b"POST"} or (door is Door.PIXEL and method == b"POST"):
            allowed = b"allow: GET, HEAD\r\n" if door is Door.PIXEL else b"allow: GET, HEAD, POST\r\n"
            taken = "GET." if door is Door.PIXEL else "GET and POST."
            return plain_answer(405, f"Notices are taken by {taken}\n", request.keep_alive, allowed)
        # Before it is stored: what the journal has can be read for ever, without knowing any encoding.
        if b"content-encoding" in request.headers and (refusal := _decode_body(request)) is not None:
            return refusal
        try:
            self._look_behind_proxies(request)
            stored = take_notice(self._edge, request, door)
        # 503: networks send again, and a notice that is not on disk must not be answered 200.
        except JournalFull:
            return self._not_stored(request)
        except JournalBroken as fault:
            self._broken(fault)
            return self._not_stored(request)
        return self._once_durable(request, stored, door)

    async def _once_durable(self, request: Request, stored: Stored, door: Door) -> bytes:
        try:
            # Only now may it be answered 200: the network does not send it again.
            await (self._deferred_commit if stored.is_deferred else self._commit).durable(stored.position)
        except JournalBroken as fault:
            self._broken(fault)
            return self._not_stored(request)
        outcome = f"refused; reason={stored.reason}" if stored.reason else "accepted"
        headers = f"x-clickloop-outcome: {outcome}\r\n".encode("ascii")
        if door is Door.PIXEL:
            return _pixel_answer(headers, request.keep_alive)
        text = stored.return_text or (f"{stored.reason.sentence}\n" if stored.reason else "OK\n")
        return plain_answer(200, text, request.keep_alive, headers)

    def _not_stored(self, request: Request) -> bytes:
        self._edge.unstored += 1
        return plain_answer(
            503, "The notice could not be stored. Send it again.\n", request.keep_alive, b"retry-after: 10\r\n"
        )

    def _tell_health(self, request: Request) -> bytes:
        health = self._health()
        status = 503 if health.status == "failing" else 200
        return plain_answer(
            status, msgspec.json.encode(health).decode() + "\n", request.keep_alive, kind=b"application/json"
        )

    def _look_behind_proxies(self, request: Request) -> None:
        """Set the visitor's own address, the host of the request, and whether it was over https."""
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


def _not_found(request: Request) -> bytes:
    return plain_answer(404, _NOT_FOUND, request.keep_alive)


def _ok(request: Request) -> bytes:
    return plain_answer(200, "OK\n", request.keep_alive)


def _decode_body(request: Request) -> bytes | None:
    """Replace a compressed body by what it holds; return the refusal where that cannot be read. Nothing is stored then."""
    try:
        request.body = decoded(request.body, request.headers[b"content-encoding"], BODY_BYTES)
    except UnknownEncodingError as fault:
        text = f"The body came with Content-Encoding {fault}. Send it as it is, or with gzip or deflate.\n"
        return plain_answer(415, text, request.keep_alive, b"accept-encoding: gzip, deflate\r\n")  # RFC 9110, 15.5.16
    except BodyTooLargeError as fault:
        return plain_answer(413, f"{fault}\n", request.keep_alive)
    except UnreadableBodyError as fault:
        return plain_answer(400, f"{fault}\n", request.keep_alive)
    return None


def _pixel_answer(headers: bytes, keep_alive: bool) -> bytes:
    return b"".join(
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\ncache-control: no-store, max-age=0\r\nx-content-type-options: nosniff\r\n",
            headers,
            b"content-length: %d\r\n" % len(_PIXEL),
            b"\r\n" if keep_alive else b"connection: close\r\n\r\n",
            _PIXEL,
        )
    )
