"""Malformed answers of receivers: the status line counts, and of the rest what can be read.

The HTTP client refuses an answer as a whole when a header's name has a space in it, a header is too long, or there are two lengths.
The receiver has taken the request all the same, so a refusal would send it again up to thirteen times. Here the client's parser is
wrapped: while it reads a head, the bytes are remembered, and where it gives up, the status is read from them; so it is where the
head has no end and the deadline comes first. The connection of such an answer is never used again.
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
"""Maximum size of a head of which status and headers are read."""
MAX_BODY_BYTES = 65_536  # as much as is read of a sound answer
QUIET_SECONDS = 1.0
"""An answer whose end cannot be known ends when nothing more has come for this long."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?=[ \r\n])")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,200}\r?\n")
_QUOTED_BYTES = re.compile(r"(?:bytearray\()?\bb(['\"])(.*?)(?:\1\)?|\Z)")
_WANTED_HEADERS = (b"location", b"retry-after", b"content-length", b"transfer-encoding")
_WITHOUT_BODY = frozenset({204, 304})
_ENDLESS = f"no end of the headers within {MAX_HEAD_BYTES // 1024} KB"
_MAX_REASON_CHARACTERS = 200  # the receiver chose it, and it is shown
_MAX_READ_CHARACTERS = 1_000  # the parser's text quotes the receiver

note_accepted: ContextVar[Callable[[int], None] | None] = ContextVar("note_accepted", default=None)
"""Called with a status of 2xx when an answer is given up before its head has ended: the receiver has taken the request."""

Fed = tuple[Sequence[tuple[RawResponseMessage, aiohttp.StreamReader]], bool, bytes]


class TolerantConnector(aiohttp.TCPConnector):
    """Connections whose answers are recovered where the client's parser gives up."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        # There is no public way to choose the protocol of a connection; a test holds that this one works.
        self._factory = lambda: TolerantProtocol(loop=self._loop)  # type: ignore[assignment]  # aiohttp names its own class


class TolerantProtocol(ResponseHandler):
    """The client's protocol with a parser that recovers. ``malformed``: what could not be read of the last answer; empty: nothing."""

    malformed = ""

    def set_response_params(self, **given: Any) -> None:
        """Set the parser for the answer of the next request, as the client does."""
        self.malformed = ""
        super().set_response_params(**given)
        if self._parser is not None:
            self._parser = _TolerantParser(self._parser, self, self._loop)  # type: ignore[assignment]  # aiohttp names its own class

    def data_received(self, data: bytes) -> None:
        """Take what arrived. What nobody asked for ends the connection: it would be taken for the answer to the next request."""
        if data and self._is_answered():
            self.close()
        else:
            super().data_received(data)

    def _is_answered(self) -> bool:
        parser: object = self._parser
        is_head_read = isinstance(parser, _TolerantParser) and parser.is_head_read
        return is_head_read and self._payload is not None and self._payload.is_eof() and not self._upgraded

    def status_so_far(self) -> int | None:
        """Return the status of an answer whose head has not ended; None: its status line has not come, or there is no answer."""
        parser: object = self._parser  # the client's annotation knows its own parser only
        return parser.status_so_far() if isinstance(parser, _TolerantParser) else None

    def hand_out(self, message: RawResponseMessage, payload: aiohttp.StreamReader) -> None:
        """Hand an answer to the client outside of a call of the parser."""
        self._should_close = True
        self._payload = payload
        self.feed_data((message, payload), 0)


class Answer(aiohttp.ClientResponse):
    """An answer that knows whether it had to be recovered."""

    malformed = ""

    async def start(self, connection: Any) -> "Answer":
        """Read the head, as the client does."""
        protocol = connection.protocol
        try:
            await super().start(connection)
        # The deadline: a status that came in time is still worth recording.
        except asyncio.CancelledError:
            code = protocol.status_so_far() if isinstance(protocol, TolerantProtocol) else None
            note = note_accepted.get()
            if note is not None and code is not None and 200 <= code < 300:
                note(code)
            raise
        self.malformed = getattr(protocol, "malformed", "")
        return self


class _TolerantParser:
    """The client's parser; where it gives up on a head whose status line is good, the answer is recovered."""

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
        """Take what arrived. Raise what the client's parser raises for what is no answer at all."""
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
        # After an interim answer (103) the parser goes on with the next head.
        self.is_head_read = any(not 100 <= message.code < 200 for message, _ in fed[0])
        self._seen = b"" if self.is_head_read else seen[:MAX_HEAD_BYTES]
        if not self.is_head_read and self._head_bytes > MAX_HEAD_BYTES:
            # Interim answers and empty lines without end: each costs more to read than to send, and others wait meanwhile.
            if not self._recover(self._seen, _ENDLESS):
                raise BadHttpMessage(_ENDLESS)
            return (), False, b""
        self._head_bytes += len(data)
        return fed

    def feed_eof(self) -> Any:
        """Take the end of the connection."""
        if self._recovered is not None:
            self._recovered.end()
            return None
        if not self.is_head_read and self._recover(self._seen, "the connection ended within the headers"):
            assert self._recovered is not None
            self._recovered.end()
            return None
        return self._inner.feed_eof()

    def status_so_far(self) -> int | None:
        """Return the status in what has come of a head."""
        status = _STATUS_LINE.match(self._seen, _begin_of_final_head(self._seen))
        return None if status is None else int(status[1])

    def pause_reading(self) -> None:
        """Pause; an answer that was recovered takes little memory and needs no pause."""
        if self._recovered is None:
            self._inner.pause_reading()

    def _recover(self, seen: bytes, reason: str) -> bool:
        """Go on with an answer by its status line; False: there is no good one."""
        begins_at = _begin_of_final_head(seen)
        status = _STATUS_LINE.match(seen, begins_at)
        if status is None:
            return False
        self._protocol.malformed = reason
        self._recovered = _Recovered(self._protocol, self._loop, int(status[1]), seen[status.end() :])
        return True


class _Recovered:
    """The rest of an answer behind its status."""

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
        """Take what arrived behind the status."""
        if self._has_ended:
            return
        self._rest += data
        if self._body_at < 0 and (end := _HEAD_END.search(self._rest)):
            self._body_at = end.end()
            self._headers = _headers_of(self._rest[: end.start()])
        # A 2xx is a delivery whatever follows; of others a header may say where to, or when to come again.
        if self._body_at >= 0 or 200 <= self._code < 300:
            self._hand_out()
        if self._is_whole():
            self.end()
        else:
            self._wait()

    def end(self) -> None:
        """End the answer with what has come of it."""
        if self._has_ended:
            return
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._body_at < 0:
            self._headers = _headers_of(self._rest)
        self._hand_out()
        # Without an empty line nobody can tell headers from body: then all of it is what the answer says.
        body = self._rest[max(self._body_at, 0) :].lstrip(b"\r\n" if self._body_at < 0 else b"")
        if body and self._code not in _WITHOUT_BODY:
            self._payload.feed_data(_unchunked(body) if self._is_chunked() else body[:MAX_BODY_BYTES])
        self._payload.feed_eof()

    def _is_whole(self) -> bool:
        """Return whether nothing more is to come, or is to be read."""
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
    """Return where the head begins that is no interim one (100 to 199)."""
    at = 0
    while (status := _STATUS_LINE.match(seen, at)) and status[1].startswith(b"1"):
        end = _HEAD_END.search(seen, status.end())
        if end is None:
            return len(seen)
        at = end.end()
    return at


def _headers_of(head: bytes) -> dict[bytes, list[bytes]]:
    """Return the values of the headers that matter, by name in lower case; lines that are none are left out."""
    found: dict[bytes, list[bytes]] = {}
    for line in head[:MAX_HEAD_BYTES].split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and (key := name.strip().lower()) in _WANTED_HEADERS:
            found.setdefault(key, []).append(value.strip())
    return found


def _unchunked(body: bytes) -> bytes:
    """Return the text of chunks up to the first that is no chunk, and all behind that as it came."""
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
    """Return in one line what the client's parser says. It quotes the bytes as Python does, and points at one with a caret below."""
    text = str(getattr(error, "message", "") or error) or type(error).__name__
    shown = " ".join(line.strip() for line in text[:_MAX_READ_CHARACTERS].splitlines() if line.strip("^ "))
    return _QUOTED_BYTES.sub(r"\2", shown)[:_MAX_REASON_CHARACTERS]
