"""Sending: the one HTTP client of the product. One attempt of one request within one deadline, and what became of it.

It takes nothing from the environment, keeps no cookies, unpacks nothing and reads a bounded answer. Each URL goes through
``target_of`` and past the address guard, redirects too; what the guard has on the way to a connection stands in ``dialing``.
"""

import asyncio
import errno
import os
import re
import socket
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
import msgspec
from yarl import URL

from clickloop import __version__
from clickloop.postback.retry import MAX_ERROR_LENGTH, Outcome, Trouble
from clickloop.postback.rule import LOST_REQUEST, BodyKind, Header, Method, Request
from clickloop.postback.sending.address_guard import STRICT, AddressGuard, RefusedAddress
from clickloop.postback.sending.address_ranges import packed_address
from clickloop.postback.sending.answer_recovery import Answer, note_accepted, reason_of
from clickloop.postback.sending.dialing import AddressRefusedError, open_connector
from clickloop.postback.sending.target import MAX_URL, Target, TargetFault, escaped, target_of
from clickloop.text import readable

USER_AGENT = f"Clickloop/{__version__}"
ATTEMPT_HEADER = "X-Clickloop-Attempt"
MAX_READ_BYTES = 65_536  # success may depend on a text in it; no honest answer is longer
MAX_KEPT_BYTES = 16_384  # all answers that are under way are in memory
MAX_REDIRECTS = 3  # http to https, to www, and one to spare
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None, ceil_threshold=5)


class Hop(msgspec.Struct, frozen=True):
    """One request of an attempt: the first, or one that a redirect asked for."""

    method: Method
    target: Target
    headers: tuple[Header, ...]
    body: bytes


Connect = Callable[[AddressGuard], aiohttp.TCPConnector]
"""Makes the connections of a sender, as ``dialing.open_connector`` does."""


class Sender:
    """Sends requests; open it with ``async with`` in the loop that uses it."""

    def __init__(
        self, deadline_seconds: float = 10, guard: AddressGuard = STRICT, connect: Connect = open_connector
    ) -> None:
        """``guard`` says where requests may go; unless told otherwise, to the public internet alone."""
        self._deadline_seconds = deadline_seconds
        self._guard = guard
        self._connect = connect
        self._session: aiohttp.ClientSession | None = None

    @property
    def deadline_seconds(self) -> float:
        """How long one attempt takes at most, from connecting to the end of the answer's body."""
        return self._deadline_seconds

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._connect(self._guard),
            # One receiver's cookie must not change what a later postback means.
            cookie_jar=aiohttp.DummyCookieJar(),
            # One deadline over all, below: the client's own ones would begin anew with each redirect.
            timeout=_NO_TIMEOUT,
            # A small answer could unpack to gigabytes.
            auto_decompress=False,
            # A proxy or .netrc of the environment would go past the address guard and add secrets.
            trust_env=False,
            raise_for_status=False,
            response_class=Answer,
            # The rule says what the body is, or nothing does.
            skip_auto_headers=("Content-Type",),
            # No compressed answers: they would have to be unpacked to be matched and shown.
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        )
        # The client would send a GET or PUT again by itself when a kept connection breaks: twice in one attempt, told to nobody.
        # There is no public switch; a test holds that this one works.
        self._session._retry_connection = False  # noqa: SLF001
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: Request, attempt: int) -> Outcome:
        """One attempt, number ``attempt`` from 1. Answers what became of it; raises nothing but cancellation."""
        attempt += request.earlier_attempts
        seen = _Seen()
        # A context variable: the client's parser knows nothing of the attempt that it reads for.
        note_accepted.set(seen.accept)
        hop = first_hop(request)
        if isinstance(hop, str):
            return seen.outcome(Trouble.UNSENDABLE, hop)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                for _ in range(MAX_REDIRECTS + 1):
                    # Again for each redirect: a receiver may lead to an address of our own network.
                    judgement = self._guard.judge_target(hop.target)
                    if isinstance(judgement, RefusedAddress):
                        return seen.refused(Trouble.ADDRESS_REFUSED, judgement.sentence)
                    location = await self._exchange(hop, attempt, seen)
                    if location is None:
                        return seen.outcome()
                    following = next_hop(hop, seen.status_code or 0, location)
                    if isinstance(following, str):
                        return seen.outcome(Trouble.REDIRECT_REFUSED, following)
                    if hop.body and not following.body:
                        seen.lost_body = f"{seen.status_code} to {following.target.authority}"
                    hop = following
                    seen.follow()
                seen.status_code = seen.redirected_by
                return seen.outcome(Trouble.TOO_MANY_REDIRECTS, f"the last of them to {hop.target.authority}")
        except TimeoutError:
            return seen.outcome(Trouble.TIMEOUT, f"no whole answer within {self._deadline_seconds} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            trouble, detail = trouble_of(error), detail_of(error)
            if trouble is not Trouble.ADDRESS_REFUSED:
                return seen.outcome(trouble, detail)
            is_address = packed_address(hop.target.host) is not None
            return seen.refused(Trouble.ADDRESS_REFUSED if is_address else Trouble.NAME_REFUSED, detail)

    async def _exchange(self, hop: Hop, attempt: int, seen: "_Seen") -> str | None:
        """One request and its answer, noted in ``seen``. The Location of a redirect; None when the answer was read."""
        assert self._session is not None, "send was called outside of `async with`"
        target = hop.target
        url = URL.build(
            scheme=target.scheme,
            host=f"[{target.host}]" if ":" in target.host else target.host,
            port=target.port,
            path=target.path,
            query_string=target.query,
            # The URL leaves as it was written: quoting it again would change signed parameters.
            encoded=True,
        )
        headers = [(header.name, header.value) for header in hop.headers]
        headers.append((ATTEMPT_HEADER, str(attempt)))
        response = await self._session.request(
            hop.method.value, url, headers=headers, data=hop.body or None, allow_redirects=False
        )
        content = response.content
        try:
            seen.status_code = response.status
            seen.malformed = getattr(response, "malformed", "")
            location = response.headers.get("Location")
            if response.status in _REDIRECTS and location is not None:
                return location
            seen.retry_after = response.headers.get("Retry-After", "")[:100]
            size = 0
            # Bounded: an answer may never end, and only its beginning is kept.
            while size < MAX_READ_BYTES and (chunk := await content.read(MAX_READ_BYTES - size)):
                if size < MAX_KEPT_BYTES:
                    seen.chunks.append(chunk)
                size += len(chunk)
            return None
        finally:
            # Unread bytes would be taken for the answer to the next request on this connection.
            if not content.is_eof():
                response.close()


class _Seen:
    """What has been seen of an attempt's answer so far, however it ends."""

    __slots__ = ("chunks", "lost_body", "malformed", "redirected_by", "retry_after", "started", "status_code")

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.status_code: int | None = None
        self.redirected_by: int | None = None
        """The status of the last redirect that was followed."""
        self.lost_body = ""
        """The redirect that made a GET without a body of the request; empty: none did."""
        self.malformed = ""
        self.retry_after = ""
        self.chunks: list[bytes] = []

    def accept(self, status_code: int) -> None:
        """Take the status of an answer whose head did not end before the deadline."""
        self.status_code = status_code

    def follow(self) -> None:
        """Begin anew: the answer was a redirect that is followed."""
        self.redirected_by, self.status_code, self.malformed = self.status_code, None, ""

    def refused(self, trouble: Trouble, error: str) -> Outcome:
        """Return the outcome where nothing may be sent to; behind a redirect, that was the receiver's answer."""
        self.status_code = self.redirected_by
        return self.outcome(trouble, error)

    def outcome(self, trouble: Trouble | None = None, error: str = "") -> Outcome:
        if trouble is None and self.malformed:
            trouble, error = Trouble.MALFORMED, f"{self.malformed[:1].upper()}{self.malformed[1:]}."
        if self.lost_body:
            error = f"{error} The body was left out after the redirect {self.lost_body}.".lstrip()
        return Outcome(
            status_code=self.status_code,
            answer=b"".join(self.chunks)[:MAX_KEPT_BYTES],
            retry_after=self.retry_after,
            trouble=trouble,
            error=error[:MAX_ERROR_LENGTH],
            duration_ms=round((time.monotonic() - self.started) * 1000),
        )


def first_hop(request: Request) -> Hop | str:
    """The request made ready to leave, or the sentence why it cannot be sent."""
    if not request.url:
        return LOST_REQUEST
    target = target_of(request.url)
    if isinstance(target, TargetFault):
        return target.sentence
    headers = []
    for header in request.headers:
        if _CONTROL.search(header.value):
            return f"The value of the header {header.name} holds a control character."
        headers.append(Header(header.name, readable(header.value)))
    body = request.body_octets()
    if request.body_kind is BodyKind.JSON and not _is_json(body):
        return "The body is not valid JSON."
    return Hop(request.method, target, tuple(headers), body)


def next_hop(hop: Hop, status_code: int, location: str) -> Hop | str:
    """The request that a redirect asks for, or the sentence why it is not made.

    To another host go no headers of the rule, which may hold secrets, but what the body is.
    """
    location = location.strip()
    if len(location) > MAX_URL:
        return f"The redirect leads to a URL that cannot be sent to. {TargetFault.TOO_LONG.sentence}"
    location = escaped(location).partition("#")[0]
    try:
        url = location if _SCHEME.match(location) else urljoin(hop.target.url, location)
    except ValueError:  # a bracket that is not closed
        return f"The redirect leads to a URL that cannot be sent to. {TargetFault.HOST.sentence}"
    target = target_of(url)
    if isinstance(target, TargetFault):
        return f"The redirect leads to a URL that cannot be sent to. {target.sentence}"
    # The query would travel in the open, with its secrets.
    if hop.target.scheme == "https" and target.scheme == "http":
        return "The redirect leads from https to http."
    # As browsers do for 301, 302 and 303; the body that is lost is told with the outcome.
    keeps_body = hop.method is Method.GET or status_code in (307, 308)
    same_host = hop.target.lane == target.lane
    headers = tuple(
        header
        for header in hop.headers
        if (same_host or header.name.lower() == "content-type")
        and (keeps_body or header.name.lower() != "content-type")
    )
    method = hop.method if keeps_body else Method.GET
    return Hop(method, target, headers, hop.body if keeps_body else b"")


def trouble_of(error: Exception) -> Trouble:
    """What kind of trouble an exception of the client is."""
    if _refusal_in(error) is not None:
        return Trouble.ADDRESS_REFUSED
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Trouble.DNS
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return Trouble.TLS
    if isinstance(error, aiohttp.ClientConnectorError):
        return Trouble.CONNECT
    return Trouble.BROKEN


def detail_of(error: Exception) -> str:
    """What an exception of the client says beyond the sentence of its trouble."""
    refused = _refusal_in(error)
    if refused is None and isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            is_unknown = cause.errno == socket.EAI_NONAME
            return f"{error.host}: {'there is no such name' if is_unknown else 'no name server could tell'}."
        known = cause.errno in errno.errorcode and not isinstance(cause, ssl.SSLError)
        why = os.strerror(cause.errno or 0) if known else cause.strerror or str(cause) or "It closed the connection"
        return f"{error.host}:{error.port}: {why.rstrip('.')}."
    if refused is None and isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        reason = reason_of(error.__cause__ or error)  # their own text holds the URL, with its secrets
        return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
    return str(refused or error) or type(error).__name__


def _refusal_in(error: Exception) -> AddressRefusedError | None:
    """The guard's refusal that an exception of the client is about, if it is about one."""
    causes = (error, error.__cause__, getattr(error, "os_error", None))
    return next((cause for cause in causes if isinstance(cause, AddressRefusedError)), None)


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    # Nested a thousand deep it is JSON, but no receiver reads it.
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
