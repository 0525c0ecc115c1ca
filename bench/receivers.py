"""A process that stands for many receivers: it answers on every address of 127/8, but what comes to the dead one it never answers.

``python -m bench.receivers PORT DEAD`` runs until its standard input ends, then prints as JSON when each number first arrived.
"""

import asyncio
import sys
import time
from typing import cast

import msgspec
import uvloop

WARM = b"GET /warm"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


class Receiver(asyncio.Protocol):
    """One connection. A request is ``/NUMBER`` or ``/warm…``, which the dead receiver answers too."""

    def __init__(self, dead: str, arrived: dict[str, float]) -> None:
        self._dead = dead
        self._arrived = arrived
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the connection."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._is_dead = transport.get_extra_info("sockname")[0] == self._dead

    def data_received(self, data: bytes) -> None:
        """Answers whole requests, and notes when they came, in seconds of the Unix epoch."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head, self._held = self._held[:end], self._held[end + 4 :]
            if head.startswith(WARM):
                self._transport.write(ANSWER)
            elif not self._is_dead:
                self._arrived.setdefault(head.split(b" ", 2)[1][1:].decode(), time.time())
                self._transport.write(ANSWER)


async def main(port: int, dead: str) -> None:
    """Serves until nobody holds the standard input open."""
    arrived: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(dead, arrived), "0.0.0.0", port, backlog=4_096)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    sys.stdout.buffer.write(msgspec.json.encode(arrived))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
