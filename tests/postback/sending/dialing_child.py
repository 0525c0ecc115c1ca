"""Send to every refused row of the corpus in every way, and print each outcome; a test runs this under strace.

The only address that is allowed, 127.9.8.7, stands for the public internet: there are the name server and a receiver that
redirects.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import quote, unquote

sys.path.insert(0, str(Path(__file__).parents[3]))

from clickloop.postback.rule import PostbackRequest
from clickloop.postback.sending.address_guard import AddressGuard, Policy
from clickloop.postback.sending.client import Sender
from clickloop.postback.sending.dialing import open_connector
from clickloop.postback.sending.target import RequestTarget, target_of
from tests.postback.sending.corpus import ALLOWED, SERVICE_PORT, Row, read_corpus
from tests.postback.sending.dns_stub import DnsStub, StubResolver, serving_names

GATE = "127.9.8.7"


async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond to ``/URL`` with a redirect there, and close the connection, so that the next request needs a new one."""
    head = await reader.readuntil(b"\r\n\r\n")
    url = unquote(head.split(b" ")[1][1:].decode())
    location = quote(url, safe=":/[]%@?&=\\,.~ \t").encode()
    writer.write(b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")
    await writer.drain()
    writer.close()


def ways(number: int, row: Row, port: int, names: DnsStub) -> Iterator[tuple[str, str]]:
    """Return the URLs that lead to a row, each with the name of the way."""
    target = target_of(row.url)
    if isinstance(target, RequestTarget) and row.address is None:
        names.says(target.host, ("10.0.0.1",))
    yield "dialing", row.url
    if row.authority.isprintable():
        yield "redirect", f"http://{GATE}:{port}/{quote(row.url, safe='')}"
    if not isinstance(target, RequestTarget) or row.address is None:
        return
    names.says(f"name{number}.example", (row.address,))
    yield "resolving", f"http://name{number}.example:{target.port}/"
    if row.verdict != SERVICE_PORT:  # there, the address itself is fine, and in use
        names.says(f"turns{number}.example", (GATE,), (row.address,))
        yield (
            "rebinding",
            f"http://turns{number}.example:{port}/{quote(f'http://turns{number}.example:{port}/', safe='')}",
        )


async def main() -> None:
    """Make all attempts one after another; print one JSON line each: authority, way, trouble."""
    guard = AddressGuard(Policy(allowed_networks=(ip_network(f"{GATE}/32"),)))
    server = await asyncio.start_server(redirect, GATE, 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        serving_names() as (names, address),
        Sender(5, guard, lambda guard: open_connector(guard, StubResolver(address), dns_cache_seconds=0)) as sender,
    ):
        for number, row in enumerate(row for row in read_corpus() if row.verdict != ALLOWED):
            for way, url in ways(number, row, port, names):
                outcome = await sender.send(PostbackRequest(url=url), 1)
                print(json.dumps([row.authority, row.verdict, way, outcome.trouble or "", outcome.error]))


if __name__ == "__main__":
    asyncio.run(main())
