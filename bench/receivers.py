"""A process that simulates many receivers on every address of 127/8. The dead one never answers.

``python -m bench.receivers PORT DEAD`` runs until its standard input ends, then prints the first arrival of each number as JSON.
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
    """A connection. A request is ``/NUMBER`` or ``/warm…``, which even the dead receiver answers."""

    def __init__(self, dead: str, arrived: dict[str, float]) -> None:
        self._dead = dead
        self._arrived = arrived
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not subclass asyncio's
        self._is_dead = transport.get_extra_info("sockname")[0] == self._dead

    def data_received(self, data: bytes) -> None:
        """Answer whole requests, and record when they arrived, in Unix seconds."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            if head.startswith(WARM):
                self._transport.write(ANSWER)
            elif not self._is_dead:
                self._arrived.setdefault(head.split(b" ", 2)[1][1:].decode(), time.time())
                self._transport.write(ANSWER)


async def main(port: int, dead: str) -> None:
    """Serve until standard input is closed."""
    arrived: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(dead, arrived), "0.0.0.0", port, backlog=4_096)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    sys.stdout.buffer.write(msgspec.json.encode(arrived))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
