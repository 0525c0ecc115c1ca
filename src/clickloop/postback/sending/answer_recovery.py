"""Recover malformed responses: use the status line, and whatever else can be read.

The HTTP client rejects a whole response if a header's name contains a space, a header is too long, or there are two lengths. The
receiver has accepted the request all the same, so a rejected response would lead to sending it up to thirteen times. This wraps
the client's parser: while it reads a head, the bytes are stored, and if it gives up, or the deadline passes before the head ends,
the status is read from them. The connection of such a response is never reused.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpVersion11, RawResponseMessage
from aiohttp.http_exceptions import BadHttpMessage
from multidict import CIMultiDict, CIMultiDictProxy

MAX_HEAD_BYTES = 65_536
"""Maximum size of a head."""
MAX_BODY_BYTES = 65_536  # as much as is read of a well-formed response
QUIET_SECONDS = 1.0
"""A response whose end is unknown ends when nothing has arrived for this long."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?=[ \r\n])")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,200}\r?\n")
_QUOTED_BYTES = re.compile(r"(?:bytearray\()?\bb(['\"])(.*?)(?:\1\)?|\Z)")
_WANTED_HEADERS = (b"location", b"retry-after", b"content-length", b"transfer-encoding")
_WITHOUT_BODY = frozenset({204, 304})
_ENDLESS = f"no end of the headers within {MAX_HEAD_BYTES // 1024} KB"
_MAX_REASON_CHARACTERS = 200  # the receiver chose it, and it is shown
_MAX_READ_CHARACTERS = 1_000  # the parser's message quotes the receiver

note_accepted: ContextVar[Callable[[int], None] | None] = ContextVar("note_accepted", default=None)
"""Called with a 2xx status if the deadline passes before the head has ended: the receiver has accepted the request."""

Fed = tuple[Sequence[tuple[RawResponseMessage, aiohttp.StreamReader]], bool, bytes]


class TolerantConnector(aiohttp.TCPConnector):
    """A connector whose connections recover malformed responses."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # aiohttp has no public way to choose a connection's protocol; a test ensures that this one works.
        self._factory = lambda: TolerantProtocol(loop=self._loop)  # type: ignore[assignment]  # aiohttp names its own class


class TolerantProtocol(ResponseHandler):
    """The client's protocol with a tolerant parser. ``malformed``: what is wrong with the last response; empty if nothing."""

    malformed = ""

    def set_response_params(self, **options: Any) -> None:
        """Set up the parser for the next response, as the client does, and wrap it."""
        self.malformed = ""
        super().set_response_params(**options)
        if self._parser is not None:
            self._parser = _TolerantParser(self._parser, self, self._loop)  # type: ignore[assignment]  # aiohttp names its own class

    def data_received(self, data: bytes) -> None:
        """Process received data. Unrequested data closes the connection, as the next request would take it for its response."""
        if data and self._is_answered():
            self.close()
        else:
            super().data_received(data)

    def _is_answered(self) -> bool:
        parser: object = self._parser
        is_head_read = isinstance(parser, _TolerantParser) and parser.is_head_read
        return is_head_read and self._payload is not None and self._payload.is_eof() and not self._upgraded

    def status_so_far(self) -> int | None:
        """Return the status of a response whose head has not ended; None if no status line has arrived."""
        parser: object = self._parser  # annotated by aiohttp as its own parser only
        return parser.status_so_far() if isinstance(parser, _TolerantParser) else None

    def hand_out(self, message: RawResponseMessage, payload: aiohttp.StreamReader) -> None:
        """Pass a response to the client outside of a parser call."""
        self._should_close = True
        self._payload = payload
        self.feed_data((message, payload), 0)


class RecoverableResponse(aiohttp.ClientResponse):
    """A response that knows whether it had to be recovered."""

    malformed = ""

    async def start(self, connection: Any) -> "RecoverableResponse":
        """Read the head, as the client does."""
        protocol = connection.protocol
        try:
            await super().start(connection)
        # The deadline: a status that arrived in time is still worth recording.
        except asyncio.CancelledError:
            code = protocol.status_so_far() if isinstance(protocol, TolerantProtocol) else None
            note = note_accepted.get()
            if note is not None and code is not None and 200 <= code < 300:
                note(code)
            raise
        self.malformed = getattr(protocol, "malformed", "")
        return self


class _TolerantParser:
    """The client's parser. If it gives up on a head with a valid status line, the response is recovered."""

    def __init__(self, inner: Any, protocol: TolerantProtocol, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._protocol = protocol
        self._loop = loop
        self._seen = b""
        self._head_bytes = 0
        self.is_head_read = False
        self._recovered: _Recovered | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def feed_data(self, data: bytes) -> Fed:
        """Process received data. Raise as the client's parser does if it is not a response at all."""
        if self._recovered is not None:
            self._recovered.feed(data)
            return (), False, b""
        if self.is_head_read:
            fed: Fed = self._inner.feed_data(data)
            return fed
        seen = self._seen + data
        try:
            fed = self._inner.feed_data(data)
        except Exception as error:
            if not self._recover(seen, reason_of(error)):
                raise
            return (), False, b""
        # After an interim response (103) the parser continues with the next head.
        self.is_head_read = any(not 100 <= message.code < 200 for message, _ in fed[0])
        self._seen = b"" if self.is_head_read else seen[:MAX_HEAD_BYTES]
        if not self.is_head_read and self._head_bytes > MAX_HEAD_BYTES:
            # Endless interim responses or empty lines: each costs more to read than to send, and blocks other attempts.
            if not self._recover(self._seen, _ENDLESS):
                raise BadHttpMessage(_ENDLESS)
            return (), False, b""
        self._head_bytes += len(data)
        return fed

    def feed_eof(self) -> Any:
        if self._recovered is not None:
            self._recovered.end()
            return None
        if not self.is_head_read and self._recover(self._seen, "the connection ended within the headers"):
            assert self._recovered is not None
            self._recovered.end()
            return None
        return self._inner.feed_eof()

    def status_so_far(self) -> int | None:
        """Return the status in the part of a head that has arrived, or None."""
        status = _STATUS_LINE.match(self._seen, _begin_of_final_head(self._seen))
        return None if status is None else int(status[1])

    def pause_reading(self) -> None:
        """Pause reading, unless the response is recovered: that takes little memory."""
        if self._recovered is None:
            self._inner.pause_reading()

    def _recover(self, seen: bytes, reason: str) -> bool:
        """Recover the response by its status line. Return False if there is no valid one."""
        begins_at = _begin_of_final_head(seen)
        status = _STATUS_LINE.match(seen, begins_at)
        if status is None:
            return False
        self._protocol.malformed = reason
        self._recovered = _Recovered(self._protocol, self._loop, int(status[1]), seen[status.end() :])
        return True


class _Recovered:
    """The rest of a recovered response, after its status."""

    def __init__(self, protocol: TolerantProtocol, loop: asyncio.AbstractEventLoop, code: int, rest: bytes) -> None:
        self._protocol = protocol
        self._loop = loop
        self._code = code
        self._payload = aiohttp.StreamReader(protocol, 2 * MAX_BODY_BYTES, loop=loop)
        self._rest = b""
        self._body_at = -1
        self._headers: dict[bytes, list[bytes]] = {}
        self._is_handed_out = False
        self._has_ended = False
        self._timer: asyncio.TimerHandle | None = None
        self.feed(rest)

    def feed(self, data: bytes) -> None:
        """Process data that follows the status."""
        if self._has_ended:
            return
        self._rest += data
        if self._body_at < 0 and (end := _HEAD_END.search(self._rest)):
            self._body_at = end.end()
            self._headers = _headers_of(self._rest[: end.start()])
        # A 2xx is a delivery whatever follows. For others, a header may contain the redirect or the requested wait.
        if self._body_at >= 0 or 200 <= self._code < 300:
            self._hand_out()
        if self._is_whole():
            self.end()
        else:
            self._wait()

    def end(self) -> None:
        """End the response with what has arrived of it."""
        if self._has_ended:
            return
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._body_at < 0:
            self._headers = _headers_of(self._rest)
        self._hand_out()
        # Without an empty line, headers and body cannot be told apart, so all of it becomes the body.
        body = self._rest[max(self._body_at, 0) :].lstrip(b"\r\n" if self._body_at < 0 else b"")
        if body and self._code not in _WITHOUT_BODY:
            self._payload.feed_data(_unchunked(body) if self._is_chunked() else body[:MAX_BODY_BYTES])
        self._payload.feed_eof()

    def _is_whole(self) -> bool:
        """Return whether the response is complete, or as much has arrived as is read."""
        if self._body_at < 0:
            return len(self._rest) > MAX_HEAD_BYTES
        arrived = len(self._rest) - self._body_at
        if self._code in _WITHOUT_BODY or arrived >= MAX_BODY_BYTES:
            return True
        if self._is_chunked():
            return self._rest.endswith((b"0\r\n\r\n", b"0\n\n"))
        lengths = {part.strip() for value in self._headers.get(b"content-length", ()) for part in value.split(b",")}
        length = lengths.pop() if len(lengths) == 1 else b""
        return length.isdigit() and len(length) < 10 and arrived >= int(length)

    def _is_chunked(self) -> bool:
        return any(b"chunked" in value.lower() for value in self._headers.get(b"transfer-encoding", ()))

    def _hand_out(self) -> None:
        if self._is_handed_out:
            return
        self._is_handed_out = True
        headers = CIMultiDict(
            (name.decode(), value.decode("utf-8", "surrogateescape"))
            for name in (b"location", b"retry-after")
            for value in self._headers.get(name, ())
        )
        message = RawResponseMessage(
            HttpVersion11, self._code, "", CIMultiDictProxy(headers), (), True, None, False, False
        )
        self._protocol.hand_out(message, self._payload)

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(QUIET_SECONDS, self.end)


def _begin_of_final_head(seen: bytes) -> int:
    """Return the start of the first head that is not an interim one (100 to 199)."""
    at = 0
    while (status := _STATUS_LINE.match(seen, at)) and status[1].startswith(b"1"):
        end = _HEAD_END.search(seen, status.end())
        if end is None:
            return len(seen)
        at = end.end()
    return at


def _headers_of(head: bytes) -> dict[bytes, list[bytes]]:
    """Return the values of the relevant headers by lower-case name, ignoring lines that are not headers."""
    found: dict[bytes, list[bytes]] = {}
    for line in head[:MAX_HEAD_BYTES].split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and (key := name.strip().lower()) in _WANTED_HEADERS:
            found.setdefault(key, []).append(value.strip())
    return found


def _unchunked(body: bytes) -> bytes:
    """Return the content of the chunks, and unchanged whatever follows the last valid one."""
    found: list[bytes] = []
    at = 0
    while size := _CHUNK_SIZE.match(body, at):
        length = int(size[1], 16)
        if length == 0:
            return b"".join(found)[:MAX_BODY_BYTES]
        found.append(body[size.end() : size.end() + length])
        at = size.end() + length
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
    return b"".join([*found, body[at:]])[:MAX_BODY_BYTES]


def reason_of(error: BaseException) -> str:
    """Return the parser's message on one line. It quotes bytes as Python does, and marks one with a caret on the next line."""
    text = str(getattr(error, "message", "") or error) or type(error).__name__
    shown = " ".join(line.strip() for line in text[:_MAX_READ_CHARACTERS].splitlines() if line.strip("^ "))
    return _QUOTED_BYTES.sub(r"\2", shown)[:_MAX_REASON_CHARACTERS]
