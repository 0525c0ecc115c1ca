"""Reads the requests of a connection with httptools: strict, with a limit for each part."""

import abc
import asyncio

import httptools

from clickloop.edge.header_fields import FIELDS, UNUSUAL, awaits_100, field_of, has_body, head_without_upgrade, joined
from clickloop.edge.request_limits import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_UPGRADES,
    MAX_URL_BYTES,
)


class RequestReader(abc.ABC):
    """The incoming request of a connection. ``HttpConnection`` inherits from it and answers the request.

    Inheritance rather than composition: the parser calls a method per header, and delegating each call would slow every click.
    """

    __slots__ = (
        "_body", "_done", "_head_complete", "_header_bytes", "_headers", "_large", "_last", "_length", "_loop", "_message_bytes",
        "_parser", "_refeed_head", "_since", "_url",
    )  # fmt: skip

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._since = self._loop.time()
        self._done = True
        """No request is partially read."""
        self._last = False
        """Nothing read from now on is treated as a request."""
        self._refeed_head = False
        """The last head must be fed to a new parser: see ``_without_upgrade``."""
        self._large = False
        """So much was read that a limit on headers could be exceeded."""
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_complete = True
        self._header_bytes = 0
        self._message_bytes = 0
        self._body: list[bytes] = []
        self._length = 0

    @abc.abstractmethod
    def on_message_complete(self) -> None:
        """Answer the request, which is now complete."""

    @abc.abstractmethod
    def _refuse(self, status: int, text: str) -> None:
        """End the connection with an error. Must not raise: the parser continues with the data it was given."""

    @abc.abstractmethod
    def _invite_body(self) -> None:
        """Send 100 Continue to a client that waits for it."""

    # feeding the parser -----------------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        if not self._done:
            self._message_bytes += len(data)
            if self._message_bytes > (MAX_MESSAGE_BYTES if self._head_complete else MAX_URL_BYTES + MAX_HEADER_BYTES):
                status = 413 if self._head_complete else 431
                self._refuse(status, "The request is too large.")
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._feed_behind_upgrades(data, stop)
        except httptools.HttpParserError:
            self._refuse_invalid()

    def _feed_behind_upgrades(self, data: bytes, stop: httptools.HttpParserUpgrade) -> None:
        """Continue after a head with Upgrade, at which a parser stops, and after further ones."""
        for _ in range(MAX_UPGRADES):
            data = self._without_upgrade(data[stop.args[0] :])
            if not data or self._last:
                return
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as next_stop:
                stop = next_stop
            except httptools.HttpParserError:
                break
        self._refuse_invalid()

    def _without_upgrade(self, rest: bytes) -> bytes:
        """Return what to feed a new parser after a head with Upgrade, which we ignore (RFC 9110, 7.8).

        If such a request has a body, as from Java's client, the old parser took that for the other protocol: the head is fed again.
        """
        stopped, self._parser = self._parser, httptools.HttpRequestParser(self)
        if not self._refeed_head:
            return rest
        self._refeed_head = self._last = False
        return head_without_upgrade(stopped, self._url, self._headers) + rest

    def _refuse_invalid(self) -> None:
        self._refuse(400, "The request is not valid HTTP/1.1.")

    # called by httptools ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._done = False
        self._since = (
            self._loop.time()
        )  # not on every read: blank lines between requests must not keep a connection open
        self._url = b""
        self._headers = {}
        self._message_bytes = 0
        self._head_complete = False
        self._header_bytes = 0
        # Only if used: a new list per request would be noticeable, and almost no request has a body.
        if self._body:
            self._body = []
        self._length = 0

    def on_url(self, url: bytes) -> None:
        if not self._url:
            self._url = url  # one piece of at most PIECE_BYTES, so within the limit
            return
        self._url += url
        if len(self._url) > MAX_URL_BYTES:
            self._refuse(414, "The URL is longer than 128 KB.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._large:
            self._header_bytes += len(name) + len(value)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(431, "The headers are larger than 64 KB.")
                return
        try:
            field = FIELDS[name]
        except KeyError:
            field = field_of(name)
        if field:
            headers = self._headers
            if field in headers:
                if field == b"host":  # a proxy might use one and we the other (RFC 9112, 3.2)
                    self._refuse(400, "The request has more than one Host header.")
                    return
                value = joined(field, headers[field], value)
            headers[field] = value

    def on_headers_complete(self) -> None:
        self._head_complete = True
        headers = self._headers
        if b"content-length" in headers and _is_too_long(headers[b"content-length"]):
            self._refuse(413, "The body is larger than 256 KB.")
            return
        if b"host" not in headers and self._parser.get_http_version() != "1.0":
            self._refuse(400, "The request has no Host header.")
        elif UNUSUAL in headers and not self._last and has_body(headers):
            if self._parser.should_upgrade():
                self._refeed_head = self._last = True  # not a request yet: see _without_upgrade
            elif awaits_100(headers, self._parser.get_http_version()):
                self._invite_body()

    def on_body(self, body: bytes) -> None:
        self._length += len(body)
        if self._length > MAX_BODY_BYTES:
            self._refuse(413, "The body is larger than 256 KB.")
        else:
            self._body.append(body)


def _is_too_long(content_length: bytes) -> bool:
    return len(content_length) > 12 or int(content_length) > MAX_BODY_BYTES
