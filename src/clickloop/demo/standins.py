"""A simulated traffic source, a network, and the user's own pages: real HTTP servers on loopback that record what they receive."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

LATE_SECONDS = 5.0
"""Response time of the slow receiver, longer than the demo tracker's timeout of an attempt."""


class ReceivedPostback(msgspec.Struct, frozen=True):
    """A postback as received. ``request`` is the raw query or body; ``external_id`` is percent-decoded."""

    postback_id: str
    request: bytes
    accepted: bool
    """Whether the response was 200."""
    external_id: bytes = b""
    payout: str = ""
    click_id: str = ""
    txid: str = ""
    status: str = ""


class NetworkVisit(msgspec.Struct, frozen=True):
    """A visitor's arrival at the network: our click id and other values from the offer's URL."""

    click_id: str
    external_id: bytes
    offer: str


class OwnSystemBody(msgspec.Struct, frozen=True):
    """The JSON body sent to the user's own system."""

    postback_id: str
    click_id: str
    txid: str
    status: str
    payout: str


class StandInSource:
    """A server that receives postbacks: as the traffic source at ``/postback``, as the user's own system at ``/own``.

    ``failing``: external id → number of requests answered 500 first. ``busy`` and ``slow``: transaction ids for which the own
    system first answers 429, or too late.
    """

    def __init__(self, failing: dict[bytes, int], busy: frozenset[str], slow: frozenset[str]) -> None:
        self.calls: list[ReceivedPostback] = []
        self.own_calls: list[ReceivedPostback] = []
        self._failing = failing
        self._busy = busy
        self._slow = slow
        self._seen: dict[str, int] = {}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path == "/postback":
            return self._postback(query)
        if path == "/own":
            return await self._own(await request.read())
        return web.Response(status=404)

    def _postback(self, query: str) -> web.Response:
        values = query_bytes(query)
        postback_id = values.get("id", b"").decode()
        external_id = values.get("c", b"")
        accepted = self._times(postback_id) > self._failing.get(external_id, 0)
        payout = values.get("r", b"").decode()
        self.calls.append(ReceivedPostback(postback_id, query.encode(), accepted, external_id, payout))
        return web.Response(text="OK") if accepted else web.Response(status=500, text="database is locked")

    async def _own(self, body: bytes) -> web.Response:
        postback = msgspec.json.decode(body, type=OwnSystemBody)
        first = self._times(postback.postback_id) == 1
        busy, slow = first and postback.txid in self._busy, first and postback.txid in self._slow
        self.own_calls.append(
            ReceivedPostback(
                postback.postback_id,
                body,
                not (busy or slow),
                payout=postback.payout,
                click_id=postback.click_id,
                txid=postback.txid,
                status=postback.status,
            )
        )
        if slow:
            await asyncio.sleep(LATE_SECONDS)
        return web.Response(status=429, headers={"Retry-After": "1"}) if busy else web.Response(text="thanks")

    def _times(self, postback_id: str) -> int:
        self._seen[postback_id] = self._seen.get(postback_id, 0) + 1
        return self._seen[postback_id]


class StandInNetwork:
    """A server that receives visitors as the network at ``/click``, with our click id in its own parameter."""

    def __init__(self, click_id_parameter: str) -> None:
        self.arrivals: list[NetworkVisit] = []
        self.click_id_parameter = click_id_parameter

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path != "/click":
            return web.Response(status=404)
        values = query_bytes(query)
        click_id = values.get(self.click_id_parameter, b"").decode("ascii", "replace")
        self.arrivals.append(NetworkVisit(click_id, values.get("sub2", b""), values.get("offer", b"").decode()))
        return web.Response(text="<h1>The offer</h1>", content_type="text/html")


LANDING_PATH, TRACKED_PATH = "/quiz", "/shop"


class PageCode(msgspec.Struct, frozen=True):
    """Code to paste into a page: the links of its buttons, and the script."""

    links: tuple[str, ...]
    script: str


class StandInPages:
    """A server of the user's own pages, each with the code that the tracker gave for its path."""

    def __init__(self) -> None:
        self.codes: dict[str, PageCode] = {}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        code = self.codes.get(request.path)
        if code is None:
            return web.Response(status=404)
        buttons = "".join(f'<p><a href="{link}">Prize {number}</a></p>' for number, link in enumerate(code.links, 1))
        text = f"<!doctype html><title>Choose</title><h1>Choose your prize</h1>{buttons}{code.script}"
        return web.Response(text=text, content_type="text/html")


def query_bytes(query: str) -> dict[str, bytes]:
    """Return the parameters of a query, percent-decoded only. The first value of a repeated one wins."""
    values: dict[str, bytes] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        values.setdefault(name, unquote_to_bytes(value))
    return values


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Run a server on a free loopback port and yield its URL."""
    # By default, aiohttp waits up to a minute for open requests, such as those to the slow receiver.
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
