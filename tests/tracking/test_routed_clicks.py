"""Recorded clicks of random flows against a slow model that shares no code with the edge: it knows the click's line and the flow alone."""

import ipaddress
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode

import msgspec

from clickloop.click.click import Click
from clickloop.click.place import Place
from clickloop.click.routing.routes import Routes
from clickloop.click.visitor import Visitors
from clickloop.click.visitor_cookie import VisitorCookies
from clickloop.click.visitor_hash import VisitorHashes
from clickloop.click_id import ClickIds
from clickloop.edge.message import HttpRequest
from clickloop.record_id import RecordIds
from clickloop.setup.catalog import (
    Catalog,
    CatalogCampaign,
    CatalogFlow,
    CatalogLanding,
    CatalogList,
    CatalogOffer,
    CatalogRow,
)
from clickloop.setup.condition import Condition, Operator, UnknownValue
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule, flow_faults
from clickloop.tracking.take import Edge, take_click
from tests.tracking.test_take import Paper

FLOWS, CLICKS_PER_FLOW = 500, 20
MONDAY = 1_772_409_600_000  # 2026-03-02T00:00Z
USERAGENTS = (
    b"Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36",
    (
        b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
        b"Mobile/15E148 Safari/604.1"
    ),
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    b"",
)
PLACES = {
    "198.51.100.7": Place("US", "NA", "US-CA", "Los Angeles", "Example Mobile", "64500", "mobile"),
    "203.0.113.9": Place("DE", "EU", "DE-BE", "Berlin", "Beispiel Kabel", "64501", "broadband"),
    "2001:db8::1": Place("BR", "SA", "", "", "", "64502", ""),
    "192.0.2.5": Place(),
}
LISTED = ("z1", "z3")
CONDITIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("country", "in", ("US", "DE")),
    ("country", "not_in", ("US",)),
    ("continent", "in", ("EU",)),
    ("region", "in", ("US-CA",)),
    ("city", "contains", ("BER",)),
    ("isp", "starts_with", ("example",)),
    ("isp", "matches", ("(?i)kabel$",)),
    ("asn", "between", ("64501", "64502")),
    ("connection", "not_in", ("mobile",)),
    ("device", "in", ("mobile",)),
    ("os", "in", ("ios", "windows")),
    ("os_version", "between", ("14", "17")),
    ("browser_version", "in", ("131",)),
    ("language", "in", ("pt", "en-us")),
    ("referrer", "contains", ("site.example",)),
    ("referrer", "empty", ()),
    ("ip", "in", ("198.51.100.0/24", "2001:db8::/32")),
    ("ip_version", "in", ("6",)),
    ("schedule", "in", ("Europe/Berlin", "mon 9-17", "tue 0-24")),
    ("date", "between", ("2026-03-02T12:00", "2026-03-03")),
    ("unique", "in", ("yes",)),
    ("mark", "in", ("unknown_device", "bot_useragent")),
    ("external_id", "starts_with", ("a",)),
    ("v1", "in", ()),  # by the named list
    ("v1", "empty", ()),
    ("query.Sub", "in", ("x", "y z")),
)


class Bases:
    """Geo bases that know ``PLACES``."""

    def place(self, ip: str) -> Place:
        """Return the place of one of our addresses."""
        return PLACES[ip]


def random_flow(chance: random.Random) -> FlowParts:
    numbers = iter(range(1, 1000))

    def condition() -> Condition:
        field, op, values = chance.choice(CONDITIONS)
        unknown = None if op == "empty" else chance.choice([None, None, *UnknownValue])
        list_id = 5 if (field, op) == ("v1", "in") else None
        return Condition(field=field, op=Operator(op), values=values, unknown=unknown, list_id=list_id)

    def path() -> Path:
        target = chance.choice(
            [PathTarget.OFFER, PathTarget.OFFER, PathTarget.LANDING_AND_OFFER, PathTarget.URL, PathTarget.NOTHING]
        )
        landings = tuple(LandingShare(number, chance.choice([0, 10, 30])) for number in (1, 2))
        offers = tuple(OfferShare(number, chance.choice([0, 100, 250])) for number in (11, 12, 99))
        return Path(
            id=next(numbers),
            weight=chance.choice([0, 1, 50, 100]),
            active=chance.random() < 0.9,
            target=target,
            landings=landings,
            offers=offers,
            url="https://url.example/",
        )

    rules = tuple(
        Rule(
            id=next(numbers),
            active=chance.random() < 0.9,
            conditions=tuple(condition() for _ in range(chance.randint(0, 3))),
            paths=tuple(path() for _ in range(chance.randint(0, 3))),
        )
        for _ in range(chance.randint(0, 6))
    )
    return FlowParts(rules=rules, default_paths=tuple(path() for _ in range(chance.randint(0, 3))))


def slow_value(field: str, click: Click) -> str | int:
    """Return a condition's value from the click's line."""
    match field:
        case "continent":
            return {"US": "NA", "DE": "EU", "BR": "SA"}.get(click.country, "")
        case "ip_version":
            return str(ipaddress.ip_address(click.ip).version)
        case "schedule" | "date":
            return click.at
        case "unique":
            return "yes" if click.unique else "no"
        case "mark":
            return click.marks
        case "query.Sub":
            return parse_qs(click.query).get("sub", [""])[0]
    return str(getattr(click, field))


def slow_holds(condition: Condition, click: Click) -> bool:
    value = slow_value(condition.field, click)
    if condition.op is Operator.EMPTY:
        return value == ""
    if value == "":
        return condition.unknown is UnknownValue.MATCH if condition.unknown else condition.op is Operator.NOT_IN
    values = (*condition.values, *(LISTED if condition.list_id else ()))
    text = str(value).lower()
    if condition.field == "schedule":
        return slow_schedule(int(value))
    if condition.field == "date":
        moment = datetime.fromtimestamp(int(value) / 1000, UTC)
        return datetime(2026, 3, 2, 12, tzinfo=UTC) <= moment < datetime(2026, 3, 4, tzinfo=UTC)
    match condition.op:
        case Operator.CONTAINS:
            return any(one.lower() in text for one in values)
        case Operator.STARTS_WITH:
            return any((str(value) if condition.field == "external_id" else text).startswith(one) for one in values)
        case Operator.MATCHES:
            return text.endswith("kabel")
        case Operator.BETWEEN:
            return float(values[0]) <= float(text) < float(values[1]) + 1
    return slow_in(condition.field, text, str(value), values) is (condition.op is Operator.IN)


def slow_in(field: str, text: str, value: str, values: tuple[str, ...]) -> bool:
    if field == "ip":
        return any(ipaddress.ip_address(text) in ipaddress.ip_network(one) for one in values)
    if field in ("os", "city", "isp"):
        return text in values
    if field == "browser_version":
        return any(f"{text}.".startswith(f"{one}.") for one in values)
    if field == "mark":
        return any(one in text.split(",") for one in values)
    if field == "language":
        return any(text == one or text.startswith(f"{one}-") for one in values)
    return value in values


def slow_schedule(at: int) -> bool:
    """Return whether a moment of March is on a Monday from 9 to 17 or on a Tuesday, in Berlin, an hour ahead then."""
    local = datetime.fromtimestamp(at / 1000, UTC) + timedelta(hours=1)
    return (local.weekday() == 0 and 9 <= local.hour < 17) or local.weekday() == 1


def slow_number(draw: int, choice: int) -> int:
    """Return SplitMix64 after ``choice`` steps from the draw, as published."""
    mixed = (draw + choice * 0x9E3779B97F4A7C15) % 2**64
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
    return mixed ^ mixed >> 31


def slow_pick(shares: list[tuple[int, int]], draw: int, choice: int) -> int:
    """Return the item at the draw's place on the line of all weights; 0 if there is none."""
    line = [item for item, weight in shares for _ in range(weight)]
    return line[slow_number(draw, choice) * len(line) // 2**64] if line else 0


def slow_way(parts: FlowParts, click: Click) -> tuple[int, int, int, int]:
    """Return rule, path, landing and offer of a click, each 0 for none. Offer 99 is archived."""
    rule = next(
        (one for one in parts.rules if one.active and all(slow_holds(held, click) for held in one.conditions)), None
    )
    lines: dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
    paths = []
    for path in parts.default_paths if rule is None else rule.paths:
        landings = [(share.landing_id, share.weight) for share in path.landings if share.weight]
        offers = [(share.offer_id, share.weight) for share in path.offers if share.weight and share.offer_id != 99]
        lines[path.id] = (
            landings if path.target is PathTarget.LANDING_AND_OFFER else [],
            offers if path.target is PathTarget.OFFER else [],
        )
        if path.active and (any(lines[path.id]) or path.target in (PathTarget.URL, PathTarget.NOTHING)):
            paths.append((path.id, path.weight))
    path_id = slow_pick(paths, click.draw, 1)
    landings, offers = lines.get(path_id, ([], []))
    return (
        rule.id if rule else 0,
        path_id,
        slow_pick(landings, click.draw, 2),
        slow_pick(offers, click.draw, 3),
    )


def edge_of(parts: FlowParts, clicks: Paper, chance: random.Random) -> Edge:
    campaign = CatalogCampaign(
        id=7,
        key="Ab12Cd",
        name="Summer",
        source_id=3,
        source_name="Source",
        active=True,
        domain="",
        fallback_url="https://fallback.example/",
        cost_micros=None,
        cost_currency="EUR",
        rows=(CatalogRow(-1, "external_id"), CatalogRow(0, "cost"), CatalogRow(1, "zone")),
        flow_id=9,
    )
    catalog = Catalog(
        campaigns=(campaign,),
        offers=tuple(CatalogOffer(number, "Offer", f"https://o{number}.example/", 5, "Net") for number in (11, 12)),
        landings=tuple(CatalogLanding(number, "Landing", f"https://l{number}.example/") for number in (1, 2)),
        flows=(CatalogFlow(9, 1, parts),),
        lists=(CatalogList(5, LISTED),),
    )
    return Edge(
        routes=Routes(catalog, ""),
        visitors=Visitors(Bases()),
        click_ids=ClickIds(b"k" * 32),
        notice_ids=RecordIds(),
        clicks=clicks,
        notices=Paper(),
        deferred=Paper(),
        page_events=Paper(),
        clock=lambda: MONDAY + chance.randrange(7 * 86_400_000),
        draw=lambda: chance.getrandbits(63),
        cookies=VisitorCookies(b"k" * 16),
        visitor_hashes=VisitorHashes(b"k" * 16),
        currency="USD",
    )


def random_request(chance: random.Random) -> HttpRequest:
    pairs = {
        "external_id": chance.choice(["abc", "xyz", ""]),
        "zone": chance.choice(["z1", "z2", "z3", ""]),
        "SUB": chance.choice(["x", "y z", "other", ""]),
    }
    headers = {
        b"user-agent": chance.choice(USERAGENTS),
        b"accept-language": chance.choice([b"pt-BR,pt;q=0.9", b"en-US", b"en-GB", b""]),
        b"referer": chance.choice([b"https://www.SITE.example/a", b"https://other.example/", b""]),
        b"cookie": chance.choice([b"clickloop=01kjmm87x09z14xzr1jgrhd1sd", b""]),
    }
    query = urlencode({name: value for name, value in pairs.items() if value or chance.random() < 0.5}).encode()
    given = {name: value for name, value in headers.items() if value}
    return HttpRequest(b"GET", b"/c/Ab12Cd", query, given, b"", chance.choice(list(PLACES)), True, "track.example")


def test_10000_recorded_clicks_of_random_flows_went_the_way_that_a_slow_model_says() -> None:
    chance = random.Random(20261130)
    taken = Counter[str]()
    for _ in range(FLOWS):
        parts = random_flow(chance)
        assert flow_faults(parts) == []
        clicks = Paper()
        edge = edge_of(parts, clicks, chance)
        for _ in range(CLICKS_PER_FLOW):
            take_click(edge, random_request(chance), b"Ab12Cd")
        for line in clicks.waiting:
            click = msgspec.json.decode(line, type=Click)
            way = (click.rule_id, click.path_id, click.landing_id, click.offer_id)
            # Where there was nothing to choose, no draw was kept.
            assert way == slow_way(parts, click), (parts, click)
            taken["rule" if click.rule_id else "default" if click.path_id else "fallback"] += 1
            taken["landing" if click.landing_id else "offer" if click.offer_id else "elsewhere"] += 1
    assert sum(taken.values()) == 2 * FLOWS * CLICKS_PER_FLOW
    assert min(taken.values()) > 800, taken
