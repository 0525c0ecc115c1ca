"""An edge in memory with a landing's campaign, and a visitor with a browser that keeps cookies."""

import random
from urllib.parse import parse_qs, urlsplit

import msgspec

from clickloop.click.click import Click
from clickloop.click.geo.geo_base import FixedPlace
from clickloop.click.page.landing_click import read_page_query
from clickloop.click.page.page_event import PageEvent
from clickloop.click.page.recent_visits import RecentVisits
from clickloop.click.place import Place
from clickloop.click.routing.routes import Routes
from clickloop.click.visitor import Visitors
from clickloop.click.visitor_cookie import VisitorCookies
from clickloop.click.visitor_hash import VisitorHashes
from clickloop.click_id import ClickIds
from clickloop.edge.message import HttpRequest
from clickloop.record_id import EntropyPool, RecordIds
from clickloop.setup.catalog import Catalog
from clickloop.tracking.pages.page_events import find_visit, take_landing_click
from clickloop.tracking.take import ClickRedirect, Edge, record_clicks, take_click
from tests.landings import FALLBACK, KEY, catalog

NOW = 1_800_000_000_000
PHONE = b"Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36"


VISITORS = Visitors(FixedPlace(Place(country="DE")))


class Stream:
    """A journal stream in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.waiting: list[bytes] = []

    @property
    def gathered(self) -> int:
        return len(self.waiting)

    def gather(self, record: bytes) -> None:
        self.waiting.append(record)

    def flush(self) -> None:
        self.lines += self.waiting
        self.waiting = []

    def append(self, record: bytes) -> int:
        self.lines.append(record)
        return len(self.lines)


class LandingEdge:
    """An edge. ``now`` is its clock."""

    def __init__(self, of: Catalog | None = None, fallback: str = FALLBACK) -> None:
        self.now = NOW
        self.clicks, self.events, self.notices = Stream(), Stream(), Stream()
        self.edge = Edge(
            routes=Routes(of or catalog(), fallback),
            visitors=VISITORS,
            click_ids=ClickIds(b"k" * 32),
            notice_ids=RecordIds(entropy=EntropyPool()),
            clicks=self.clicks,
            notices=self.notices,
            deferred=self.notices,
            page_events=self.events,
            clock=lambda: self.now,
            draw=lambda: random.getrandbits(63),
            cookies=VisitorCookies(b"k" * 16),
            visitor_hashes=VisitorHashes(b"k" * 16),
            currency="USD",
        )

    def publish(self, changed: Catalog) -> None:
        """Change the set-up."""
        self.edge.routes = Routes(changed, FALLBACK)

    def forget(self) -> None:
        """As after a restart."""
        self.edge.recent_visits = RecentVisits()

    def recorded_clicks(self) -> list[Click]:
        """Return the clicks in the journal."""
        record_clicks(self.edge)
        return [msgspec.json.decode(line, type=Click) for line in self.clicks.lines]

    def recorded_events(self) -> list[PageEvent]:
        """Return the page events in the journal."""
        record_clicks(self.edge)
        return [msgspec.json.decode(line, type=PageEvent) for line in self.events.lines]


class Visitor:
    """A visitor. ``cookies``: what their browser keeps, if it keeps any."""

    def __init__(self, at: LandingEdge, *, keeps_cookies: bool = True) -> None:
        self.at = at
        self.keeps_cookies = keeps_cookies
        self.cookies: dict[str, str] = {}

    def request(self, path: bytes, query: bytes, method: bytes = b"GET", **headers: bytes) -> HttpRequest:
        """Return a request with the visitor's cookies."""
        given = {b"user-agent": PHONE} | {name.replace("_", "-").encode(): value for name, value in headers.items()}
        if self.cookies:
            given[b"cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items()).encode()
        return HttpRequest(method, path, query, given, b"", "198.51.100.7", True, "track.example")

    def visit(self, query: bytes = b"external_id=e%26x&zone=z+1&cost=0.5", key: str = KEY) -> str:
        """Follow a campaign link; return the click id that the landing is given."""
        gone = take_click(self.at.edge, self.request(b"/c/", query), key.encode())
        assert gone is not None
        self._keep(gone)
        return gone.click_id

    def press(
        self,
        cid: str = "",
        button: str = "",
        query: str = "",
        method: bytes = b"GET",
        core: Click | None = None,
        **headers: bytes,
    ) -> ClickRedirect | None:
        """Press a button. ``core``: the core's answer, if it is asked."""
        parts = [f"cid={cid}"] if cid else []
        arrival = self.request(b"/click", "&".join([*parts, *([query] if query else [])]).encode(), method, **headers)
        page = read_page_query(arrival.query)
        search = find_visit(self.at.edge, arrival, page)
        self.asked_core = search.needs_core
        gone = take_landing_click(
            self.at.edge, arrival, button.encode(), page, search, core if search.needs_core else None
        )
        if gone is not None:
            self._keep(gone)
        return gone

    def _keep(self, gone: ClickRedirect) -> None:
        if not self.keeps_cookies:
            return
        if gone.click_id:
            self.cookies["clickloop"] = gone.click_id
        if gone.visitor_cookie:
            self.cookies["clickloop_v"] = gone.visitor_cookie


def site(gone: ClickRedirect | None) -> str:
    """Return the host that a visitor is sent to."""
    return "" if gone is None else urlsplit(gone.location).netloc


def values(gone: ClickRedirect | None) -> dict[str, str]:
    """Return the parameters of the URL that a visitor is sent to."""
    assert gone is not None
    return {name: given[0] for name, given in parse_qs(urlsplit(gone.location).query).items()}
