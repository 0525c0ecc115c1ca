"""Batches the responses of one event loop iteration: one write stores what they record, then they are sent."""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from clickloop.edge.message import plain_response
from clickloop.edge.request_limits import MAX_ANSWERS_PER_ITERATION
from clickloop.machine.log import RateLimitedLog


class AnsweredConnection(Protocol):
    """The part of a connection that ``Burst`` uses."""

    def put(self, answer: bytes, last: bool, now: float) -> None: ...


A = TypeVar("A", bound=AnsweredConnection)


class Burst(Generic[A]):
    """The responses of all connections from one event loop iteration."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, before_sending: Callable[[], None], failed: RateLimitedLog
    ) -> None:
        """``before_sending`` is called once before the responses of a burst are sent. If it raises, each becomes a 503."""
        self._loop = loop
        self._before_sending = before_sending
        self._failed = failed
        self._answers: list[tuple[A, bytes, bool]] = []

    @property
    def has_room(self) -> bool:
        """Return whether a connection may get a second response in this iteration of the event loop."""
        return len(self._answers) < MAX_ANSWERS_PER_ITERATION

    def send(self, connection: A, answer: bytes, last: bool) -> None:
        """Send a response together with the others of this iteration. ``last``: the connection is closed after it."""
        if not self._answers:
            # Runs in the next iteration: by then every request read in this one has its response.
            self._loop.call_soon(self._send_all)
        self._answers.append((connection, answer, last))

    def _send_all(self) -> None:
        # Swapped out first: sending may produce further responses, which belong to the next burst.
        answers, self._answers = self._answers, []
        try:
            self._before_sending()
        except Exception as fault:
            self._failed(fault=f"{type(fault).__name__}: {fault}")
            sorry = plain_response(503, "The request could not be recorded. Try again.\n", False, b"retry-after: 1\r\n")
            answers = [(connection, sorry, True) for connection, _, _ in answers]
        now = self._loop.time()
        for connection, answer, last in answers:
            try:
                connection.put(answer, last, now)
            except Exception as fault:  # otherwise the remaining connections would stay busy for ever
                self._failed(fault=f"{type(fault).__name__}: {fault}")
