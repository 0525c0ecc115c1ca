"""A process that simulates flaky receivers, on every address of 127/8 at one port.

``python -m bench.flaky PORT SEED FAULTY_PERCENT`` runs until its standard input ends, then prints all requests received as JSON.
A request is ``…?…pid=POSTBACK_ID…``. ``GET /accepted`` returns the number of requests answered with 200 so far.
"""

import asyncio
import contextlib
import enum
import random
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from bench.killable import quiet_port

ANSWER_SECONDS = (0.002, 0.03)
"""Minimum and maximum response time, so that requests are in flight for a while."""
HANG_SECONDS = 60.0
_REQUEST = re.compile(rb"[?&]pid=([0-9a-z]{26})")
_ATTEMPT = re.compile(rb"(?i)\r\nx-clickloop-attempt: *(\d+)")
_ACCEPTED = b"GET /accepted "
_RESET = struct.pack("ii", 1, 0)


class AnswerKind(enum.StrEnum):
    """The response to a request."""

    OK = "ok"
    ERROR = "500"
    HANG = "hang"
    """No response, until long after every timeout."""
    RESET = "reset"
    DROP = "drop"
    """The connection is closed without a response; a retry may get 200."""
    BUSY = "429"


FAULTS = (AnswerKind.ERROR, AnswerKind.HANG, AnswerKind.RESET, AnswerKind.DROP, AnswerKind.BUSY)


class ReceivedRequest(msgspec.Struct, array_like=True):
    """A request as received."""

    postback_id: str
    attempt: int
    """Number in its header; 0 if there was none."""
    kind: AnswerKind
    answered: bool = False
    """False if the client had gone, or was killed, before the response was due."""


class _Flaky:
    """The state shared by all connections."""

    def __init__(self, seed: int, faulty_percent: float) -> None:
        self.arrivals: list[ReceivedRequest] = []
        self.accepted = 0
        self._chance = random.Random(seed)
        self._faulty = faulty_percent / 100

    def arrive(self, head: bytes) -> ReceivedRequest:
        """Record a request and draw its answer."""
        found, attempt = _REQUEST.search(head), _ATTEMPT.search(head)
        kind = self._chance.choice(FAULTS) if self._chance.random() < self._faulty else AnswerKind.OK
        arrival = ReceivedRequest(found[1].decode() if found else "", int(attempt[1]) if attempt else 0, kind)
        self.arrivals.append(arrival)
        return arrival

    def seconds(self, kind: AnswerKind) -> float:
        """Return the response time of an answer."""
        return HANG_SECONDS if kind is AnswerKind.HANG else self._chance.uniform(*ANSWER_SECONDS)


class Receiver(asyncio.Protocol):
    """A connection whose client sends no request before the previous one is answered."""

    def __init__(self, flaky: _Flaky) -> None:
        self._flaky = flaky
        self._buffer = b""
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not subclass asyncio's

    def connection_lost(self, _error: Exception | None) -> None:
        if self._due is not None:
            self._due.cancel()

    def data_received(self, data: bytes) -> None:
        """Read whole requests, which have no body."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            if head.startswith(_ACCEPTED):
                output = str(self._flaky.accepted).encode()
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(output), output))
                continue
            arrival = self._flaky.arrive(head)
            loop = asyncio.get_running_loop()
            self._due = loop.call_later(self._flaky.seconds(arrival.kind), self._answer, arrival)

    def _answer(self, arrival: ReceivedRequest) -> None:
        if self._transport.is_closing():
            return
        arrival.answered = True
        match arrival.kind:
            case AnswerKind.OK:
                self._flaky.accepted += 1
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
            case AnswerKind.ERROR:
                self._transport.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
            case AnswerKind.BUSY:
                self._transport.write(b"HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
            case AnswerKind.RESET:
                with contextlib.suppress(OSError):
                    self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._transport.abort()
            case AnswerKind.DROP | AnswerKind.HANG:
                self._transport.close()


@contextlib.contextmanager
def flaky_receivers(seed: int, faulty_percent: float, arrivals: list[ReceivedRequest]) -> Iterator[int]:
    """Run the receivers' process and yield its port. On exit, add all received requests to ``arrivals``."""
    port = quiet_port()  # an ephemeral port could be taken by another client, on any address
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.flaky", str(port), str(seed), str(faulty_percent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    assert server.stdout is not None
    try:
        if server.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the receivers did not open port {port}: run python -m bench.flaky {port} 1 20")
        yield port
        output, _ = server.communicate(timeout=60)
        arrivals += msgspec.json.decode(output, type=list[ReceivedRequest])
    finally:
        server.kill()
        server.wait()


async def main(port: int, seed: int, faulty_percent: float) -> None:
    """Serve until standard input is closed."""
    flaky = _Flaky(seed, faulty_percent)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(flaky), "0.0.0.0", port, backlog=4_096)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    sys.stdout.buffer.write(msgspec.json.encode(flaky.arrivals))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
