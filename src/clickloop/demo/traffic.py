"""The demo's traffic: sends visitors and conversions, and records the responses."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from clickloop.click.click import Screening
from clickloop.click_id import ClickIds
from clickloop.clock import wall_clock
from clickloop.demo.observed import CampaignVisit, SentNotice, SentStep
from clickloop.demo.plan import FORGED, ConversionStep, Plan, PlannedVisitor, SentVia, StrayNotice
from clickloop.demo.setup import DemoSetup
from clickloop.demo.standins import query_bytes
from clickloop.demo.tracker import Tracker

PARALLEL_VISITORS = 24
"""Number of visitors sent at the same time."""
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Traffic:
    """Plays a plan. ``visits``, ``sent`` and ``sent_steps`` record what was done."""

    def __init__(
        self,
        plan: Plan,
        tracker: Tracker,
        set_up: DemoSetup,
        session: aiohttp.ClientSession,
        click_ids: ClickIds,
        click_id_parameter: str,
    ) -> None:
        self.visits: list[CampaignVisit] = []
        self.sent: list[SentNotice] = []
        self.sent_steps: list[SentStep] = []
        self._plan = plan
        self._tracker = tracker
        self._set_up = set_up
        self._session = session
        self._click_ids = click_ids
        self._click_id_parameter = click_id_parameter

    async def send_visitors(self, on_visit: Callable[[], None]) -> None:
        """Send all visitors. First conversions follow at once, while their clicks are still being processed."""

        async def send(visitor: PlannedVisitor) -> None:
            visit = await self._visit(visitor)
            self.visits.append(visit)
            on_visit()
            if visitor.steps:
                await self.report(visit.click_id, visit.cookie, visitor.steps[0])

        await run_concurrently(send(visitor) for visitor in self._plan.visitors)

    async def send_later_notices(self, on_notice: Callable[[], None]) -> None:
        """Send later notices: rebills, decided holds, repeats, and notices without a click."""

        async def later(visit: CampaignVisit, step: ConversionStep) -> None:
            await self.report(visit.click_id, visit.cookie, step)
            on_notice()

        async def stray(one: StrayNotice) -> None:
            await self._report_stray(one)
            on_notice()

        rounds = itertools.zip_longest(*([(visit, step) for step in visit.visitor.steps[1:]] for visit in self.visits))
        for reports in rounds:
            await run_concurrently(later(*report) for report in reports if report is not None)
        await run_concurrently(stray(one) for one in self._plan.strays)

    def visitors(self) -> int:
        """Return the number of visitors that ``send_visitors`` sends."""
        return len(self._plan.visitors)

    def later_notices(self) -> int:
        """Return the number of notices that ``send_later_notices`` sends."""
        return sum(len(visitor.steps[1:]) for visitor in self._plan.visitors) + len(self._plan.strays)

    async def _visit(self, visitor: PlannedVisitor) -> CampaignVisit:
        """Follow the campaign link as a visitor, and the redirect to the network."""
        link = filled_link(self._set_up.link, visitor)
        headers = headers_of(visitor)
        if visitor.screening is Screening.PREFETCH:
            headers["Sec-Purpose"] = "prefetch;prerender"
        method = "HEAD" if visitor.screening is Screening.HEAD_REQUEST else "GET"
        async with self._session.request(
            method, URL(link, encoded=True), headers=headers, allow_redirects=False
        ) as answer:
            location = answer.headers.get("Location", "")
            cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
            status = answer.status
        if not location:
            return CampaignVisit(visitor, status, "", cookie)
        async with self._session.request(method, URL(location, encoded=True), headers=headers) as answer:
            await answer.read()
        location_values = query_bytes(location.partition("?")[2])
        return CampaignVisit(visitor, status, location_values.get(self._click_id_parameter, b"").decode(), cookie)

    async def report(self, click_id: str, cookie: str, step: ConversionStep) -> None:
        """Report a conversion through its channel. ``cookie``: the visitor's, for the pixel."""
        self.sent_steps.append(SentStep(click_id, step))
        outcome_header: str | None = None
        match step.via:
            case SentVia.API | SentVia.HAND:
                status = await self._over_api(click_id, step)
            case SentVia.COMMAND:
                status = await self._by_command(click_id, step)
            case _:
                parameters = self._parameters(click_id, step)
                status, outcome_header = await self._send_notice(step.via, parameters, cookie)
        self.sent.append(
            SentNotice(
                name=f"{step.via} {step.word}",
                outcome=step.outcome,
                reason=None,
                status_code=status,
                outcome_header=outcome_header,
            )
        )

    async def _report_stray(self, stray: StrayNotice) -> None:
        click_id = stray.click_id
        if click_id is None:
            click_id = self._click_ids.new(wall_clock())
            if stray.name == FORGED:
                click_id = click_id[:-1] + _ALPHABET[_ALPHABET.index(click_id[-1]) ^ 1]
        step = ConversionStep(txid=f"S-{len(self.sent)}", word="1", cents=1_000, micros=0)
        status, outcome_header = await self._send_notice(SentVia.GET, self._parameters(click_id, step), "")
        self.sent.append(
            SentNotice(
                name=stray.name,
                outcome=stray.outcome,
                reason=stray.reason,
                status_code=status,
                outcome_header=outcome_header,
            )
        )

    def _parameters(self, click_id: str, step: ConversionStep) -> dict[str, str]:
        """Return the network's postback parameters with its macros replaced, except those that it leaves unreplaced."""
        query = self._set_up.notice_url.partition("?")[2]
        values = {"{sub1}": click_id, "{status}": step.word, "{transactionid}": step.txid, "{currency}": step.currency}
        if step.cents is not None:
            values["{sum}"] = _amount(step)
        pairs = [pair.partition("=") for pair in query.split("&")]
        filled = {name: values.get(macro, macro) for name, _, macro in pairs}
        return filled | ({"disable_postback": "1"} if step.no_postback else {})

    async def _send_notice(self, via: SentVia, parameters: dict[str, str], cookie: str) -> tuple[int, str]:
        """Send a notice to a public endpoint. Return the response's status code and X-Clickloop-Outcome."""
        base = self._tracker.visitors
        query = urlencode(parameters)
        match via:
            case SentVia.FORM:
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                request = self._session.post(f"{base}/postback", data=query, headers=headers)
            case SentVia.JSON:
                body = msgspec.json.encode(parameters)
                request = self._session.post(
                    f"{base}/postback", data=body, headers={"Content-Type": "application/json"}
                )
            case SentVia.PIXEL:
                query = urlencode({name: value for name, value in parameters.items() if name != "cid"})
                request = self._session.get(URL(f"{base}/pixel.gif?{query}", encoded=True), headers={"Cookie": cookie})
            case _:
                request = self._session.get(URL(f"{base}/postback?{query}", encoded=True))
        async with request as answer:
            await answer.read()
            return answer.status, answer.headers.get("X-Clickloop-Outcome", "")

    async def _over_api(self, click_id: str, step: ConversionStep) -> int:
        report = {
            "click_id": click_id,
            "payout": _amount(step),
            "currency": step.currency,
            "status": step.word,
            "txid": step.txid,
            "disable_postback": step.no_postback,
            "by_hand": step.via is SentVia.HAND,
        }
        await self._tracker.request("POST", "/conversions", report, msgspec.Raw)
        return 200

    async def _by_command(self, click_id: str, step: ConversionStep) -> int:
        options = ("--payout", _amount(step), "--status", step.word, "--txid", step.txid, "--currency", step.currency)
        await self._tracker.command("convert", click_id, *options)
        return 200


def filled_link(link: str, visitor: PlannedVisitor) -> str:
    """Return a link with the source's macros replaced, as the source does for a visitor."""
    values = {"{click_id}": visitor.in_link, "{click_price}": visitor.cost} | visitor.macro_values
    for macro, value in values.items():
        link = link.replace(f"={macro}", f"={value}")
    return link


def headers_of(visitor: PlannedVisitor) -> dict[str, str]:
    """Return the headers of a visitor who comes from a site of the source."""
    return {
        "User-Agent": visitor.useragent,
        "Accept-Language": visitor.language,
        "X-Forwarded-For": visitor.ip,
        "Referer": f"https://{visitor.macro_values['{source}']}/",
    }


def _amount(step: ConversionStep) -> str:
    """Return the payout as text. With euros it has a decimal comma, as some European networks send it."""
    cents = step.cents or 0
    return f"{cents // 100}{',' if step.currency == 'EUR' else '.'}{cents % 100:02d}"


async def run_concurrently(tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all coroutines, at most ``PARALLEL_VISITORS`` at a time. The first failure cancels the rest."""
    waiting = iter(tasks)

    async def work() -> None:
        for task in waiting:
            await task

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL_VISITORS):
                group.create_task(work())
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
    finally:
        for task in waiting:
            task.close()
