"""Requests of one connection that wait for earlier ones, and the turns in which those of all connections are answered."""

import asyncio
from collections import deque
from typing import Generic, Protocol, TypeVar

from clickloop.edge.message import Request
from clickloop.edge.request_limits import PIECE_BYTES, PIPELINED, PIPELINED_BYTES, TURN_ANSWERS


class Backlog:
    """What one connection has sent ahead of its answers: requests, and bytes that are not parsed yet.

    A client may send thousands of requests in one packet. Only a few at a time are parsed, so that memory and time stay bounded.
    """

    __slots__ = ("_at", "_bytes", "requests", "unparsed")

    def __init__(self) -> None:
        # Attributes, since each read of a socket looks at both: a property costs it a tenth of a microsecond.
        self.requests: deque[Request | bytes] = deque()
        self.unparsed = b""
        self._bytes = 0
        self._at = 0

    @property
    def is_full(self) -> bool:
        """Whether as many requests wait as may, by their number or the size of their bodies."""
        return len(self.requests) >= PIPELINED or self._bytes >= PIPELINED_BYTES

    @property
    def size(self) -> int:
        """Bytes of memory that all of it takes, roughly."""
        return self._bytes + len(self.unparsed) - self._at

    def add(self, request: Request | bytes) -> None:
        """Put a request at the end, or a refusal that has to wait for its turn."""
        self.requests.append(request)
        if not isinstance(request, bytes):
            self._bytes += len(request.body) + len(request.query)

    def pop(self) -> Request | bytes:
        """Take the first one out."""
        request = self.requests.popleft()
        if not isinstance(request, bytes):
            self._bytes -= len(request.body) + len(request.query)
        return request

    def add_unparsed(self, data: bytes) -> None:
        """Put bytes behind those that wait to be parsed."""
        self.unparsed = self.unparsed[self._at :] + data
        self._at = 0

    def pop_piece(self) -> bytes:
        """Take the next bytes to be parsed."""
        piece = self.unparsed[self._at : self._at + PIECE_BYTES]
        self._at += len(piece)
        if self._at == len(self.unparsed):
            self.drop_unparsed()
        return piece

    def drop_unparsed(self) -> None:
        """Forget the bytes that wait to be parsed."""
        self.unparsed, self._at = b"", 0

    def clear(self) -> None:
        """Forget all of it."""
        self.requests.clear()
        self._bytes = 0
        self.drop_unparsed()


class WaitingConnection(Protocol):
    """The part of a connection that is used here."""

    def answer_next(self) -> None:
        """Answer the next request of the backlog."""
        ...


W = TypeVar("W", bound=WaitingConnection)


class Turns(Generic[W]):
    """Connections with a backlog, answered in turn: one request each, and a bounded number in one turn of the event loop.

    So a client that sends thousands of requests ahead makes nobody else wait for them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[W] = deque()
        self._is_scheduled = False

    def wait(self, connection: W) -> None:
        """Have the connection's next request answered in a coming turn. Called once for each request."""
        self._waiting.append(connection)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._is_scheduled = False
        for _ in range(min(TURN_ANSWERS, len(self._waiting))):
            self._waiting.popleft().answer_next()
        self._schedule()
