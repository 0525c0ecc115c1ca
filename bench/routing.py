"""Measures routing at the edge: CPU of taking a click along flows of different size, in one process and in turns."""

import gc
import random
import time
from collections.abc import Callable
from functools import partial

from clickloop.click.marks.request_marks import MarkLists
from clickloop.click.place import Place
from clickloop.click.routing.flow import MAX_DRAW_BITS
from clickloop.click.routing.routes import Routes
from clickloop.click.visitor import Visitors
from clickloop.click.visitor_cookie import VisitorCookies
from clickloop.click.visitor_hash import VisitorHashes
from clickloop.click_id import KEY_BYTES, ClickIds
from clickloop.edge.message import HttpRequest
from clickloop.record_id import RecordIds
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogFlow, CatalogLanding, CatalogOffer, CatalogRow
from clickloop.setup.condition import Condition, Operator
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule
from clickloop.setup.mark import Mark, MarkSetting
from clickloop.tracking.take import Edge, record_clicks, take_click

CLICKS = 2_000
ROUNDS = 25
KEY = "Ab12Cd"
NOW = 1_800_000_000_000
QUERY = b"external_id=w9Xk2-7fAb0123&cost=0.0123&zone=4711&campaign=88&creative=55&country=DE"
HEADERS = {
    b"user-agent": b"Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/129.0.0.0 Mobile Safari/537.36",
    b"accept-language": b"de-DE,de;q=0.9",
    b"referer": b"https://site.example/page",
}
_URL = "https://offers.example.net/land?sub={clickid}&zone={zone}&src={trafficsource.name}&cost={cost}"
_TO_OFFERS = Path(id=1, offers=(OfferShare(1, 70), OfferShare(2, 30)))
_TO_LANDING = Path(id=1, target=PathTarget.LANDING_AND_OFFER, landings=(LandingShare(1),), offers=(OfferShare(1),))


class OneBase:
    """A geo base that places every address in Berlin."""

    def place(self, _ip: str) -> Place:
        """Return Berlin."""
        return Place("DE", "EU", "DE-BE", "Berlin", "Example Kabel", "64500", "broadband")


class Discarding:
    """A journal stream that keeps nothing."""

    def __init__(self) -> None:
        self.gathered = 0

    def gather(self, _record: bytes) -> None:
        """Count a record."""
        self.gathered += 1

    def flush(self) -> None:
        """Forget what was counted."""
        self.gathered = 0

    def append(self, _record: bytes) -> int:
        """Return a position."""
        return 1


def _rules(count: int, *more: Condition) -> tuple[Rule, ...]:
    """Return rules of three conditions, of which the last does not hold for the bench's visitor."""
    return tuple(
        Rule(
            id=number,
            conditions=(
                Condition(field="country", values=("DE", "AT", "CH")),
                Condition(field="device", values=("mobile", "tablet")),
                Condition(field="v1", op=Operator.IN, values=tuple(f"{number}-{zone}" for zone in range(100))),
                *more,
            ),
            paths=(Path(id=1000 + number, offers=_TO_OFFERS.offers),),
        )
        for number in range(10, 10 + count)
    )


_NO_MARKS = tuple(MarkSetting(mark, False) for mark in Mark)
_ALL_MARKS = tuple(MarkSetting(mark) for mark in Mark)
_LISTS = MarkLists(
    tuple(f"10.{number >> 8}.{number & 255}.0/24" for number in range(20_000)),
    tuple(f"Browser/{number}." for number in range(1_000)),
)


def _edge(parts: FlowParts, marks: tuple[MarkSetting, ...] = ()) -> Edge:
    names = ("external_id", "cost", "zone", "campaign", "creative", "country")
    campaign = CatalogCampaign(
        id=1,
        key=KEY,
        name="Bench",
        source_id=1,
        source_name="Bench source",
        active=True,
        domain="",
        fallback_url="",
        cost_micros=None,
        cost_currency="USD",
        rows=tuple(CatalogRow(number, name) for number, name in enumerate(names, start=-1)),
        flow_id=1,
        marks=marks,
    )
    visitors = Visitors(OneBase())
    if marks == _ALL_MARKS:
        visitors.use_mark_lists(_LISTS)
    catalog = Catalog(
        campaigns=(campaign,),
        offers=tuple(CatalogOffer(number, f"Offer {number}", _URL, 1, "Network") for number in (1, 2)),
        landings=(CatalogLanding(1, "Quiz", "https://landing.example.net/quiz"),),
        flows=(CatalogFlow(1, 1, parts),),
    )
    return Edge(
        routes=Routes(catalog, ""),
        visitors=visitors,
        click_ids=ClickIds(bytes(KEY_BYTES)),
        notice_ids=RecordIds(),
        clicks=Discarding(),
        notices=Discarding(),
        deferred=Discarding(),
        page_events=Discarding(),
        clock=lambda: NOW,
        draw=partial(random.getrandbits, MAX_DRAW_BITS),
        cookies=VisitorCookies(bytes(16)),
        visitor_hashes=VisitorHashes(b"k" * 16),
        currency="USD",
    )


def _clicks(edge: Edge, headers: dict[bytes, bytes]) -> Callable[[], None]:
    def run() -> None:
        for number in range(CLICKS):
            request = HttpRequest(
                b"GET", b"/c/" + KEY.encode(), QUERY, headers, b"", "198.51.100.7", True, "go.example"
            )
            take_click(edge, request, KEY.encode())
            if number % 16 == 0:
                record_clicks(edge)

    return run


def _visitor_cookie(edge: Edge) -> dict[bytes, bytes]:
    request = HttpRequest(b"GET", b"/c/" + KEY.encode(), QUERY, HEADERS, b"", "198.51.100.7", True, "go.example")
    redirect = take_click(edge, request, KEY.encode())
    assert redirect is not None
    return HEADERS | {b"cookie": f"clickloop={redirect.click_id}; clickloop_v={redirect.visitor_cookie}".encode()}


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    one_offer = FlowParts(default_paths=(Path(id=1, offers=(OfferShare(1),)),))
    two_offers = FlowParts(default_paths=(_TO_OFFERS,))
    with_rules = FlowParts(rules=_rules(20), default_paths=(_TO_OFFERS,))
    landing = FlowParts(default_paths=(_TO_LANDING,))
    counting = FlowParts(
        rules=(Rule(id=10, conditions=(Condition(field="visit_number", values=("1000000",)),)),),
        default_paths=(_TO_OFFERS,),
    )
    returning = _edge(counting)
    kinds = {
        "one offer, no rules": _clicks(_edge(one_offer), HEADERS),
        "two offers, no rules": _clicks(_edge(two_offers), HEADERS),
        "two offers, marks off": _clicks(_edge(two_offers, _NO_MARKS), HEADERS),
        "two offers, all marks on, lists of 20,000 networks and 1,000 user agents": _clicks(
            _edge(two_offers, _ALL_MARKS), HEADERS
        ),
        "20 rules × 3 conditions, none holds": _clicks(_edge(with_rules), HEADERS),
        "to a landing, signed cookie written": _clicks(_edge(landing), HEADERS),
        "a rule by visit number, signed cookie read and written": _clicks(returning, _visitor_cookie(returning)),
    }
    spent: dict[str, list[float]] = {kind: [] for kind in kinds}
    gc.disable()
    for _ in range(ROUNDS):
        for kind, run in kinds.items():
            before = time.process_time()
            run()
            spent[kind].append((time.process_time() - before) / CLICKS * 1e6)
    gc.enable()
    base = spent["two offers, no rules"]
    lines = ["| flow | µs per click | more than two offers without rules |", "| --- | --- | --- |"]
    for kind, times in spent.items():
        more = sorted(one - other for one, other in zip(times, base, strict=True))[ROUNDS // 2]
        lines.append(f"| {kind} | {min(times):.1f} | {more:+.1f} µs |")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
