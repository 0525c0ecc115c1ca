"""An offer that takes a few conversions a day: visitors who come after that go to another one. Played and checked at the end."""

import asyncio
import time
from collections.abc import Callable

import aiohttp
import msgspec
from yarl import URL

from clickloop.demo.check import Check, check, check_number
from clickloop.demo.setup import Created, DemoSetup, make_offer
from clickloop.demo.standins import query_bytes
from clickloop.demo.tracker import Tracker

AMOUNT = 5
"""The cap's conversions a day."""
LATER_VISITORS = 20
CAPPED, ALTERNATIVE = 11, 12
"""The network's numbers of the offers."""
WAIT_SECONDS = 30.0
IN_FORCE_SECONDS = 1.0
"""The time that a reached cap takes at most until no visitor goes to the offer any more."""
_POLL_SECONDS = 0.1


class _SentOn(msgspec.Struct):
    offer_id: int
    visitors: int


class _Span(msgspec.Struct):
    visitors: int
    sent_on: list[_SentOn]


class _CapState(msgspec.Struct):
    counted: int
    reached_at: str | None
    spans: list[_Span]


class _Detail(msgspec.Struct):
    name: str
    value: str


class _Event(msgspec.Struct):
    details: list[_Detail]


class _Trace(msgspec.Struct):
    events: list[_Event]


class _Visitors:
    """Visitors of the campaign with the capped offer."""

    def __init__(self, tracker: Tracker, session: aiohttp.ClientSession, link: str, click_id_parameter: str) -> None:
        self._tracker = tracker
        self._session = session
        self._link = link
        self._click_id_parameter = click_id_parameter
        self._count = 0

    async def send(self) -> tuple[int, str]:
        """Send a visitor. Return the network's number of the offer that they were sent to, and the click id."""
        self._count += 1
        url = f"{self._link.partition('?')[0]}?external_id=cap-{self._count}"
        async with self._session.get(URL(url, encoded=True), allow_redirects=False) as answer:
            values = query_bytes(answer.headers.get("Location", "").partition("?")[2])
        return int(values.get("offer", b"0")), values.get(self._click_id_parameter, b"").decode()

    async def convert(self, click_id: str) -> None:
        """Report a conversion as the network does."""
        url = f"{self._tracker.visitors}/postback?cid={click_id}&payout=1.50&txid={click_id}"
        async with self._session.get(url) as answer:
            await answer.read()


async def play_capped_offer(
    tracker: Tracker, demo_setup: DemoSetup, session: aiohttp.ClientSession, click_id_parameter: str
) -> tuple[Check, ...]:
    """Let an offer reach its cap, and return the checks of where visitors went."""
    network_id, address = demo_setup.network_id, demo_setup.offer_address
    alternative = await make_offer(tracker, network_id, address, ALTERNATIVE, "Survey, any number")
    capped = await make_offer(tracker, network_id, address, CAPPED, f"Survey, {AMOUNT} a day")
    cap = {"amount": AMOUNT, "then_offer_id": alternative.id}
    await tracker.request("PATCH", f"/offers/{capped.id}", {"cap": cap}, Created)
    campaign = {"name": "Survey", "source_id": demo_setup.source_id, "offers": [{"offer_id": capped.id}]}
    made = await tracker.request("POST", "/campaigns", campaign, Created)
    visitors = _Visitors(tracker, session, made.link, click_id_parameter)
    before = [await visitors.send() for _ in range(AMOUNT)]
    for _, click_id in before:
        await visitors.convert(click_id)
    await _cap_state(tracker, capped.id, lambda state: state.reached_at is not None)
    await asyncio.sleep(IN_FORCE_SECONDS)
    after = [await visitors.send() for _ in range(LATER_VISITORS)]
    state = await _cap_state(
        tracker, capped.id, lambda one: bool(one.spans) and one.spans[0].visitors >= LATER_VISITORS
    )
    trace = await tracker.request("GET", f"/clicks/{after[-1][1]}/trace", None, _Trace)
    sentences = [detail.value for event in trace.events for detail in event.details if detail.name == "cap"]
    sent_on = {one.offer_id: one.visitors for span in state.spans for one in span.sent_on}
    return (
        check_number(
            f"Visitors sent to the offer until its cap of {AMOUNT} conversions a day", _to(before, CAPPED), AMOUNT
        ),
        check_number("Conversions counted towards the cap", state.counted, AMOUNT),
        check_number("Visitors sent to its alternative after that", _to(after, ALTERNATIVE), LATER_VISITORS),
        check(
            "Visitors who went elsewhere, as reported", sent_on, {alternative.id: LATER_VISITORS}, f"{LATER_VISITORS}"
        ),
        Check(
            "The reason in the trace of one of them", "had reached its cap" in "".join(sentences), " ".join(sentences)
        ),
    )


async def _cap_state(tracker: Tracker, offer_id: int, is_expected: Callable[[_CapState], bool]) -> _CapState:
    """Return the state of a cap once it is as expected, or after ``WAIT_SECONDS``."""
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        state = await tracker.request("GET", f"/offers/{offer_id}/cap", None, _CapState)
        if is_expected(state) or time.monotonic() > give_up:
            return state
        await asyncio.sleep(_POLL_SECONDS)


def _to(visits: list[tuple[int, str]], offer: int) -> int:
    return sum(went_to == offer for went_to, _ in visits)
