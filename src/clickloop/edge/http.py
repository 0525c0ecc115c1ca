"""HTTP/1.1 for the public doors, over httptools: strict, bounded, with deadlines; answers leave in the order of the requests.

Why not a general server: ``docs/decisions/0001-own-protocol-at-the-edge.md``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import httptools

from clickloop.edge.backlog import Backlog, Turns
from clickloop.edge.burst import Burst
from clickloop.edge.message import Doors, Request, escaped_request_line, plain_answer, without_body, without_fragment
from clickloop.edge.open_connections import MAPPED, Limits, OpenConnections, Phase, Unlimited
from clickloop.edge.request_limits import LARGE_BYTES, LINGER_BYTES, LINGER_SECONDS, PIECE_BYTES
from clickloop.edge.request_reader import RequestReader
from clickloop.machine.log import Sparingly


class Connections(OpenConnections["HttpConnection"]):
    """All open connections of one edge process, and the answers that are about to leave on them."""

    def __init__(
        self, limits: Limits, doors: Doors, unlimited: Unlimited, before_sending: Callable[[], None] = lambda: None
    ) -> None:
        """``before_sending``: called once before the answers of a burst leave. If it raises, they are not sent, but 503."""
        super().__init__(limits, unlimited)
        self.doors = doors
        self.door_failed = Sparingly("a request could not be answered")
        loop = asyncio.get_running_loop()
        self.burst: Burst[HttpConnection] = Burst(loop, before_sending, self.door_failed)
        self.turns: Turns[HttpConnection] = Turns(loop)

    def __call__(self) -> asyncio.Protocol:
        """A protocol for a fresh connection, as ``loop.create_server`` asks for it."""
        return HttpConnection(self)


class HttpConnection(RequestReader, asyncio.Protocol):
    """One connection. While an awaited answer is under way, later requests queue."""

    __slots__ = (
        "_backlog", "_connections", "_ended", "_linger_bytes", "_paused", "_refused", "_stalled", "_task", "_transport", "_unsent",
        "_waits", "peer",
    )  # fmt: skip

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._backlog = Backlog()
        self._task: asyncio.Task[None] | None = None
        self._paused = self._stalled = self._waits = self._refused = self._ended = False
        self._linger_bytes = 0
        self._unsent = 0
        self.peer = ""

    # asyncio.Protocol -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless its address, or everybody together, has too many already."""
        transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses
        peername = transport.get_extra_info("peername")
        self.peer = peername[0].removeprefix(MAPPED) if isinstance(peername, tuple) else ""
        self._transport = transport
        if not self._connections.enter(self):
            self._refuse(503, "Too many connections are open.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection. An awaited answer goes on: what it stores is stored, whether or not anybody hears of it."""
        self._connections.leave(self)
        self._transport = None
        self._backlog.clear()
        # The parser knows us and we it: else both would keep a request of some hundred KB until the collector comes round.
        del self._parser
        self._url, self._headers, self._body = b"", {}, []

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; anything it objects to ends the connection with 400."""
        if self._done and len(data) <= PIECE_BYTES and data.isascii() and not (self._refused or self._backlog.unparsed):
            # Almost every request comes whole in one read.
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                self._feed_behind_upgrades(data, stop)
            # One answer for all: the parser's own messages are made for programmers.
            except httptools.HttpParserError:
                self._refuse_invalid()
            if not self._done:
                self._count()
        elif self._refused:
            self._discard(len(data))
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        """Parse what is no whole request in one read, or has more than ASCII."""
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
        """Parse what was read piece by piece, until enough requests wait that the rest has to."""
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
        """Have the memory counted that a request takes which is not here in whole, or not answered."""
        self._connections.count_bytes(self, (0 if self._done else self._message_bytes) + self._backlog.size)

    def eof_received(self) -> bool:
        """A client that only closed its sending half still gets its answers; then the connection is closed."""
        self._ended = True
        return self._task is not None or self._unsent > 0 or bool(self._backlog.requests)

    def pause_writing(self) -> None:
        """The client does not take its answers: read no more of its requests meanwhile, and answer none that are here."""
        self._stalled = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client takes answers again."""
        self._stalled = False
        if self._transport is not None and not self._paused:
            self._transport.resume_reading()
        self._go_on()

    def _invite_body(self) -> None:
        """Send 100 Continue to a client that waits for it (RFC 9110, 10.1.1), unless earlier answers are still to leave."""
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
            keep_alive = keep_alive and parser.get_method() != b"CONNECT"  # what follows that is no HTTP
            url = b"/" + url.partition(b"://")[2].partition(b"/")[2]
        path, _, query = url.partition(b"?")
        if b"#" in query:
            query = without_fragment(query)
        request = Request(
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

    def _answer(self, request: Request) -> None:
        try:
            answer = self._connections.doors(request)
            if request.method == b"HEAD" and isinstance(answer, bytes):
                answer = without_body(answer)
        except Exception as fault:  # else the parser would take it for a fault of the request
            self._fail(fault)
            return
        if isinstance(answer, bytes):
            self._write(answer, request.keep_alive)
        else:
            # Kept: the loop holds tasks weakly, and one that nobody holds may be collected before it ends.
            self._task = self._loop.create_task(self._answer_later(answer, request))

    async def _answer_later(self, answer: Awaitable[bytes], request: Request) -> None:
        try:
            then = await answer
            self._write(without_body(then) if request.method == b"HEAD" else then, request.keep_alive)
        except Exception as fault:
            self._fail(fault)
        finally:
            self._task = None
        self._go_on()

    def _go_on(self) -> None:
        """Have the next request of the backlog answered when its turn comes, unless an answer is under way or not taken."""
        if not self._waits and self._task is None and not self._stalled and (self._backlog.requests or self._paused):
            self._waits = True
            self._connections.turns.wait(self)

    def answer_next(self) -> None:
        """Answer the next request of the backlog, or read on."""
        self._waits = False
        transport = self._transport
        if transport is None or self._task is not None or self._stalled:
            return
        if self._last:
            self._backlog.clear()
        elif self._backlog.requests:
            request = self._backlog.pop()
            if isinstance(request, bytes):  # a refusal that had to wait for its turn
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
        """Hands an answer over to be sent; the last one of a connection when ``keep_alive`` is false."""
        if self._transport is None or self._last:
            return
        self._last = not keep_alive
        self._unsent += 1
        self._connections.burst.send(self, answer, self._last)

    def put(self, answer: bytes, last: bool, now: float) -> None:
        """Sends an answer, and closes the connection if it was the last, or nothing more is to come."""
        self._unsent -= 1
        self._since = now
        transport = self._transport
        if transport is None or transport.is_closing() or self._linger_bytes:
            return  # the last: where nothing could be recorded, each of several answers is one
        transport.write(answer)
        if last or (self._ended and not (self._task or self._unsent or self._backlog.requests)):
            self._last = True
            self._linger(transport) if self._refused and not self._ended else transport.close()

    def _linger(self, transport: asyncio.Transport) -> None:
        """Close the sending half alone. Were all closed, what the client is still sending would reset the connection.

        nginx takes that for a failure of ours and sends nobody here for ten seconds, wherever it knows of a second server.
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
            # Enough: what it sends further stays in the system's buffers until the time is over.
            if self._linger_bytes <= 0:
                self._transport.pause_reading()

    def _fail(self, fault: Exception) -> None:
        """Answers 500 for a door that broke off, and tells it."""
        self._connections.door_failed(fault=f"{type(fault).__name__}: {fault}")
        self._end(500, "Something went wrong here; the log says what.")

    def _refuse(self, status: int, text: str) -> None:
        """Ends the connection with an error, after what is still to be answered; nothing further of it is read."""
        if self._task is None and not self._backlog.requests:
            self._refused = status in _WHILE_SENDING
            self._end(status, text)
        elif not self._refused:
            self._refused = True
            # In its turn: answers leave in the order of the requests, refusals too.
            self._backlog.add(plain_answer(status, text + "\n", keep_alive=False))

    def _end(self, status: int, text: str) -> None:
        self._backlog.clear()
        self._write(plain_answer(status, text + "\n", keep_alive=False), keep_alive=False)

    def sweep(self, now: float) -> None:
        """Ends the connection if it is over its deadline."""
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
        """Return what the connection is doing, and since when."""
        if self._task is not None or self._unsent or (self._backlog.requests and not self._stalled):
            return Phase.BUSY, self._since
        transport = self._transport
        is_idle = (
            self._done and not self._refused and self._url and transport is not None and not transport.is_closing()
        )
        return Phase.IDLE if is_idle else Phase.UNFINISHED, self._since

    def fileno(self) -> int:
        """Return the descriptor of the socket; -1 when it is closed."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        return -1 if sock is None else int(sock.fileno())

    def end(self) -> None:
        """Close the connection without a word, and at once where an answer is left that the client does not take."""
        transport = self._transport
        if transport is not None:
            transport.abort() if transport.get_write_buffer_size() else transport.close()


_WHILE_SENDING = frozenset({400, 413, 414, 431})
"""Refusals of a request whose client is probably still sending it. Else the connection is closed at once."""
