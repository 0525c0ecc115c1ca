"""The HTTP client for all postbacks: one attempt of one request within one deadline.

It ignores the environment, stores no cookies, decompresses nothing and reads a limited part of the response. Every URL, of
redirects too, goes through ``target_of`` and the address guard; ``dialing`` contains the guard's checks of addresses.
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
from clickloop.postback.retry import MAX_ERROR_LENGTH, AttemptOutcome, Trouble
from clickloop.postback.rule import LOST_REQUEST, BodyKind, Header, Method, PostbackRequest
from clickloop.postback.sending.address_guard import STRICT, AddressGuard, RefusedAddress
from clickloop.postback.sending.address_ranges import packed_address
from clickloop.postback.sending.answer_recovery import RecoverableResponse, note_accepted, reason_of
from clickloop.postback.sending.dialing import AddressRefusedError, open_connector
from clickloop.postback.sending.target import MAX_URL, RequestTarget, TargetFault, escaped, target_of
from clickloop.text import readable

USER_AGENT = f"Clickloop/{__version__}"
ATTEMPT_HEADER = "X-Clickloop-Attempt"
MAX_READ_BYTES = 65_536  # no honest response is longer; reading it whole lets its connection be reused
MAX_KEPT_BYTES = 16_384  # the responses of all attempts under way are in memory
MAX_REDIRECTS = 3  # http to https, to www, and one to spare
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None, ceil_threshold=5)


class Hop(msgspec.Struct, frozen=True):
    """One request of an attempt: the first, or one after a redirect."""

    method: Method
    target: RequestTarget
    headers: tuple[Header, ...]
    body: bytes


Connect = Callable[[AddressGuard], aiohttp.TCPConnector]
"""Returns a sender's connector, like ``dialing.open_connector``."""


class Sender:
    """Sends requests. Open it with ``async with`` in the event loop that uses it."""

    def __init__(
        self, deadline_seconds: float = 10, guard: AddressGuard = STRICT, connect: Connect = open_connector
    ) -> None:
        """``guard`` decides where requests may go; by default to the public internet only."""
        self._deadline_seconds = deadline_seconds
        self._guard = guard
        self._connect = connect
        self._session: aiohttp.ClientSession | None = None

    @property
    def deadline_seconds(self) -> float:
        """Return the maximum duration of an attempt, from connecting to the end of the response body."""
        return self._deadline_seconds

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._connect(self._guard),
            # One receiver's cookie must not change what a later postback means.
            cookie_jar=aiohttp.DummyCookieJar(),
            # One deadline for everything, in send(): the client's own would start over with each redirect.
            timeout=_NO_TIMEOUT,
            # A small response could decompress to gigabytes.
            auto_decompress=False,
            # A proxy or .netrc from the environment would bypass the address guard and add secrets.
            trust_env=False,
            raise_for_status=False,
            response_class=RecoverableResponse,
            # Only the rule sets the Content-Type.
            skip_auto_headers=("Content-Type",),
            # A compressed response would have to be decompressed to be matched and shown.
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        )
        # The client would silently resend a GET or PUT when a reused connection breaks: twice in one attempt.
        # There is no public switch; a test ensures that this one works.
        self._session._retry_connection = False  # noqa: SLF001
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: PostbackRequest, attempt: int) -> AttemptOutcome:
        """Make one attempt, numbered from 1, and return its outcome. Raise nothing but cancellation."""
        attempt += request.earlier_attempts
        seen = _Seen()
        # A context variable, because the client's parser does not know which attempt it reads for.
        note_accepted.set(seen.accept)
        hop = first_hop(request)
        if isinstance(hop, str):
            return seen.outcome(Trouble.UNSENDABLE, hop)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                for _ in range(MAX_REDIRECTS + 1):
                    # For each redirect, too: a receiver may redirect into our own network.
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
            return seen.outcome(Trouble.TIMEOUT, f"no complete response within {self._deadline_seconds} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            trouble, detail = trouble_of(error), detail_of(error)
            if trouble is not Trouble.ADDRESS_REFUSED:
                return seen.outcome(trouble, detail)
            is_address = packed_address(hop.target.host) is not None
            return seen.refused(Trouble.ADDRESS_REFUSED if is_address else Trouble.NAME_REFUSED, detail)

    async def _exchange(self, hop: Hop, attempt: int, seen: "_Seen") -> str | None:
        """Send one request and record the response in ``seen``. Return a redirect's Location; None if the response was read."""
        assert self._session is not None, "send was called outside of `async with`"
        target = hop.target
        url = URL.build(
            scheme=target.scheme,
            host=f"[{target.host}]" if ":" in target.host else target.host,
            port=target.port,
            path=target.path,
            query_string=target.query,
            # The URL is sent as written: quoting it again would change signed parameters.
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
            # Bounded: a response may never end, and only its beginning is stored.
            while size < MAX_READ_BYTES and (chunk := await content.read(MAX_READ_BYTES - size)):
                if size < MAX_KEPT_BYTES:
                    seen.chunks.append(chunk)
                size += len(chunk)
            return None
        finally:
            # Unread bytes would be taken for the response to the next request on this connection.
            if not content.is_eof():
                response.close()


class _Seen:
    __slots__ = ("chunks", "lost_body", "malformed", "redirected_by", "retry_after", "started", "status_code")

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.status_code: int | None = None
        self.redirected_by: int | None = None
        """Status of the last redirect followed."""
        self.lost_body = ""
        """The redirect that turned the request into a GET without a body; empty if none."""
        self.malformed = ""
        self.retry_after = ""
        self.chunks: list[bytes] = []

    def accept(self, status_code: int) -> None:
        """Record the status of a response whose head did not end before the deadline."""
        self.status_code = status_code

    def follow(self) -> None:
        """Start over, because the response was a redirect that is followed."""
        self.redirected_by, self.status_code, self.malformed = self.status_code, None, ""

    def refused(self, trouble: Trouble, error: str) -> AttemptOutcome:
        """Return the outcome for a refused address. After a redirect, its status is that of the redirect."""
        self.status_code = self.redirected_by
        return self.outcome(trouble, error)

    def outcome(self, trouble: Trouble | None = None, error: str = "") -> AttemptOutcome:
        if trouble is None and self.malformed:
            trouble, error = Trouble.MALFORMED, f"{self.malformed[:1].upper()}{self.malformed[1:]}."
        if self.lost_body:
            error = f"{error} The body was dropped by the redirect {self.lost_body}.".lstrip()
        return AttemptOutcome(
            status_code=self.status_code,
            answer=b"".join(self.chunks)[:MAX_KEPT_BYTES],
            retry_after=self.retry_after,
            trouble=trouble,
            error=error[:MAX_ERROR_LENGTH],
            duration_ms=round((time.monotonic() - self.started) * 1000),
        )


def first_hop(request: PostbackRequest) -> Hop | str:
    """Return the request prepared for sending, or a sentence that says why it cannot be sent."""
    if not request.url:
        return LOST_REQUEST
    target = target_of(request.url)
    if isinstance(target, TargetFault):
        return target.sentence
    headers = []
    for header in request.headers:
        if _CONTROL.search(header.value):
            return f"The value of the header {header.name} contains a control character."
        headers.append(Header(header.name, readable(header.value)))
    body = request.body_bytes()
    if request.body_kind is BodyKind.JSON and not _is_json(body):
        return "The body is not valid JSON."
    return Hop(request.method, target, tuple(headers), body)


def next_hop(hop: Hop, status_code: int, location: str) -> Hop | str:
    """Return the request for a redirect, or a sentence that says why it is not followed.

    To another host, no headers are sent but the Content-Type, because they may contain secrets.
    """
    location = location.strip()
    if len(location) > MAX_URL:
        return f"The redirect's URL is not valid. {TargetFault.TOO_LONG.sentence}"
    location = escaped(location).partition("#")[0]
    try:
        url = location if _SCHEME.match(location) else urljoin(hop.target.url, location)
    except ValueError:  # an unclosed bracket
        return f"The redirect's URL is not valid. {TargetFault.HOST.sentence}"
    target = target_of(url)
    if isinstance(target, TargetFault):
        return f"The redirect's URL is not valid. {target.sentence}"
    # The query, which may contain secrets, would be sent unencrypted.
    if hop.target.scheme == "https" and target.scheme == "http":
        return "The redirect leads from https to http."
    # Like browsers for 301, 302 and 303. The outcome mentions a dropped body.
    keeps_body = hop.method is Method.GET or status_code in (307, 308)
    same_host = hop.target.receiver == target.receiver
    headers = tuple(
        header
        for header in hop.headers
        if (same_host or header.name.lower() == "content-type")
        and (keeps_body or header.name.lower() != "content-type")
    )
    method = hop.method if keeps_body else Method.GET
    return Hop(method, target, headers, hop.body if keeps_body else b"")


def trouble_of(error: Exception) -> Trouble:
    """Return the trouble that an exception of the client means."""
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
    """Return the details of a client exception, in addition to its trouble's sentence."""
    refused = _refusal_in(error)
    if refused is None and isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            is_unknown = cause.errno == socket.EAI_NONAME
            return f"{error.host}: {'the name does not exist' if is_unknown else 'no name server could resolve it'}."
        known = cause.errno in errno.errorcode and not isinstance(cause, ssl.SSLError)
        why = os.strerror(cause.errno or 0) if known else cause.strerror or str(cause) or "the connection was closed"
        return f"{error.host}:{error.port}: {why.rstrip('.')}."
    if refused is None and isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        reason = reason_of(error.__cause__ or error)  # the exception's own text contains the URL, with its secrets
        return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
    return str(refused or error) or type(error).__name__


def _refusal_in(error: Exception) -> AddressRefusedError | None:
    """Return the guard's refusal behind a client exception, or None."""
    causes = (error, error.__cause__, getattr(error, "os_error", None))
    return next((cause for cause in causes if isinstance(cause, AddressRefusedError)), None)


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    # Nested a thousand levels deep it is valid JSON, but no receiver parses it.
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
