"""Factories of changes and rules, and small real receivers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.status import SALE
from clickloop.money import Money
from clickloop.postback.rule import PostbackRule, RequestTemplate
from tests.postback.delivery.delivering import Bench

NOW = 1_800_000_000_000
CLICK = Click(
    click_id="c" * 26,
    at=NOW - 5_000,
    campaign_id=7,
    source_id=3,
    external_id="w9Xk2-7fA",
    v1="4711",
    offer_id=5,
    network_id=2,
)
CONVERSION = Conversion(
    conversion_id="0" * 26,
    click=CLICK,
    txid="T-1",
    status=SALE,
    status_word="approved",
    payout=Money(12_500_000, "USD"),
    first_of_click=True,
    converted_at=NOW,
    created_at=NOW,
    updated_at=NOW,
    version=1,
)
RULE = PostbackRule(
    rule_id=1,
    name="Traffic source postback",
    source_id=3,
    request=RequestTemplate(url="https://source.example/pb?id={externalid}&p={payout}"),
)

MakeConversion = Callable[..., Conversion]
MakeChange = Callable[..., Change]
MakeRule = Callable[..., PostbackRule]


@pytest.fixture
def conversion() -> MakeConversion:
    """A factory of new, confirmed, first conversions of 12.5 USD with overrides; ``external_id`` is the click's."""

    def make(external_id: str | None = None, **given: Any) -> Conversion:
        click = CLICK if external_id is None else msgspec.structs.replace(CLICK, external_id=external_id)
        return msgspec.structs.replace(CONVERSION, click=click, **given)

    return make


@pytest.fixture
def change() -> MakeChange:
    """A factory of changes from ``before`` to ``after``; by default of a new conversion."""

    def make(after: Conversion = CONVERSION, before: Conversion | None = None, **given: Any) -> Change:
        return Change(before=before, after=after, at=NOW, notice_id="n" * 26, **given)

    return make


@pytest.fixture
def rule() -> MakeRule:
    """A factory of postback rules of a source, with overrides."""

    def make(**given: Any) -> PostbackRule:
        return msgspec.structs.replace(RULE, **given)

    return make


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A new ledger with one rule."""
    made = Bench(tmp_path)
    yield made
    made.ledger.close()


Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


class Receiver:
    """A plain TCP server on loopback that records requests and returns scripted responses."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.port = 0
        self.requests: list[bytes] = []
        """Every request: head, empty line, body."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                request = head + await reader.readexactly(length)
                self.requests.append(request)
                await self._handle(reader, writer, request)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    def url(self, path_and_query: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path_and_query}"


@pytest.fixture
def answering() -> Callable[[bytes], Receiver]:
    """Return a receiver that sends every request the same complete response."""

    def make(answer: bytes) -> Receiver:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
            writer.write(answer)

        return Receiver(handle)

    return make


@pytest.fixture
def handling() -> Callable[[Handle], Receiver]:
    """Return a receiver that lets a function handle each request."""
    return Receiver
