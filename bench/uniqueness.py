"""Measures uniqueness: visits of simulated people against a plain model in every report, and CPU at the edge and in settling."""

import gc
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.routing import HEADERS, OneBase
from clickloop.click.routing.routes import Routes
from clickloop.click.visitor import Visitors
from clickloop.click.visitor_cookie import NOBODY, SeenCampaign, VisitorCookies, remember_campaign
from clickloop.click.visitor_hash import VisitorHashes
from clickloop.click_id import KEY_BYTES, ClickIds
from clickloop.clock import DAY_MS
from clickloop.edge.message import HttpRequest
from clickloop.record_id import RecordIds
from clickloop.report.query import Dimension, ReportQuery
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogFlow, CatalogOffer, CatalogRow
from clickloop.setup.flow import FlowParts, OfferShare
from clickloop.setup.flow import Path as FlowPath
from clickloop.setup.returning import UniqueBy
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import CLICKS_STREAM
from clickloop.store.journal.writer import JournalWriter
from clickloop.tracking.recognising import add_uniqueness
from clickloop.tracking.settle import settle_clicks
from clickloop.tracking.take import Edge, record_clicks, take_click

START = 1_800_000_000_000 // DAY_MS * DAY_MS
DAYS = 4
RESET_AT = START + 2 * DAY_MS + 5_000_000
"""When the uniqueness of the first campaign is reset."""
SEGMENT_CLICKS = 20_000
_ROWS = (CatalogRow(-1, "external_id"), CatalogRow(0, "cost"), CatalogRow(1, "zone"))
_USERAGENTS = tuple(HEADERS[b"user-agent"].replace(b"SM-A546B", b"SM-A%dB" % (100 + number)) for number in range(50))


class Browsers(Enum):
    """Whether people's browsers store cookies."""

    COOKIES = "with cookies"
    NO_COOKIES = "without cookies"
    MIXED = "mixed"

    def stores_cookies(self, person: int) -> bool:
        """Return whether a person's browser does."""
        return self is Browsers.COOKIES or (self is Browsers.MIXED and person % 2 == 0)


class Visit(NamedTuple):
    """A visit of the simulation."""

    at: int
    person: int
    campaign: int


def campaigns(epoch: int = 0) -> tuple[CatalogCampaign, ...]:
    """Return campaigns of every window and scope. ``epoch``: of the first one."""
    plain = CatalogCampaign(1, "Camp01", "A", 1, "Source", True, "", "", None, "USD", _ROWS, flow_id=1)
    change = msgspec.structs.replace
    return (
        change(plain, unique_epoch=epoch),
        change(plain, id=2, key="Camp02", unique_within_seconds=3_600),
        change(plain, id=3, key="Camp03", unique_within_seconds=0),
        change(plain, id=4, key="Camp04", unique_by=UniqueBy.INSTANCE),
        change(plain, id=5, key="Camp05", unique_by=UniqueBy.INSTANCE, unique_within_seconds=7_200),
    )


def routes(epoch: int = 0) -> Routes:
    """Return the campaigns, each with the same offer."""
    offers = (CatalogOffer(1, "Offer", "https://offers.example.net/land?sub={clickid}", 1, "Network"),)
    flows = (CatalogFlow(1, 1, FlowParts(default_paths=(FlowPath(id=1, offers=(OfferShare(1),)),))),)
    return Routes(Catalog(campaigns=campaigns(epoch), offers=offers, flows=flows), "")


def visits(people: int, count: int, seed: int) -> list[Visit]:
    """Return visits in the order of their times. Some people come often."""
    chance = random.Random(seed)
    moments = sorted(chance.randrange(START, START + DAYS * DAY_MS) for _ in range(count))
    return [Visit(at, int(people * chance.random() ** 1.5), chance.randrange(5)) for at in moments]


class PlainModel:
    """What should be unique, in dictionaries by person."""

    def __init__(self, browsers: Browsers) -> None:
        self._browsers = browsers
        self._unique_at: dict[int, dict[tuple[int, int], int]] = {}

    def is_unique(self, visit: Visit, campaign: CatalogCampaign) -> bool:
        """Return whether a visit is unique: no unique visit of the person is in the window before it."""
        window = campaign.unique_within_seconds * 1000 or 10**15
        if not self._browsers.stores_cookies(visit.person):
            window = min(window, DAY_MS)
        mine = self._unique_at.setdefault(visit.person, {})
        key = campaign.id, campaign.unique_epoch
        latest = max(mine.values(), default=None) if campaign.unique_by is UniqueBy.INSTANCE else mine.get(key)
        # A cookie has seconds.
        second = 1000 if self._browsers.stores_cookies(visit.person) else 1
        if latest is not None and visit.at // second - latest // second < window // second:
            return False
        mine[key] = visit.at
        return True


class _Machine:
    """Two edges that take turns, and the core."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        root = folder / "journal"
        self.writers = [JournalWriter.open(root, CLICKS_STREAM, f"edge{number}") for number in range(2)]
        self.edges = [self._edge(writer) for writer in self.writers]
        self.facts = DuckDbFacts.open(folder / "facts.duckdb")
        self._reader = JournalReader(root, folder / "settled")
        self.settling_seconds = 0.0

    def _edge(self, writer: JournalWriter) -> Edge:
        return Edge(
            routes=routes(),
            visitors=Visitors(OneBase()),
            click_ids=ClickIds(bytes(KEY_BYTES)),
            notice_ids=RecordIds(),
            clicks=writer,
            notices=writer,
            deferred=writer,
            page_events=writer,
            clock=lambda: self.now,
            draw=lambda: 1 << 62,
            cookies=VisitorCookies(bytes(16)),
            visitor_hashes=VisitorHashes(bytes(16)),
            currency="USD",
        )

    def settle(self) -> None:
        """Settle all clicks."""
        for edge, writer in zip(self.edges, self.writers, strict=True):
            record_clicks(edge)
            writer.close_segment()
        before = time.process_time()
        while settle_clicks(self._reader, self.facts).segments:
            pass
        self.settling_seconds += time.process_time() - before

    def close(self) -> None:
        """Close the files."""
        for writer in self.writers:
            writer.close()
        self.facts.close()


def request(person: int, zone: int, cookie: str = "") -> HttpRequest:
    """Return the request of a person, who has an address and a user agent of their own."""
    headers = HEADERS | {b"user-agent": _USERAGENTS[person % len(_USERAGENTS)]}
    if cookie:
        headers[b"cookie"] = f"clickloop_v={cookie}".encode()
    ip = f"10.{person >> 16 & 255}.{person >> 8 & 255}.{person & 255}"
    query = b"external_id=x&zone=%d" % zone
    return HttpRequest(b"GET", b"/c/x", query, headers, b"", ip, True, "go.example")


class Comparison(NamedTuple):
    """The result of a simulation. ``reports``: number of groups compared; ``wrong``: those that differ from the model."""

    visits: int
    unique: int
    reports: int
    groups: int
    wrong: tuple[str, ...]
    settling_us: float


_REPORTS: tuple[tuple[Dimension, ...], ...] = (
    (),
    (Dimension.CAMPAIGN,),
    (Dimension.DAY,),
    (Dimension.HOUR,),
    (Dimension.V1,),
    (Dimension.MODEL,),
    (Dimension.CAMPAIGN, Dimension.DAY),
    (Dimension.CAMPAIGN, Dimension.V1),
    (Dimension.OFFER, Dimension.WEEKDAY),
    (Dimension.COUNTRY, Dimension.HOUR_OF_DAY),
)


def compare(browsers: Browsers, people: int, count: int, seed: int = 7) -> Comparison:
    """Return how the reports of simulated visits differ from a plain model."""
    model, cookies = PlainModel(browsers), dict[int, str]()
    wanted: dict[tuple[Dimension, ...], Counter[tuple[str, ...]]] = {dimensions: Counter() for dimensions in _REPORTS}
    unique = 0
    with tempfile.TemporaryDirectory() as folder:
        machine = _Machine(Path(folder))
        setup = campaigns()
        for number, visit in enumerate(visits(people, count, seed)):
            if visit.at >= RESET_AT and not setup[0].unique_epoch:
                setup = campaigns(epoch=1)
                for edge in machine.edges:
                    edge.routes = routes(epoch=1)
            machine.now = visit.at
            zone = visit.person % 7
            redirect = take_click(
                machine.edges[number % 2],
                request(visit.person, zone, cookies.get(visit.person, "")),
                setup[visit.campaign].key.encode(),
            )
            assert redirect is not None
            if browsers.stores_cookies(visit.person):
                cookies[visit.person] = redirect.visitor_cookie
            if model.is_unique(visit, setup[visit.campaign]):
                unique += 1
                for dimensions, counted in wanted.items():
                    counted[tuple(_key(dimension, visit, zone) for dimension in dimensions)] += 1
            if number % SEGMENT_CLICKS == SEGMENT_CLICKS - 1:
                machine.settle()
        machine.settle()
        groups, wrong = _differences(machine.facts, wanted)
        machine.close()
    return Comparison(count, unique, len(_REPORTS), groups, tuple(wrong), machine.settling_seconds / count * 1e6)


def _key(dimension: Dimension, visit: Visit, zone: int) -> str:
    day = visit.at // DAY_MS
    match dimension:
        case Dimension.CAMPAIGN:
            return str(visit.campaign + 1)
        case Dimension.DAY:
            return str(day * DAY_MS)
        case Dimension.HOUR:
            return str(visit.at - visit.at % 3_600_000)
        case Dimension.WEEKDAY:
            return str((day + 3) % 7 + 1)
        case Dimension.HOUR_OF_DAY:
            return str(visit.at // 3_600_000 % 24)
        case Dimension.V1:
            return str(zone)
        case Dimension.MODEL:
            return f"Samsung SM-A{100 + visit.person % len(_USERAGENTS)}B"
        case Dimension.OFFER:
            return "1"
    return "DE"


def _differences(
    facts: DuckDbFacts, wanted: dict[tuple[Dimension, ...], Counter[tuple[str, ...]]]
) -> tuple[int, list[str]]:
    """Return the number of groups, and the groups that differ."""
    groups, wrong = 0, []
    for dimensions, counted in wanted.items():
        query = ReportQuery(
            from_at=START, until_at=START + DAYS * DAY_MS, currency="USD", group_by=dimensions, limit=10_000
        )
        report = facts.report(query, ())
        found = {tuple(map(str, row.keys)): row.sums.unique_clicks for row in report.groups}
        if not dimensions:
            found = {(): report.totals.unique_clicks}
        groups += len(found)
        wrong += [
            f"{dimensions} {key}: {found.get(key, 0)}, expected {counted[key]}"
            for key in found.keys() | counted.keys()
            if found.get(key, 0) != counted[key]
        ]
    return groups, wrong


EDGE_CLICKS = 2_000
EDGE_ROUNDS = 25


def edge_cpu() -> Iterator[str]:
    """Yield lines of Markdown: CPU per click of what uniqueness does at the edge."""
    yield "| visitor | µs per click | of them uniqueness and cookie |"
    yield "| --- | --- | --- |"
    with tempfile.TemporaryDirectory() as folder:
        machine = _Machine(Path(folder))
        edge = machine.edges[0]
        seconds = START // 1000
        full = NOBODY
        for number in range(50):
            full = full.with_campaign(SeenCampaign(number + 1, 0, seconds, seconds, 1))
        known = remember_campaign(NOBODY, campaigns()[0], seconds, None, "")
        cookies = {
            "without a cookie": "",
            "with a cookie of one campaign": edge.cookies.write(known),
            "with a cookie of 50 campaigns": edge.cookies.write(full),
        }
        for name, cookie in cookies.items():
            whole, part = [], []
            gc.disable()
            for _ in range(EDGE_ROUNDS):
                whole.append(_time_clicks(edge, cookie))
                part.append(_time_uniqueness(edge, cookie))
            gc.enable()
            yield f"| {name} | {min(whole):.1f} | {min(part):.1f} |"
        machine.close()


def _time_clicks(edge: Edge, cookie: str) -> float:
    requests = [request(number, 1, cookie) for number in range(EDGE_CLICKS)]
    before = time.process_time()
    for number, one in enumerate(requests):
        take_click(edge, one, b"Camp01")
        if number % 16 == 0:
            record_clicks(edge)
    return (time.process_time() - before) / EDGE_CLICKS * 1e6


def _time_uniqueness(edge: Edge, cookie: str) -> float:
    requests = [request(number, 1, cookie) for number in range(EDGE_CLICKS)]
    route = edge.routes.find(b"Camp01")
    assert route is not None
    before = time.process_time()
    for one in requests:
        state, since = add_uniqueness(edge, one.headers, one.ip, route, {}, START)
        edge.cookies.write(remember_campaign(state, route.campaign, START // 1000, since, "01" * 13))
    return (time.process_time() - before) / EDGE_CLICKS * 1e6


def main(people: int = 300_000, count: int = 1_000_000) -> Iterator[str]:
    """Yield the results as lines of Markdown."""
    yield from edge_cpu()
    yield ""
    yield "| browsers | visits | unique | reports, groups | groups that differ from the model | settling, µs per click |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for browsers in (Browsers.MIXED, Browsers.COOKIES, Browsers.NO_COOKIES):
        found = compare(browsers, people, count)
        yield (
            f"| {browsers.value} | {found.visits:,} | {found.unique:,} | {found.reports}, {found.groups:,} | "
            f"{len(found.wrong)} | {found.settling_us:.1f} |"
        )
        for one in found.wrong[:5]:
            yield f"| | | | | {one} | |"


if __name__ == "__main__":
    for line in main(*map(int, sys.argv[1:])):
        print(line, flush=True)
