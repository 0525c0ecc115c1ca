"""The traffic of the pages: visitors with a small browser, which does what ``track.js`` does."""

import re
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from clickloop.demo.observed import ArrivalPlace, ButtonPress, PageVisit
from clickloop.demo.page_plan import PageVisitor, PlannedRoute
from clickloop.demo.page_setup import PageSetup
from clickloop.demo.plan import ConversionStep
from clickloop.demo.standins import LANDING_PATH, TRACKED_PATH, query_bytes
from clickloop.demo.traffic import filled_link, headers_of, run_concurrently

_LINK = re.compile(r'<a href="([^"]+)"')
_SCRIPT = re.compile(r'<script src="([^"]+)/track\.js"(?: data-campaign="(\w+)")?')

Report = Callable[[str, str, ConversionStep], Awaitable[None]]
"""Reports a conversion of a click: click id, cookie, step."""


class _Offer(msgspec.Struct):
    url: str


class _TrackAnswer(msgspec.Struct):
    cid: str = ""
    offers: list[_Offer] = []


class _ShownPage(msgspec.Struct, frozen=True):
    """A page as shown: its address, and the links of its buttons."""

    url: str
    html: str

    @property
    def links(self) -> list[str]:
        return _LINK.findall(self.html)


class PageTraffic:
    """Plays the plan of the pages. ``visits`` records what was done."""

    def __init__(
        self,
        plan: Sequence[PageVisitor],
        set_up: PageSetup,
        session: aiohttp.ClientSession,
        report: Report,
        click_id_parameter: str,
    ) -> None:
        self.visits: list[PageVisit] = []
        self.plan = plan
        self._set_up = set_up
        self._session = session
        self._report = report
        self._click_id_parameter = click_id_parameter

    async def send_visitors(self, on_visit: Callable[[], None]) -> None:
        """Send all visitors. Those who convert do so right after the last button."""

        async def send(planned: PageVisitor) -> None:
            visit = await self._visit(planned)
            self.visits.append(visit)
            on_visit()
            for step in planned.visitor.steps:
                await self._report(visit.click_id, "", step)

        await run_concurrently(send(planned) for planned in self.plan)

    async def _visit(self, planned: PageVisitor) -> PageVisit:
        browser = _Browser(self._session, planned)
        if planned.route is PlannedRoute.STRAIGHT_TO_PAGE:
            url = filled_link(self._set_up.page_link, planned.visitor)
        else:
            url = await browser.redirect(filled_link(self._set_up.link, planned.visitor))
        place = _PLACES.get(urlsplit(url).path, ArrivalPlace.OFFER) if url else ArrivalPlace.NOWHERE
        html = await browser.load(url) if url else ""
        values = query_bytes(url.partition("?")[2])
        if place in (ArrivalPlace.OFFER, ArrivalPlace.NOWHERE):
            offer, click_id = values.get("offer", b""), values.get(self._click_id_parameter, b"")
            return PageVisit(planned=planned, place=place, click_id=click_id.decode(), offer=offer.decode())
        return await self._use(browser, planned, place, _ShownPage(url, html), values.get("cid", b"").decode())

    async def _use(
        self, browser: "_Browser", planned: PageVisitor, place: ArrivalPlace, page: _ShownPage, click_id: str
    ) -> PageVisit:
        """Let the page's script run, perhaps again after a reload, and press the buttons."""
        links, views = page.links, 0
        for _ in range(1 + planned.reloads) if planned.runs_scripts else ():
            answer = await browser.run_script(page, click_id)
            views += answer.cid == click_id
            click_id = answer.cid
            links = [offer.url for offer in answer.offers]
        presses = []
        for button in planned.presses:
            target = await browser.redirect(links[button - 1]) if button <= len(links) else ""
            if target:
                await browser.load(target)
            values = query_bytes(target.partition("?")[2])
            offer, given = values.get("offer", b""), values.get(self._click_id_parameter, b"")
            presses.append(ButtonPress(button, offer.decode(), given.decode()))
        return PageVisit(planned=planned, place=place, click_id=click_id, presses=tuple(presses), views=views)


_PLACES = {LANDING_PATH: ArrivalPlace.LANDING, TRACKED_PATH: ArrivalPlace.PAGE}


class _Browser:
    """A visitor's browser. It follows redirects one by one, and keeps the tracker's cookies if the visitor lets it."""

    def __init__(self, session: aiohttp.ClientSession, planned: PageVisitor) -> None:
        self._session = session
        self._visitor = planned.visitor
        self._keeps_cookies = planned.keeps_cookies
        self._cookies: dict[str, str] = {}
        self._headers = headers_of(planned.visitor)

    async def redirect(self, url: str) -> str:
        """Open a link of the tracker and return where it leads; empty if nowhere."""
        headers = dict(self._headers)
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        async with self._session.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as answer:
            if self._keeps_cookies:
                self._cookies |= {name: morsel.coded_value for name, morsel in answer.cookies.items()}
            return answer.headers.get("Location", "")

    async def load(self, url: str) -> str:
        """Return the text of another site's page. From then on it is the referrer, cut to its origin as browsers cut it."""
        async with self._session.get(URL(url, encoded=True), headers=self._headers) as answer:
            text = await answer.text()
        parts = urlsplit(url)
        self._headers["Referer"] = f"{parts.scheme}://{parts.netloc}/"
        return text

    async def run_script(self, page: _ShownPage, click_id: str) -> _TrackAnswer:
        """Report a page as ``track.js`` does, without the tracker's cookies. ``click_id``: of the page's address or own cookie."""
        found = _SCRIPT.search(page.html)
        if found is None:
            return _TrackAnswer()
        report = {
            "campaign": found[2],
            "url": page.url,
            "referrer": f"https://{self._visitor.macro_values['{source}']}/",
            "language": self._visitor.language.partition(",")[0],
            "screen": "412x915",
            "timezone": "UTC",
            "cid": click_id,
            "loaded": 180,
        }
        headers = self._headers | {"Content-Type": "text/plain;charset=UTF-8"}
        async with self._session.post(f"{found[1]}/track", data=msgspec.json.encode(report), headers=headers) as answer:
            body = await answer.read()
            return msgspec.json.decode(body, type=_TrackAnswer) if answer.status == 200 else _TrackAnswer()
