"""The traffic: sends the visitors, has them converted, and keeps what was answered."""

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
from clickloop.demo.figures import Promise, Sent, Visit
from clickloop.demo.plan import FORGED, Plan, Step, Stray, Visitor, Way
from clickloop.demo.setup import SetUp
from clickloop.demo.standins import octets_of_query
from clickloop.demo.tracker import Tracker

PARALLEL_VISITORS = 24
"""Visitors under way at the same time."""
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Traffic:
    """Plays a plan. ``visits``, ``sent`` and ``promises`` are the books of what was done."""

    def __init__(
        self,
        plan: Plan,
        tracker: Tracker,
        set_up: SetUp,
        session: aiohttp.ClientSession,
        click_ids: ClickIds,
        click_id_parameter: str,
    ) -> None:
        self.visits: list[Visit] = []
        self.sent: list[Sent] = []
        self.promises: list[Promise] = []
        self._plan = plan
        self._tracker = tracker
        self._set_up = set_up
        self._session = session
        self._click_ids = click_ids
        self._click_id_parameter = click_id_parameter

    async def send_visitors(self, on_visit: Callable[[], None]) -> None:
        """All visitors come; who converts does so for the first time at once, while his click is still in flight."""

        async def come(visitor: Visitor) -> None:
            visit = await self._visit(visitor)
            self.visits.append(visit)
            on_visit()
            if visitor.steps:
                await self._report(visit, visitor.steps[0])

        await _at_once(come(visitor) for visitor in self._plan.visitors)

    async def send_later_notices(self, on_notice: Callable[[], None]) -> None:
        """What comes later: rebills, holds that are decided, repeats, and notices that belong to no click."""

        async def later(visit: Visit, step: Step) -> None:
            await self._report(visit, step)
            on_notice()

        async def stray(one: Stray) -> None:
            await self._report_stray(one)
            on_notice()

        rounds = itertools.zip_longest(*([(visit, step) for step in visit.visitor.steps[1:]] for visit in self.visits))
        for reports in rounds:
            await _at_once(later(*report) for report in reports if report is not None)
        await _at_once(stray(one) for one in self._plan.strays)

    def visitors(self) -> int:
        """How many visitors ``send_visitors`` sends."""
        return len(self._plan.visitors)

    def later_notices(self) -> int:
        """How many notices ``send_later_notices`` sends."""
        return sum(len(visitor.steps[1:]) for visitor in self._plan.visitors) + len(self._plan.strays)

    async def _visit(self, visitor: Visitor) -> Visit:
        """A visitor follows the campaign link and is sent on to the network."""
        values = {"{click_id}": visitor.in_link, "{click_price}": visitor.cost} | visitor.rows
        link = self._set_up.link
        for macro, value in values.items():
            link = link.replace(f"={macro}", f"={value}")
        headers = {
            "User-Agent": visitor.useragent,
            "Accept-Language": visitor.language,
            "X-Forwarded-For": visitor.ip,
            "Referer": f"https://{visitor.rows['{source}']}/",
        }
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
            return Visit(visitor, status, "", cookie)
        async with self._session.request(method, URL(location, encoded=True), headers=headers) as answer:
            await answer.read()
        values_there = octets_of_query(location.partition("?")[2])
        return Visit(visitor, status, values_there.get(self._click_id_parameter, b"").decode(), cookie)

    async def _report(self, visit: Visit, step: Step) -> None:
        """A conversion is reported in its way."""
        self.promises.append(Promise(visit.click_id, step))
        said: str | None = None
        match step.way:
            case Way.API | Way.HAND:
                status = await self._over_api(visit.click_id, step)
            case Way.COMMAND:
                status = await self._by_command(visit.click_id, step)
            case _:
                status, said = await self._knock(step.way, self._parameters(visit.click_id, step), visit.cookie)
        self.sent.append(
            Sent(name=f"{step.way} {step.word}", outcome=step.outcome, reason=None, status_code=status, said=said)
        )

    async def _report_stray(self, stray: Stray) -> None:
        click_id = stray.click_id
        if click_id is None:
            click_id = self._click_ids.new(wall_clock())
            if stray.name == FORGED:
                click_id = click_id[:-1] + _ALPHABET[_ALPHABET.index(click_id[-1]) ^ 1]
        step = Step(txid=f"S-{len(self.sent)}", word="1", cents=1_000, micros=0)
        status, said = await self._knock(Way.GET, self._parameters(click_id, step), "")
        self.sent.append(
            Sent(name=stray.name, outcome=stray.outcome, reason=stray.reason, status_code=status, said=said)
        )

    def _parameters(self, click_id: str, step: Step) -> dict[str, str]:
        """The network's postback parameters with its macros filled in; one that it does not fill stays as it is."""
        query = self._set_up.notice_url.partition("?")[2]
        values = {
            "{sub1}": click_id,
            "{status}": step.word,
            "{transactionid}": step.txid,
            "{currency}": step.currency,
        }
        if step.cents is not None:
            values["{sum}"] = _amount(step)
        pairs = [pair.partition("=") for pair in query.split("&")]
        filled = {name: values.get(macro, macro) for name, _, macro in pairs}
        return filled | ({"disable_postback": "1"} if step.no_postback else {})

    async def _knock(self, way: Way, parameters: dict[str, str], cookie: str) -> tuple[int, str]:
        """A notice at a public door: status code and X-Clickloop-Outcome of the answer."""
        base = self._tracker.visitors
        query = urlencode(parameters)
        match way:
            case Way.FORM:
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                asked = self._session.post(f"{base}/postback", data=query, headers=headers)
            case Way.JSON:
                body = msgspec.json.encode(parameters)
                asked = self._session.post(f"{base}/postback", data=body, headers={"Content-Type": "application/json"})
            case Way.PIXEL:
                query = urlencode({name: value for name, value in parameters.items() if name != "cid"})
                asked = self._session.get(URL(f"{base}/pixel.gif?{query}", encoded=True), headers={"Cookie": cookie})
            case _:
                asked = self._session.get(URL(f"{base}/postback?{query}", encoded=True))
        async with asked as answer:
            await answer.read()
            return answer.status, answer.headers.get("X-Clickloop-Outcome", "")

    async def _over_api(self, click_id: str, step: Step) -> int:
        report = {
            "click_id": click_id,
            "payout": _amount(step),
            "currency": step.currency,
            "status": step.word,
            "txid": step.txid,
            "disable_postback": step.no_postback,
            "by_hand": step.way is Way.HAND,
        }
        await self._tracker.ask("POST", "/conversions", report, msgspec.Raw)
        return 200

    async def _by_command(self, click_id: str, step: Step) -> int:
        options = ("--payout", _amount(step), "--status", step.word, "--txid", step.txid, "--currency", step.currency)
        await self._tracker.command("convert", click_id, *options)
        return 200


def _amount(step: Step) -> str:
    """The payout as text; networks of the euro's countries write a comma."""
    cents = step.cents or 0
    return f"{cents // 100}{',' if step.currency == 'EUR' else '.'}{cents % 100:02d}"


async def _at_once(tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs all, a bounded number at the same time; the first that fails ends the rest."""
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
