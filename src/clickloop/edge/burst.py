"""The answers of one turn of the event loop: what they store is stored with one write, then they leave."""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from clickloop.edge.message import plain_answer
from clickloop.edge.request_limits import TURN_ANSWERS
from clickloop.machine.log import Sparingly


class AnsweredConnection(Protocol):
    """The part of a connection that is used here."""

    def put(self, answer: bytes, last: bool, now: float) -> None:
        """Send an answer."""
        ...


A = TypeVar("A", bound=AnsweredConnection)


class Burst(Generic[A]):
    """Gathers the answers of all connections that are made in the same moment."""

    def __init__(self, loop: asyncio.AbstractEventLoop, before_sending: Callable[[], None], failed: Sparingly) -> None:
        """``before_sending``: called once before the answers of a burst leave. If it raises, they are not sent, but 503."""
        self._loop = loop
        self._before_sending = before_sending
        self._failed = failed
        self._answers: list[tuple[A, bytes, bool]] = []

    @property
    def has_room(self) -> bool:
        """Whether a second request of one connection is answered in this turn of the event loop."""
        return len(self._answers) < TURN_ANSWERS

    def send(self, connection: A, answer: bytes, last: bool) -> None:
        """Send an answer with those of all requests that came in the same moment."""
        if not self._answers:
            # At the end of this turn: by then all requests that came together have their answers.
            self._loop.call_soon(self._send_all)
        self._answers.append((connection, answer, last))

    def _send_all(self) -> None:
        # Taken first: sending may lead to further answers, which are of the next burst.
        answers, self._answers = self._answers, []
        try:
            self._before_sending()
        except Exception as fault:
            self._failed(fault=f"{type(fault).__name__}: {fault}")
            sorry = plain_answer(503, "That could not be recorded. Try again.\n", False, b"retry-after: 1\r\n")
            answers = [(connection, sorry, True) for connection, _, _ in answers]
        now = self._loop.time()
        for connection, answer, last in answers:
            try:
                connection.put(answer, last, now)
            except Exception as fault:  # else the other connections would wait for ever, and count as busy
                self._failed(fault=f"{type(fault).__name__}: {fault}")
