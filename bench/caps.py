"""Measures by how much a cap of conversions is exceeded under load, and how soon no visitor goes to the offer any more."""

import asyncio
import random
import re
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop

from bench.machine import wait_until
from bench.product import Browser, ServeProcess
from clickloop.machine.core_client import call_core

AMOUNT = 100
PER_SECOND = 200
SECONDS = 10
CONNECTIONS = 32
CONVERTING_SECONDS = 0.5
"""Average time from a visitor's arrival at the offer to their conversion."""
_OFFER_CLICK_ID = re.compile(rb"https://(\w+)\.example\.net/\?sub=([0-9a-z]{26})")


class _Visit(msgspec.Struct):
    """A visitor. Moments are monotonic seconds."""

    offer: str
    sent_at: float
    """When the redirect to the offer had arrived."""
    reported_at: float
    """When the network's postback was sent."""
    answered_at: float


class _Span(msgspec.Struct):
    visitors: int


class _CapState(msgspec.Struct):
    counted: int
    spans: list[_Span]


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    return uvloop.run(_measure())


async def _measure() -> list[str]:
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder:
        serving = await asyncio.to_thread(ServeProcess, Path(folder) / "data")
        try:
            offers, link = await asyncio.to_thread(_set_up, serving)
            visits = await _send(serving, link)
            expected = sum(visit.offer == "alternative" for visit in visits)
            await asyncio.to_thread(
                wait_until, lambda: _all_counted(serving, offers, len(visits)), 20, "conversions are not all counted"
            )
            state = _state(serving, offers["capped"])
            sent_on = sum(span.visitors for span in state.spans)
        finally:
            await asyncio.to_thread(serving.stop)
    return _lines(visits, state.counted, sent_on, expected)


def _set_up(serving: ServeProcess) -> tuple[dict[str, int], str]:
    """Create an offer with a cap, its alternative, and a campaign. Return the offers' ids and the campaign link."""
    link = serving.create_campaign("")
    offers = {}
    offers["alternative"] = serving.create(
        "offers", {"name": "B", "url": "https://alternative.example.net/?sub={clickid}"}
    )
    cap = {"amount": AMOUNT, "then_offer_id": offers["alternative"]}
    url = "https://capped.example.net/?sub={clickid}"
    offers["capped"] = serving.create("offers", {"name": "A", "url": url, "cap": cap})
    shares = [{"offer_id": offers["capped"]}]
    serving.create("campaigns", {"key": "Zz98Yx", "name": "Capped", "source_id": 1, "offers": shares})
    link = "/c/Zz98Yx"
    wait_until(lambda: serving.status(link) == 302, 5, "the campaign link is not answered with 302")
    return offers, link


async def _send(serving: ServeProcess, link: str) -> list[_Visit]:
    """Send visitors at random moments, who convert after a while. Return the visits in order."""
    idle: asyncio.Queue[Browser] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await Browser.connect(serving.port))
    visits: list[_Visit] = []
    chance = random.Random(7)

    async def visit(number: int, seconds: float) -> None:
        browser = await idle.get()
        status, head = await browser.get(f"{link}?external_id=v{number}&cost=0.01")
        sent_at = time.monotonic()
        idle.put_nowait(browser)
        found = _OFFER_CLICK_ID.search(head)
        if status != 302 or found is None:
            raise RuntimeError(f"a visitor was answered {status}, a redirect to an offer was expected: {head!r}")
        await asyncio.sleep(seconds)
        browser = await idle.get()
        reported_at = time.monotonic()
        status, head = await browser.get(f"/postback?cid={found[2].decode()}&payout=1.50&status=sale")
        idle.put_nowait(browser)
        if status != 200:
            raise RuntimeError(f"a notice was answered {status}: {head!r}")
        visits.append(_Visit(found[1].decode(), sent_at, reported_at, time.monotonic()))

    async with asyncio.TaskGroup() as group:
        for number in range(PER_SECOND * SECONDS):
            group.create_task(visit(number, chance.expovariate(1 / CONVERTING_SECONDS)))
            await asyncio.sleep(chance.expovariate(PER_SECOND))
    return visits


def _state(serving: ServeProcess, offer_id: int) -> _CapState:
    answer = call_core(serving.folder, "GET", f"/api/v1/offers/{offer_id}/cap")
    return msgspec.json.decode(answer.body, type=_CapState)


def _all_counted(serving: ServeProcess, offers: dict[str, int], expected: int) -> bool:
    """Return whether all conversions of both offers are registered, and all visitors counted."""
    answer = call_core(serving.folder, "GET", "/api/v1/reports?group_by=offer")
    rows = msgspec.json.decode(answer.body)["rows"]
    figures = {int(row["keys"][0]["value"]): row["figures"] for row in rows}
    found = [figures.get(offer_id, {"conversions": 0}) for offer_id in offers.values()]
    return serving.clicks_settled() and sum(int(row["conversions"]) for row in found) == expected


def _lines(visits: list[_Visit], counted: int, sent_on: int, expected: int) -> list[str]:
    to_capped = [visit for visit in visits if visit.offer == "capped"]
    reached_at = sorted(visit.answered_at for visit in to_capped)[AMOUNT - 1]
    in_force = max(visit.sent_at for visit in to_capped) - reached_at
    under_way = sum(visit.sent_at <= reached_at < visit.reported_at for visit in to_capped)
    late = sum(visit.sent_at > reached_at for visit in to_capped)
    rate = len(visits) / (max(one.sent_at for one in visits) - min(one.sent_at for one in visits))
    if counted != len(to_capped) or sent_on != expected:
        raise RuntimeError(
            f"{counted} conversions counted of {len(to_capped)}, {sent_on} visitors sent on of {expected}"
        )
    overshoot, bound = counted - AMOUNT, round(rate) + under_way
    if overshoot > bound:
        raise RuntimeError(f"{overshoot} conversions above the cap; at most {bound} were expected")
    return [
        "| figure | |",
        "| --- | --- |",
        f"| visitors, each of whom converts within a few seconds | {len(visits):,} at {rate:.0f}/s |",
        f"| cap | {AMOUNT} conversions a day |",
        f"| conversions above the cap | {overshoot} |",
        f"| – by visitors under way when it was reached | {under_way} |",
        f"| – by visitors sent to the offer after that | {late} |",
        f"| allowed: rate × 1 s + those under way | {bound} |",
        f"| from the conversion that reached it to the last visitor sent there | {max(0, in_force) * 1000:.0f} ms |",
        f"| visitors sent to the alternative, all reported as sent on | {sent_on:,} |",
        "| visitors without a redirect, conversions lost | 0 |",
    ]


if __name__ == "__main__":
    print("\n".join(main()))
