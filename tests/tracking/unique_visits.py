"""An edge, a journal and facts, and browsers that visit campaigns: for tests of what is unique."""

from pathlib import Path

import msgspec

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click.geo.geo_base import FixedPlace
from clickloop.click.place import Place
from clickloop.click.routing.routes import Routes
from clickloop.click.visitor import Visitors
from clickloop.click.visitor_cookie import VisitorCookies
from clickloop.click.visitor_hash import VisitorHashes
from clickloop.click_id import ClickIds
from clickloop.clock import DAY_MS
from clickloop.edge.message import HttpRequest
from clickloop.record_id import RecordIds
from clickloop.report.query import ReportQuery
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogOffer
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.writer import JournalWriter
from clickloop.tracking.judging import ClickJudge
from clickloop.tracking.settle import settle_clicks
from clickloop.tracking.take import ClickRedirect, Edge, record_clicks, take_click
from tests.empty_stores import open_facts
from tests.flows import flow_in_catalog

NOON = 1_800_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2
HOUR = 3_600_000
PHONE = "Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36"
FIRST = CatalogCampaign(1, "Camp01", "First", 3, "Source", True, "", "", None, "USD", (), flow_id=9)
SECOND = msgspec.structs.replace(FIRST, id=2, key="Camp02", name="Second")


class Tracker:
    """A tracker whose clock is ``now``. Its clicks are settled on ``settle``."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.folder = folder
        self.facts = open_facts(folder / "facts.duckdb")
        self.reader = JournalReader(folder / "journal", folder / "settled")
        self.judge = ClickJudge(self.facts)
        self._writers = 0
        self.edge = self.new_edge()

    def new_edge(self) -> Edge:
        """Return another edge of the installation. Its campaigns are ``FIRST`` and ``SECOND``."""
        writer = JournalWriter.open(self.folder / "journal", "clicks", f"edge{self._writers}")
        self._writers += 1
        return Edge(
            routes=routes(FIRST, SECOND),
            visitors=Visitors(FixedPlace(Place("DE"))),
            click_ids=ClickIds(b"k" * 32),
            notice_ids=RecordIds(),
            clicks=writer,
            notices=writer,
            deferred=writer,
            page_events=writer,
            clock=lambda: self.now,
            draw=lambda: 1 << 62,
            cookies=VisitorCookies(b"k" * 16),
            visitor_hashes=VisitorHashes(b"h" * 16),
            currency="USD",
        )

    def settle(self, *edges: Edge) -> None:
        """Settle the clicks of the edges, by default of the first."""
        for edge in edges or (self.edge,):
            record_clicks(edge)
            assert isinstance(edge.clicks, JournalWriter)
            edge.clicks.close_segment()
            while settle_clicks(self.reader, self.facts, judge=self.judge).segments:
                pass

    def reopen(self) -> None:
        """Restart the core."""
        self.facts.close()
        self.facts = open_facts(self.folder / "facts.duckdb")
        self.judge = ClickJudge(self.facts)

    def click(self, click_id: str) -> Click:
        """Return a settled click."""
        return self.facts.find_clicks([click_id])[click_id]

    def unique(self, *click_ids: str) -> list[bool]:
        """Return which of these clicks are unique, and check that the report says as many as the log."""
        found = self.facts.find_clicks(click_ids)
        day = NOON - NOON % DAY_MS
        report = self.facts.report(
            ReportQuery(from_at=day - 9 * DAY_MS, until_at=day + 400 * DAY_MS, currency="USD"), ()
        )
        everything = self.facts.clicks_page(ClickFilter(), 10_000)
        assert report.totals.unique_clicks == sum(click.unique and not click.screening for click in everything)
        return [found[click_id].unique for click_id in click_ids]


class Browser:
    """A person's browser. ``cookies``: by host, if it stores any."""

    def __init__(
        self, tracker: Tracker, ip: str = "198.51.100.7", useragent: str = PHONE, *, stores_cookies: bool = True
    ) -> None:
        self.tracker = tracker
        self.ip = ip
        self.useragent = useragent
        self.stores_cookies = stores_cookies
        self.cookies: dict[str, str] = {}

    def visit(self, key: str = "Camp01", host: str = "go.example", edge: Edge | None = None, **headers: bytes) -> str:
        """Follow a campaign link, and return the click's id."""
        redirect = self.request(key, host, edge, **headers)
        if self.stores_cookies and redirect.visitor_cookie:
            self.cookies[host] = redirect.visitor_cookie
        return redirect.click_id

    def request(
        self, key: str = "Camp01", host: str = "go.example", edge: Edge | None = None, **headers: bytes
    ) -> ClickRedirect:
        """Follow a campaign link without taking its cookie."""
        given = {b"user-agent": self.useragent.encode()} | {name.encode(): value for name, value in headers.items()}
        if host in self.cookies:
            given[b"cookie"] = f"other=1; clickloop_v={self.cookies[host]}".encode()
        arrival = HttpRequest(b"GET", b"/c/" + key.encode(), b"", given, b"", self.ip, True, host)
        redirect = take_click(edge or self.tracker.edge, arrival, key.encode())
        assert redirect is not None
        return redirect


def routes(*campaigns: CatalogCampaign) -> Routes:
    """Return campaigns that lead to one offer."""
    offers = (CatalogOffer(11, "Offer", "https://offer.example/?s={clickid}&u={unique}", 5, "Network"),)
    return Routes(Catalog(campaigns, offers, flows=(flow_in_catalog((11, 1)),)), "")
