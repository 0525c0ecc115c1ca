"""Pipelined requests of a connection, and a fair queue that answers those of all connections."""

import asyncio
from collections import deque
from typing import Generic, Protocol, TypeVar

from clickloop.edge.message import HttpRequest
from clickloop.edge.request_limits import MAX_ANSWERS_PER_ITERATION, MAX_PIPELINED, MAX_PIPELINED_BYTES, PIECE_BYTES


class Backlog:
    """Pipelined requests of one connection that are not answered yet, and bytes that are not parsed yet.

    A client may send thousands of requests in one packet. Only a few are parsed at a time, which bounds memory and time.
    """

    __slots__ = ("_at", "_bytes", "requests", "unparsed")

    def __init__(self) -> None:
        # Plain attributes: every socket read checks both, and a property would add a tenth of a microsecond.
        self.requests: deque[HttpRequest | bytes] = deque()
        self.unparsed = b""
        self._bytes = 0
        self._at = 0

    @property
    def is_full(self) -> bool:
        """Return whether the limit on the number or the total body size of waiting requests is reached."""
        return len(self.requests) >= MAX_PIPELINED or self._bytes >= MAX_PIPELINED_BYTES

    @property
    def size(self) -> int:
        """Return the approximate memory use in bytes."""
        return self._bytes + len(self.unparsed) - self._at

    def add(self, request: HttpRequest | bytes) -> None:
        """Append a request, or a ready response that must wait for earlier ones."""
        self.requests.append(request)
        if not isinstance(request, bytes):
            self._bytes += len(request.body) + len(request.query)

    def pop(self) -> HttpRequest | bytes:
        """Remove and return the oldest entry."""
        request = self.requests.popleft()
        if not isinstance(request, bytes):
            self._bytes -= len(request.body) + len(request.query)
        return request

    def add_unparsed(self, data: bytes) -> None:
        self.unparsed = self.unparsed[self._at :] + data
        self._at = 0

    def pop_piece(self) -> bytes:
        """Remove and return the next bytes to parse, at most ``PIECE_BYTES``."""
        piece = self.unparsed[self._at : self._at + PIECE_BYTES]
        self._at += len(piece)
        if self._at == len(self.unparsed):
            self.drop_unparsed()
        return piece

    def drop_unparsed(self) -> None:
        """Discard the bytes that are not parsed yet."""
        self.unparsed, self._at = b"", 0

    def clear(self) -> None:
        self.requests.clear()
        self._bytes = 0
        self.drop_unparsed()


class WaitingConnection(Protocol):
    """The part of a connection that ``FairQueue`` uses."""

    def answer_next(self) -> None: ...


W = TypeVar("W", bound=WaitingConnection)


class FairQueue(Generic[W]):
    """Connections with a backlog, served round-robin: one request each, and a bounded number per iteration of the event loop.

    A client that pipelines thousands of requests therefore does not delay others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[W] = deque()
        self._is_scheduled = False

    def wait(self, connection: W) -> None:
        """Schedule the connection's next request. Call once per request."""
        self._waiting.append(connection)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._is_scheduled = False
        for _ in range(min(MAX_ANSWERS_PER_ITERATION, len(self._waiting))):
            self._waiting.popleft().answer_next()
        self._schedule()
