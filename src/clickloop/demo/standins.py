"""The stand-ins: a traffic source and a network as real HTTP servers on loopback, each with a book of what it saw."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

LATE_SECONDS = 5.0
"""How long the slow receiver takes: longer than the deadline that the demo's tracker gives an attempt."""


class Call(msgspec.Struct, frozen=True):
    """A postback as a receiver saw it. ``request`` is path, query and body undecoded; ``external_id`` is decoded bytes."""

    postback_id: str
    request: bytes
    taken: bool
    """Whether it was answered 200."""
    external_id: bytes = b""
    payout: str = ""
    click_id: str = ""
    txid: str = ""
    status: str = ""


class Arrival(msgspec.Struct, frozen=True):
    """A visitor as the network saw him: our click id, and what else the offer's URL carried."""

    click_id: str
    external_id: bytes
    offer: str


class OwnCall(msgspec.Struct, frozen=True):
    """What the user's own system is sent."""

    postback_id: str
    click_id: str
    txid: str
    status: str
    payout: str


class StandInSource:
    """The traffic source takes postbacks at ``/postback``; the user's own system, on the same server, at ``/own``.

    ``failing``: external id → how many postbacks it answers 500 first. ``busy`` and ``slow``: transaction ids to which the
    own system first answers 429, or too late.
    """

    def __init__(self, failing: dict[bytes, int], busy: frozenset[str], slow: frozenset[str]) -> None:
        self.calls: list[Call] = []
        self.own_calls: list[Call] = []
        self._failing = failing
        self._busy = busy
        self._slow = slow
        self._seen: dict[str, int] = {}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        path, _, query = request.raw_path.partition("?")
        if path == "/postback":
            return self._postback(query)
        if path == "/own":
            return await self._own(await request.read())
        return web.Response(status=404)

    def _postback(self, query: str) -> web.Response:
        values = octets_of_query(query)
        postback_id = values.get("id", b"").decode()
        external_id = values.get("c", b"")
        taken = self._times(postback_id) > self._failing.get(external_id, 0)
        payout = values.get("r", b"").decode()
        self.calls.append(Call(postback_id, query.encode(), taken, external_id, payout))
        return web.Response(text="OK") if taken else web.Response(status=500, text="database is locked")

    async def _own(self, body: bytes) -> web.Response:
        told = msgspec.json.decode(body, type=OwnCall)
        first = self._times(told.postback_id) == 1
        busy, slow = first and told.txid in self._busy, first and told.txid in self._slow
        self.own_calls.append(
            Call(
                told.postback_id,
                body,
                not (busy or slow),
                payout=told.payout,
                click_id=told.click_id,
                txid=told.txid,
                status=told.status,
            )
        )
        if slow:
            await asyncio.sleep(LATE_SECONDS)
        return web.Response(status=429, headers={"Retry-After": "1"}) if busy else web.Response(text="thanks")

    def _times(self, postback_id: str) -> int:
        self._seen[postback_id] = self._seen.get(postback_id, 0) + 1
        return self._seen[postback_id]


class StandInNetwork:
    """The network takes visitors at ``/click``, with our click id in the parameter that it has for it."""

    def __init__(self, click_id_parameter: str) -> None:
        self.arrivals: list[Arrival] = []
        self.click_id_parameter = click_id_parameter

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One visitor."""
        path, _, query = request.raw_path.partition("?")
        if path != "/click":
            return web.Response(status=404)
        values = octets_of_query(query)
        click_id = values.get(self.click_id_parameter, b"").decode("ascii", "replace")
        self.arrivals.append(Arrival(click_id, values.get("sub2", b""), values.get("offer", b"").decode()))
        return web.Response(text="<h1>The offer</h1>", content_type="text/html")


def octets_of_query(query: str) -> dict[str, bytes]:
    """The parameters of a query, percent-decoded and nothing else; a repeated one keeps what stands first."""
    values: dict[str, bytes] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        values.setdefault(name, unquote_to_bytes(value))
    return values


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on a free loopback port while the block runs; gives its address."""
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
