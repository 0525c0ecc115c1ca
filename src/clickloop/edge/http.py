"""HTTP/1.1 for the public endpoints, on httptools: strict, bounded, with deadlines; responses keep the order of the requests.

Why not a general server: ``docs/decisions/0001-own-protocol-at-the-edge.md``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import httptools

from clickloop.edge.backlog import Backlog, FairQueue
from clickloop.edge.burst import Burst
from clickloop.edge.message import (
    Endpoints,
    HttpRequest,
    escaped_request_line,
    plain_response,
    without_body,
    without_fragment,
)
from clickloop.edge.open_connections import MAPPED, ConnectionLimits, IsUnlimited, OpenConnections, Phase
from clickloop.edge.request_limits import LARGE_BYTES, LINGER_BYTES, LINGER_SECONDS, PIECE_BYTES
from clickloop.edge.request_reader import RequestReader
from clickloop.machine.log import RateLimitedLog


class Connections(OpenConnections["HttpConnection"]):
    """All open connections of one edge process, and the responses about to be sent on them."""

    def __init__(
        self,
        limits: ConnectionLimits,
        endpoints: Endpoints,
        is_unlimited: IsUnlimited,
        before_sending: Callable[[], None] = lambda: None,
    ) -> None:
        """``before_sending``: see ``Burst``."""
        super().__init__(limits, is_unlimited)
        self.endpoints = endpoints
        self.request_failed = RateLimitedLog("a request could not be answered")
        loop = asyncio.get_running_loop()
        self.burst: Burst[HttpConnection] = Burst(loop, before_sending, self.request_failed)
        self.fair_queue: FairQueue[HttpConnection] = FairQueue(loop)

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection, for ``loop.create_server``."""
        return HttpConnection(self)


class HttpConnection(RequestReader, asyncio.Protocol):
    """One connection. While a response is being awaited, later requests queue in the backlog."""

    __slots__ = (
        "_backlog", "_connections", "_ended", "_linger_bytes", "_paused", "_queued", "_refused", "_stalled", "_task", "_transport",
        "_unsent", "peer",
    )  # fmt: skip

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._backlog = Backlog()
        self._task: asyncio.Task[None] | None = None
        self._paused = self._stalled = self._queued = self._refused = self._ended = False
        self._linger_bytes = 0
        self._unsent = 0
        self.peer = ""

    # asyncio.Protocol -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, unless its address or all addresses together have too many."""
        transport = cast(asyncio.Transport, transport)  # uvloop's transports do not subclass asyncio's
        peername = transport.get_extra_info("peername")
        self.peer = peername[0].removeprefix(MAPPED) if isinstance(peername, tuple) else ""
        self._transport = transport
        if not self._connections.enter(self):
            self._refuse(503, "Too many connections are open.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up. An awaited response continues: its notice is stored even though the client has gone."""
        self._connections.leave(self)
        self._transport = None
        self._backlog.clear()
        # Breaks the reference cycle with the parser, which would keep the last request in memory until a garbage collection.
        del self._parser
        self._url, self._headers, self._body = b"", {}, []

    def data_received(self, data: bytes) -> None:
        """Parse what was read. Invalid HTTP ends the connection with 400."""
        if self._done and len(data) <= PIECE_BYTES and data.isascii() and not (self._refused or self._backlog.unparsed):
            # The fast path: almost every request arrives whole in one read.
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                self._feed_behind_upgrades(data, stop)
            # One message for all errors: the parser's own are meant for programmers.
            except httptools.HttpParserError:
                self._refuse_invalid()
            if not self._done:
                self._count()
        elif self._refused:
            self._discard(len(data))
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        """Parse a read that is not one whole ASCII request."""
        if not data.isascii() and (self._done or not self._headers) and not self._backlog.unparsed:
            data = escaped_request_line(data)
        self._large = self._large or len(data) > LARGE_BYTES or not (self._done or self._head_complete)
        if len(data) <= PIECE_BYTES and not self._backlog.unparsed:
            self._feed(data)
        else:
            self._backlog.add_unparsed(data)
            self._feed_pieces()
        self._count()

    def _feed_pieces(self) -> None:
        """Parse what was read piece by piece, until the backlog is full; the rest waits unparsed."""
        backlog = self._backlog
        while backlog.unparsed and not (backlog.is_full or self._refused or self._last):
            self._feed(backlog.pop_piece())
        if backlog.unparsed:
            if self._refused or self._last:
                backlog.drop_unparsed()
            else:
                self._pause()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _count(self) -> None:
        """Report the memory used by an incomplete request and the backlog."""
        self._connections.count_bytes(self, (0 if self._done else self._message_bytes) + self._backlog.size)

    def eof_received(self) -> bool:
        """Keep the connection open until pending responses are sent: the client may have closed its sending half only."""
        self._ended = True
        return self._task is not None or self._unsent > 0 or bool(self._backlog.requests)

    def pause_writing(self) -> None:
        """Stop reading and answering while the client does not read its responses."""
        self._stalled = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Continue once the client reads its responses again."""
        self._stalled = False
        if self._transport is not None and not self._paused:
            self._transport.resume_reading()
        self._go_on()

    def _invite_body(self) -> None:
        """Send 100 Continue to a client that waits for it (RFC 9110, 10.1.1), unless earlier responses are pending."""
        if self._transport is not None and not (self._task or self._unsent or self._backlog.requests):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_message_complete(self) -> None:
        transport = self._transport
        if transport is None or self._last:
            return
        parser = self._parser
        self._done = True
        url = self._url
        keep_alive = parser.should_keep_alive() and not self._connections.closing
        if url[:1] != b"/":
            keep_alive = keep_alive and parser.get_method() != b"CONNECT"  # what follows is not HTTP
            url = b"/" + url.partition(b"://")[2].partition(b"/")[2]
        path, _, query = url.partition(b"?")
        if b"#" in query:
            query = without_fragment(query)
        request = HttpRequest(
            parser.get_method(),
            path,
            query,
            self._headers,
            b"".join(self._body) if self._body else b"",
            self.peer,
            keep_alive,
        )
        if self._task is not None or self._backlog.requests or (self._unsent and not self._connections.burst.has_room):
            self._backlog.add(request)
            if self._backlog.is_full:
                self._pause()
            self._go_on()
            return
        self._answer(request)

    # answering --------------------------------------------------------------------------------------------------------

    def _answer(self, request: HttpRequest) -> None:
        try:
            answer = self._connections.endpoints(request)
            if request.method == b"HEAD" and isinstance(answer, bytes):
                answer = without_body(answer)
        except Exception as fault:  # otherwise the parser would report it as an invalid request
            self._fail(fault)
            return
        if isinstance(answer, bytes):
            self._write(answer, request.keep_alive)
        else:
            # Referenced here because the loop holds tasks weakly: the task could be collected before it ends.
            self._task = self._loop.create_task(self._answer_later(answer, request))

    async def _answer_later(self, answer: Awaitable[bytes], request: HttpRequest) -> None:
        try:
            then = await answer
            self._write(without_body(then) if request.method == b"HEAD" else then, request.keep_alive)
        except Exception as fault:
            self._fail(fault)
        finally:
            self._task = None
        self._go_on()

    def _go_on(self) -> None:
        """Queue the next request of the backlog, unless a response is being awaited or the client does not read."""
        if not self._queued and self._task is None and not self._stalled and (self._backlog.requests or self._paused):
            self._queued = True
            self._connections.fair_queue.wait(self)

    def answer_next(self) -> None:
        """Answer the next request of the backlog, or read on."""
        self._queued = False
        transport = self._transport
        if transport is None or self._task is not None or self._stalled:
            return
        if self._last:
            self._backlog.clear()
        elif self._backlog.requests:
            request = self._backlog.pop()
            if isinstance(request, bytes):  # an error response that had to wait for earlier requests
                self._write(request, keep_alive=False)
            else:
                self._answer(request)
        if self._backlog.unparsed and not self._backlog.is_full:
            self._feed_pieces()
            self._count()
        if self._paused and not self._backlog.unparsed and not self._backlog.is_full:
            self._paused = False
            transport.resume_reading()
        self._go_on()

    def _write(self, answer: bytes, keep_alive: bool) -> None:
        """Queue a response for sending. It is the last on the connection if ``keep_alive`` is false."""
        if self._transport is None or self._last:
            return
        self._last = not keep_alive
        self._unsent += 1
        self._connections.burst.send(self, answer, self._last)

    def put(self, answer: bytes, last: bool, now: float) -> None:
        """Send a response, and close the connection if it is the last or nothing is pending after EOF."""
        self._unsent -= 1
        self._since = now
        transport = self._transport
        if transport is None or transport.is_closing() or self._linger_bytes:
            return  # already closing: a burst that could not be recorded has several last responses
        transport.write(answer)
        if last or (self._ended and not (self._task or self._unsent or self._backlog.requests)):
            self._last = True
            self._linger(transport) if self._refused and not self._ended else transport.close()

    def _linger(self, transport: asyncio.Transport) -> None:
        """Close only the sending half. If both were closed, data the client is still sending would reset the connection.

        nginx treats a reset as a failure and, if it has a second upstream, sends nothing here for ten seconds.
        """
        self._linger_bytes = LINGER_BYTES
        self._backlog.drop_unparsed()
        self._body = []
        self._connections.count_bytes(self, 0)
        if self._paused:
            self._paused = False
            transport.resume_reading()
        transport.write_eof()

    def _discard(self, size: int) -> None:
        if self._linger_bytes > 0 and self._transport is not None:
            self._linger_bytes -= size
            # Enough read: the rest stays in the system's buffers until ``LINGER_SECONDS`` are over.
            if self._linger_bytes <= 0:
                self._transport.pause_reading()

    def _fail(self, fault: Exception) -> None:
        """Log an exception from an endpoint and answer 500."""
        self._connections.request_failed(fault=f"{type(fault).__name__}: {fault}")
        self._end(500, "Internal error. See the server's log.")

    def _refuse(self, status: int, text: str) -> None:
        """End the connection with an error, sent after the responses to earlier requests. Read nothing more."""
        if self._task is None and not self._backlog.requests:
            self._refused = status in _WHILE_SENDING
            self._end(status, text)
        elif not self._refused:
            self._refused = True
            # Queued, since responses keep the order of the requests, errors included.
            self._backlog.add(plain_response(status, text + "\n", keep_alive=False))

    def _end(self, status: int, text: str) -> None:
        self._backlog.clear()
        self._write(plain_response(status, text + "\n", keep_alive=False), keep_alive=False)

    def sweep(self, now: float) -> None:
        """End the connection if it is past its deadline."""
        if self._task is not None or self._unsent or (self._backlog.requests and not self._stalled):
            return
        waited = now - self._since
        limits = self._connections.limits
        transport = self._transport
        if transport is None:
            return
        if transport.is_closing():
            if waited > limits.keep_alive_seconds:
                transport.abort()
        elif self._refused and self._last:
            if waited > LINGER_SECONDS:
                transport.abort()
        elif not self._done and not self._stalled and waited > limits.request_seconds:
            self._refuse(408, "The request took too long.")
        elif waited > limits.keep_alive_seconds:
            transport.abort() if transport.get_write_buffer_size() else transport.close()

    def phase(self) -> tuple[Phase, float]:
        """Return the phase, and when the request began or the last response was sent."""
        if self._task is not None or self._unsent or (self._backlog.requests and not self._stalled):
            return Phase.BUSY, self._since
        transport = self._transport
        is_idle = (
            self._done and not self._refused and self._url and transport is not None and not transport.is_closing()
        )
        return Phase.IDLE if is_idle else Phase.UNFINISHED, self._since

    def fileno(self) -> int:
        """Return the socket's file descriptor, or -1 if it is closed."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        return -1 if sock is None else int(sock.fileno())

    def end(self) -> None:
        """Close the connection without a response; abort if the client has not read an earlier one."""
        transport = self._transport
        if transport is not None:
            transport.abort() if transport.get_write_buffer_size() else transport.close()


_WHILE_SENDING = frozenset({400, 413, 414, 431})
"""Errors after which the client is probably still sending, so the connection lingers. Other errors close it at once."""
