"""Measures the time from the 200 to the network until the first attempt arrives at the source, through the whole product."""

import asyncio
import random
import re
import tempfile
import time
from pathlib import Path

import uvloop

from bench.machine import percentile, wait_until
from bench.product import Browser, ServeProcess

CONVERSIONS = 600
PER_SECOND = 50
CONNECTIONS = 16
ARRIVE_SECONDS = 30.0
_OFFER_CLICK_ID = re.compile(rb"[?&]sub=([0-9a-z]{26})")
_ARRIVED = re.compile(rb"^GET \S*?[?&]visitor_id=([^& ]+)")


class Source:
    """A traffic source's receiver: records when each visitor's postback arrives, and answers 200."""

    def __init__(self) -> None:
        self.arrived_at: dict[str, float] = {}
        """First arrival in monotonic seconds, by the source's click id."""
        self.requests = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection until it ends."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                now = time.monotonic()
                if (found := _ARRIVED.match(head)) is None:
                    raise ValueError(f"the source received something other than a postback: {head[:200]!r}")
                self.requests += 1
                self.arrived_at.setdefault(found[1].decode(), now)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            writer.close()


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    return uvloop.run(_measure())


async def _measure() -> list[str]:
    source = Source()
    receiver = await asyncio.start_server(source, "127.0.0.1", 0)
    port = receiver.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder:
        serving = await asyncio.to_thread(ServeProcess, Path(folder) / "data")
        try:
            postback = f"http://127.0.0.1:{port}/postback?visitor_id={{externalid}}&payout={{payout}}"
            link = await asyncio.to_thread(serving.create_campaign, postback)
            click_ids = await _click(serving, link)
            answered_at = await _convert(serving, click_ids)
            await _all_arrived(source)
        finally:
            await asyncio.to_thread(serving.stop)
            receiver.close()
    waited = [(source.arrived_at[visitor] - at) * 1000 for visitor, at in answered_at.items()]
    figures = " | ".join(f"{percentile(waited, percent):.0f}" for percent in (50, 90, 99, 100))
    return [
        "| from the 200 to the first attempt's arrival | p50 ms | p90 ms | p99 ms | longest ms |",
        "| --- | --- | --- | --- | --- |",
        f"| {CONVERSIONS} conversions, {PER_SECOND}/s | {figures} |",
        "",
        f"{source.requests} postbacks arrived for {CONVERSIONS} conversions.",
    ]


async def _click(serving: ServeProcess, link: str) -> dict[str, str]:
    """Send a visitor for each later conversion. Return click ids by the source's click ids, once all are settled."""
    browser = await Browser.connect(serving.port)
    click_ids = {}
    for number in range(CONVERSIONS):
        visitor = f"visitor{number}"
        status, head = await browser.get(f"{link}?external_id={visitor}&cost=0.01&zone={number}")
        found = _OFFER_CLICK_ID.search(head)
        if status != 302 or found is None:
            raise RuntimeError(f"a visitor was answered {status}, a redirect to the offer was expected: {head!r}")
        click_ids[visitor] = found[1].decode()
    browser.close()
    await asyncio.to_thread(wait_until, serving.clicks_settled, 10, "clicks are not settled")
    return click_ids


async def _convert(serving: ServeProcess, click_ids: dict[str, str]) -> dict[str, float]:
    """Report a conversion of each click at random moments. Return when each was answered, in monotonic seconds."""
    idle: asyncio.Queue[Browser] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await Browser.connect(serving.port))
    answered_at: dict[str, float] = {}
    chance = random.Random(7)

    async def report(visitor: str, click_id: str) -> None:
        browser = await idle.get()
        status, head = await browser.get(f"/postback?cid={click_id}&payout=12.50&status=sale")
        answered_at[visitor] = time.monotonic()
        idle.put_nowait(browser)
        if status != 200 or b"x-clickloop-outcome: accepted" not in head:
            raise RuntimeError(f"a notice was answered {status}, 200 and accepted were expected: {head!r}")

    async with asyncio.TaskGroup() as group:
        for visitor, click_id in click_ids.items():
            group.create_task(report(visitor, click_id))
            await asyncio.sleep(chance.expovariate(PER_SECOND))
    return answered_at


async def _all_arrived(source: Source) -> None:
    give_up = time.monotonic() + ARRIVE_SECONDS
    while len(source.arrived_at) < CONVERSIONS:
        if time.monotonic() > give_up:
            raise TimeoutError(
                f"{len(source.arrived_at)} of {CONVERSIONS} postbacks arrived within {ARRIVE_SECONDS:.0f} s"
            )
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    print("\n".join(main()))
