"""Scripts and impatient people among the visitors of a campaign: their clicks are marked, and a rule sends scripts elsewhere."""

import asyncio
import time

import aiohttp
import msgspec

from clickloop.demo.check import Check, check, check_number
from clickloop.demo.setup import Created, DemoSetup, make_offer
from clickloop.demo.standins import query_bytes
from clickloop.demo.tracker import Tracker

FOR_PEOPLE, FOR_SCRIPTS = 13, 14
"""The network's numbers of the offers."""
PEOPLE, SCRIPTS = 6, 4
WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.1
_BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"
)
_SCRIPT = "python-requests/2.32.3"


class _Key(msgspec.Struct):
    value: str


class _Figures(msgspec.Struct):
    clicks: int
    clean_clicks: int
    marked_clicks: int


class _Row(msgspec.Struct):
    keys: list[_Key]
    figures: _Figures


class _Report(msgspec.Struct):
    rows: list[_Row]
    totals: _Figures


async def play_marked_clicks(
    tracker: Tracker, demo_setup: DemoSetup, session: aiohttp.ClientSession
) -> tuple[Check, ...]:
    """Send people and scripts, one of the people twice at once, and return the checks of their marks."""
    network_id, address = demo_setup.network_id, demo_setup.offer_address
    people = await make_offer(tracker, network_id, address, FOR_PEOPLE, "Quiz for people")
    scripts = await make_offer(tracker, network_id, address, FOR_SCRIPTS, "A page for scripts")
    rule = {
        "name": "Scripts",
        "conditions": [{"field": "mark", "values": ["bot_useragent"]}],
        "paths": [{"offers": [{"offer_id": scripts.id}]}],
    }
    flow = {"rules": [rule], "default_paths": [{"offers": [{"offer_id": people.id}]}]}
    campaign = {"name": "Quiz night", "source_id": demo_setup.source_id, "flow": flow}
    made = await tracker.request("POST", "/campaigns", campaign, Created)
    link = made.link.partition("?")[0]

    async def visit(number: int, useragent: str) -> int:
        """Follow the link from an address of one's own. Return the network's number of the offer that it led to."""
        headers = {"User-Agent": useragent, "X-Forwarded-For": f"198.51.100.{number}"}
        async with session.get(link, headers=headers, allow_redirects=False) as answer:
            return int(query_bytes(answer.headers.get("Location", "").partition("?")[2]).get("offer", b"0"))

    sent = [await visit(number, _BROWSER) for number in range(PEOPLE)]
    sent += [await visit(PEOPLE, _BROWSER), await visit(PEOPLE, _BROWSER)]
    of_scripts = [await visit(100 + number, _SCRIPT) for number in range(SCRIPTS)]
    report = await _report(tracker, made.id, len(sent) + len(of_scripts))
    by_marks = {row.keys[0].value: row.figures.clicks for row in report.rows}
    return (
        check_number("People sent to the offer", sent.count(FOR_PEOPLE), PEOPLE + 2),
        check_number("Scripts sent elsewhere by a rule", of_scripts.count(FOR_SCRIPTS), SCRIPTS),
        check(
            "Clicks by their marks, as reported",
            by_marks,
            {"": PEOPLE + 1, "bot_useragent": SCRIPTS, "repeat": 1},
            f"{PEOPLE + 1} clean, {SCRIPTS} of scripts, 1 repeated",
        ),
        check_number("Clean clicks", report.totals.clean_clicks, PEOPLE + 1),
        check_number("Clicks, none of them dropped", report.totals.clicks, PEOPLE + SCRIPTS + 2),
    )


async def _report(tracker: Tracker, campaign_id: int, clicks: int) -> _Report:
    """Return the report by marks once it has so many clicks, or after ``WAIT_SECONDS``."""
    give_up = time.monotonic() + WAIT_SECONDS
    path = f"/reports?group_by=mark&filter=campaign:{campaign_id}"
    while True:
        report = await tracker.request("GET", path, None, _Report)
        if report.totals.clicks >= clicks or time.monotonic() > give_up:
            return report
        await asyncio.sleep(_POLL_SECONDS)
