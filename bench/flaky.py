"""A process that stands for receivers of which every fifth answer is a fault: on every address of 127/8, at one port.

``python -m bench.flaky PORT SEED FAULTY_PERCENT`` runs until its standard input ends, then prints as JSON every request that it got.
A request is ``…?…pid=POSTBACK_ID…``. ``GET /accepted`` is answered with the number of requests that were answered with 200 so far.
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
"""How long an answer takes, from and to: a request is under way for a while."""
HANG_SECONDS = 60.0
_REQUEST = re.compile(rb"[?&]pid=([0-9a-z]{26})")
_ATTEMPT = re.compile(rb"(?i)\r\nx-clickloop-attempt: *(\d+)")
_ACCEPTED = b"GET /accepted "
_RESET = struct.pack("ii", 1, 0)


class Kind(enum.StrEnum):
    """What a request is answered with."""

    OK = "ok"
    ERROR = "500"
    HANG = "hang"
    """No answer, until long past every deadline."""
    RESET = "reset"
    DROP = "drop"
    """The connection is closed without an answer; whoever asks again may get 200."""
    BUSY = "429"


FAULTS = (Kind.ERROR, Kind.HANG, Kind.RESET, Kind.DROP, Kind.BUSY)


class Arrival(msgspec.Struct, array_like=True):
    """A request as it arrived."""

    postback_id: str
    attempt: int
    """Of its header; 0: it had none."""
    kind: Kind
    answered: bool = False
    """False: its client was gone, or killed, before the answer was due."""


class _Flaky:
    """What all connections share."""

    def __init__(self, seed: int, faulty_percent: float) -> None:
        self.arrivals: list[Arrival] = []
        self.accepted = 0
        self._chance = random.Random(seed)
        self._faulty = faulty_percent / 100

    def arrive(self, head: bytes) -> Arrival:
        """Writes a request down, and draws its answer."""
        found, attempt = _REQUEST.search(head), _ATTEMPT.search(head)
        kind = self._chance.choice(FAULTS) if self._chance.random() < self._faulty else Kind.OK
        arrival = Arrival(found[1].decode() if found else "", int(attempt[1]) if attempt else 0, kind)
        self.arrivals.append(arrival)
        return arrival

    def seconds(self, kind: Kind) -> float:
        """How long this answer takes."""
        return HANG_SECONDS if kind is Kind.HANG else self._chance.uniform(*ANSWER_SECONDS)


class Receiver(asyncio.Protocol):
    """One connection. Its client sends the next request after the answer to the last one."""

    def __init__(self, flaky: _Flaky) -> None:
        self._flaky = flaky
        self._held = b""
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the connection."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so

    def connection_lost(self, _error: Exception | None) -> None:
        """The client is gone: what it asked stays unanswered."""
        if self._due is not None:
            self._due.cancel()

    def data_received(self, data: bytes) -> None:
        """Takes whole requests; they have no body."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head, self._held = self._held[:end], self._held[end + 4 :]
            if head.startswith(_ACCEPTED):
                told = str(self._flaky.accepted).encode()
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))
                continue
            arrival = self._flaky.arrive(head)
            loop = asyncio.get_running_loop()
            self._due = loop.call_later(self._flaky.seconds(arrival.kind), self._answer, arrival)

    def _answer(self, arrival: Arrival) -> None:
        if self._transport.is_closing():
            return
        arrival.answered = True
        match arrival.kind:
            case Kind.OK:
                self._flaky.accepted += 1
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
            case Kind.ERROR:
                self._transport.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
            case Kind.BUSY:
                self._transport.write(b"HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
            case Kind.RESET:
                with contextlib.suppress(OSError):
                    self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._transport.abort()
            case Kind.DROP | Kind.HANG:
                self._transport.close()


@contextlib.contextmanager
def flaky_receivers(seed: int, faulty_percent: float, arrivals: list[Arrival]) -> Iterator[int]:
    """The receivers' process; answers its port, and in the end puts into ``arrivals`` what came."""
    port = quiet_port()  # clients of other programs take their own ports from all that are free, on every address
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
        told, _ = server.communicate(timeout=60)
        arrivals += msgspec.json.decode(told, type=list[Arrival])
    finally:
        server.kill()
        server.wait()


async def main(port: int, seed: int, faulty_percent: float) -> None:
    """Serves until nobody holds the standard input open."""
    flaky = _Flaky(seed, faulty_percent)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(flaky), "0.0.0.0", port, backlog=4_096)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    sys.stdout.buffer.write(msgspec.json.encode(flaky.arrivals))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
