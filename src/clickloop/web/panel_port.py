"""HTTP/1.1 at the port of panel and API: uvicorn's protocol with limits on heads, bodies, time and connections.

uvicorn itself reads heads of any size, waits for them forever, and accepts connections until it runs out of descriptors.
"""

import asyncio
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from clickloop.edge.message import plain_response
from clickloop.edge.open_connections import MAPPED, ConnectionLimits, OpenConnections, Phase
from clickloop.edge.proxies import IpNetworks, is_in
from clickloop.edge.request_limits import LINGER_SECONDS

HEAD_BYTES = 64 * 1024
"""Maximum size of the request target and all headers, and of the trailers after a chunked body."""
MAX_TARGET_BYTES = 16 * 1024
"""Maximum size of a request target: a report with fifty filters is shorter. Litestar caches the last 1,024 targets, raw and
parsed, so this limit and the next two also limit the core's memory."""
MAX_PATH_BYTES = 4 * 1024  # our longest has a few hundred
MAX_PARAMETERS = 200  # the filters and columns of a report; each is checked against a schema
MIN_BODY_BYTES_PER_SECOND = 512
"""Slower than the slowest mobile network. A body of any length may be uploaded at this speed or faster."""
MAX_UNREAD_BYTES = 4 * 1024 * 1024
"""Bytes read of a body whose request is already answered, so that the client gets to reading the answer."""
MAX_PIPELINED = 16
"""Maximum number of requests waiting behind one that is being answered; the last ends the connection. uvicorn has no limit."""
_WHILE_SENDING = frozenset({400, 413, 431})
"""Status codes for requests that the client is probably still sending. After others, the connection is closed at once."""
_PIECE_BYTES, _BODY_PIECE_BYTES = 4 * 1024, 16 * 1024
"""Bytes parsed at a time: what was read at once may be thousands of requests."""
_FRAMING = 8
"""Maximum ratio of bytes received to bytes of body. A chunk of one byte takes six bytes, so honest bodies stay below it."""


def target_fault(target: bytes) -> str:
    """Return what is wrong with the length of a request target, empty if nothing is."""
    path, _, query = target.partition(b"?")
    if len(target) > MAX_TARGET_BYTES:
        return f"The URL has {len(target)} bytes. The maximum is {MAX_TARGET_BYTES}."
    if len(path) > MAX_PATH_BYTES:
        return f"The path of the URL has {len(path)} bytes. The maximum is {MAX_PATH_BYTES}."
    if query.count(b"&") >= MAX_PARAMETERS:
        return f"The URL has more than {MAX_PARAMETERS} parameters."
    return ""


class PanelConnections(OpenConnections["PanelConnection"]):
    """All open connections to the panel's port."""

    def __init__(self, limits: ConnectionLimits, proxies: IpNetworks = ()) -> None:
        super().__init__(limits, lambda peer: is_in(peer, proxies))

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "PanelConnection":
        """Return a protocol for a new connection. uvicorn calls this, as its ``http`` class."""
        return PanelConnection(self, config, server_state, app_state, _loop)

    async def keep_sweeping(self) -> None:
        """End connections over their deadlines, once a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1.0)
            self.sweep(loop.time())


class PanelConnection(HttpToolsProtocol):
    """A connection. Everything not defined here is uvicorn's protocol."""

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # uvicorn says that it is never None

    def __init__(
        self,
        connections: PanelConnections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.peer = ""
        self._connections = connections
        self._refused = False
        self._lingers = False
        self._in_head = False
        self._in_body = False
        self._begun = 0
        """Requests that began in the bytes being parsed."""
        self._head_bytes = 0
        self._message_bytes = 0
        self._body_bytes = 0
        self._since = self.loop.time()
        """When the connection entered its current phase."""
        self._checked_at = self._since
        self._checked_bytes = 0
        self._stalled_at = 0.0

    # asyncio.Protocol -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        """Accept the connection unless too many are open, of its address or in total."""
        super().connection_made(transport)
        self.peer = self.client[0].removeprefix(MAPPED) if self.client else ""
        if not self._connections.enter(self):
            self._refuse(503, "Too many connections are open. Try again in a moment.", b"retry-after: 2\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser piece by piece. Refuse requests over a limit, and anything that is not HTTP."""
        at = 0
        while at < len(data) and not self._refused:
            size = _BODY_PIECE_BYTES if self._in_body else _PIECE_BYTES
            self._feed(data[at : at + size])
            at += size

    def _feed(self, data: bytes) -> None:
        # uvicorn does this in data_received, which we override.
        self._unset_keepalive_if_required()
        was_idle = not self._in_head and not self._in_body
        self._begun = 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # There is no other protocol to upgrade to. The request is answered, and the parser reads none after it.
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(400, "The request is not valid HTTP/1.1.")
        if self._in_head or self._in_body:
            self._count(len(data), was_idle)
        self._connections.count_bytes(self, self._message_bytes if self._in_head else 0)

    def pause_writing(self) -> None:
        """The client does not read its answer: from now on it has the time limit of an idle connection."""
        super().pause_writing()
        self._stalled_at = self.loop.time()

    def resume_writing(self) -> None:
        """The client reads its answer again."""
        super().resume_writing()
        self._stalled_at = 0.0

    # httptools --------------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        # Not refused with an error: the answers to the requests before it come first.
        if len(self.pipeline) >= MAX_PIPELINED and self.cycle is not None:
            self.cycle.keep_alive = False  # its answer says that it is the last, so the client retries the others
            self._refused = True
        super().on_message_begin()
        if self._refused:
            return
        self._begun += 1
        self._in_head = True
        self._head_bytes = self._message_bytes = self._body_bytes = 0
        self._since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """Read a piece of the request target."""
        if self._has_room(len(url)):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a header. Trailers are counted and ignored."""
        if self._has_room(len(name) + len(value) + 4) and self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request."""
        self._in_head = False
        if self._refused:
            return
        if fault := target_fault(self.url):
            self._refuse(414, fault)
            return
        self._in_body = True
        self._since = self._checked_at = self.loop.time()
        self._checked_bytes = 0
        super().on_headers_complete()
        if self._connections.closing and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Read a piece of the body."""
        self._body_bytes += len(body)
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the whole request has arrived."""
        self._in_body = False
        if not self._refused:
            self._since = self.loop.time()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Note that an answer was sent."""
        self._since = self.loop.time()
        super().on_response_complete()

    # uvicorn ----------------------------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """End the connection with its next answer, which says so: an idle one may have a request on its way (see ``drained``)."""
        if self.cycle is not None and not self._is_answered():
            self.cycle.keep_alive = False

    # limits -----------------------------------------------------------------------------------------------------------

    def phase(self) -> tuple[Phase, float]:
        """Return the phase of the connection, and the key by which connections of that phase are ended first."""
        if self._stalled_at:
            return Phase.STALLED, self._stalled_at
        if self._lingers:
            return Phase.UNFINISHED, self._since
        if self._is_busy():
            return Phase.BUSY, self._since
        if self._in_body:
            # By speed: at the limit the slowest is ended first, and a long honest upload survives.
            return Phase.RECEIVING, self._body_bytes / max(0.001, self.loop.time() - self._since)
        is_idle = self.cycle is not None and not self._in_head and not self.transport.is_closing()
        return Phase.IDLE if is_idle else Phase.UNFINISHED, self._since

    def fileno(self) -> int:
        """Return the descriptor of the socket, -1 if it is closed."""
        sock = self.transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    def end(self) -> None:
        """Close the connection without an answer, and at once if there is unsent data."""
        # close() would wait for a client that reads nothing.
        self.transport.abort() if self.transport.get_write_buffer_size() else self.transport.close()

    def sweep(self, now: float) -> None:
        """End the connection if it is over its deadline."""
        limits = self._connections.limits
        waited = now - self._since
        if self.transport.is_closing() or self._stalled_at:
            if now - (self._stalled_at or self._since) > limits.keep_alive_seconds:
                self.transport.abort()
        elif self._lingers:
            if waited > LINGER_SECONDS:
                self.transport.abort()
        elif self._is_busy():
            return
        elif self._in_head:
            if waited > limits.request_seconds:
                self._refuse(408, "The request took too long.")
        elif self._in_body:
            self._sweep_body(now)
        elif waited > limits.keep_alive_seconds:
            self.end()

    def _is_busy(self) -> bool:
        """Return whether a whole request is being answered; the head of the next one may be arriving behind it."""
        return not self._is_answered() and not self._in_body

    def _is_answered(self) -> bool:
        """Return whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _sweep_body(self, now: float) -> None:
        """End a body that arrives too slowly. It has no deadline as a whole; time in which we do not read it does not count."""
        seconds = self._connections.limits.request_seconds
        if self._is_answered():
            if now - self._since > seconds:
                self.end()
            return
        if self.flow.read_paused:
            self._checked_at, self._checked_bytes = now, self._body_bytes
        # Measured per interval, not since the start: otherwise a body that began fast could then stop.
        elif now - self._checked_at > seconds:
            arrived = self._body_bytes - self._checked_bytes
            if arrived < MIN_BODY_BYTES_PER_SECOND * (now - self._checked_at):
                self._refuse(408, "The body arrives too slowly.")
            self._checked_at, self._checked_bytes = now, self._body_bytes

    def _has_room(self, size: int) -> bool:
        """Count bytes of the head. Return False if they are over the limit, or the request was refused before."""
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES and not self._refused:
            self._refuse(431, "The head of the request is larger than 64 KB.")
        return not self._refused

    def _count(self, size: int, was_idle: bool) -> None:
        """Count bytes of an unfinished request.

        The parser collects a header until it is complete and reports nothing before, so it is counted here.
        """
        if self._begun > 1 or (self._begun and not was_idle):
            return  # some of these bytes belong to the request before: at most what is read at once
        self._message_bytes += size
        if self._in_head and self._message_bytes > HEAD_BYTES:
            self._refuse(431, "The head of the request is larger than 64 KB.")
        elif self._message_bytes > 2 * HEAD_BYTES + _FRAMING * self._body_bytes:
            self._refuse(413, "The body is in too many pieces.")
        elif self._in_body and self._is_answered() and self._body_bytes > MAX_UNREAD_BYTES:
            # If the connection ended now, data on its way would reset it, which nginx counts as our failure. See ``_sweep_body``.
            self.flow.pause_reading()

    def _refuse(self, status: int, text: str, headers: bytes = b"") -> None:
        """Answer with an error unless an answer has begun, and end the connection. Nothing more of it is read."""
        self._refused = True
        self._in_head = self._in_body = False
        if self.transport.is_closing():
            return
        cycle = self.cycle
        has_begun = cycle is not None and cycle.response_started and not cycle.response_complete
        if cycle is not None and not cycle.response_complete:
            # So that the application, which may wait for the rest, ends and writes nothing more.
            cycle.disconnected = True
            cycle.message_event.set()
        if not has_begun:
            self.transport.write(plain_response(status, text + "\n", keep_alive=False, headers=headers))
        if status in _WHILE_SENDING:
            # If we closed it, data that the client is still sending would reset the connection. It is read and discarded.
            self._lingers = True
            self._since = self.loop.time()
            self.transport.write_eof()
        else:
            self.transport.close()
