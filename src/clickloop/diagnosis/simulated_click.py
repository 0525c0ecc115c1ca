"""Simulate a visitor with the edge's own code and a journal in memory: their click, and where they would go."""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote_from_bytes

import msgspec
from msgspec.structs import replace

from clickloop.click.click import Click
from clickloop.click.click_values import click_values
from clickloop.click.continent import continent_of
from clickloop.click.geo.geo_base import FixedPlace
from clickloop.click.place import Place
from clickloop.click.redirect import VISITOR_COOKIE
from clickloop.click.routing.destination import Destination, RedirectTarget
from clickloop.click.routing.flow import ReadyPath
from clickloop.click.routing.route import Route
from clickloop.click.routing.routes import Routes
from clickloop.click.visitor import Visitors
from clickloop.click.visitor_cookie import NOBODY, VisitorCookies, remember_campaign
from clickloop.click.visitor_hash import VisitorHashes
from clickloop.click_id import KEY_BYTES, ClickIds
from clickloop.diagnosis.macro_origin import MacroValue, OriginContext, origins_of
from clickloop.diagnosis.simulation import DestinationKind, IgnoredParameter, OfferChance, Redirect
from clickloop.record_id import RecordIds
from clickloop.setup.campaign import Campaign
from clickloop.setup.catalog import Catalog
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare
from clickloop.setup.routing_state import NO_STATE, RoutingState
from clickloop.setup.source_rows import FixedRow
from clickloop.setup.traffic_source import COST, EXTERNAL_ID, RESERVED_NAMES, TrafficSource
from clickloop.text import unescape_bytes
from clickloop.tracking.take import Edge, take_click

_OTHER_NAMES = RESERVED_NAMES - {EXTERNAL_ID, COST}
_NO_ROW = "Not stored: the traffic source has no row with this name (case-sensitive)."
_ROW_OFF = "Not stored: the parameter is not tracked."
Share = TypeVar("Share", LandingShare, OfferShare)
FIRST_VISIT = (
    "These are the chances of a first visit. The campaign sends returning visitors by what they saw before: describe one under "
    "Route on the campaign's page."
)
UNUSED_KEY = bytes(KEY_BYTES)
"""A key that no tracker uses, so that its click ids are accepted nowhere."""


class SimulatedVisitor(msgspec.Struct, frozen=True, kw_only=True):
    """A simulated visitor. The country is used as given; the address is not looked up."""

    ip: str = "203.0.113.7"
    country: str = ""
    useragent: str = ""
    language: str = ""
    """The Accept-Language header."""
    referrer: str = ""
    host: str = ""
    """The host in the opened campaign link; empty: the campaign's domain, else the instance's host."""
    returning: bool = False


class SimulatedClick(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor who follows a campaign link."""

    campaign_id: int
    parameters: Mapping[str, str] | None = None
    """The link's parameters by name; None: an example value for each tracked row."""
    visitor: SimulatedVisitor = SimulatedVisitor()
    offer_id: int | None = None
    """The offer to choose; None: the one with the highest weight."""


class TrackerHost(msgspec.Struct, frozen=True, kw_only=True):
    """The tracker's addresses as known to the edge."""

    host: str
    fallback_url: str
    own_hosts: tuple[str, ...]


class SimulationSetup(msgspec.Struct, frozen=True):
    """A campaign with its context as known to the edge."""

    campaign: Campaign
    source: TrafficSource
    catalog: Catalog
    routes: Routes
    place: TrackerHost
    state: RoutingState = NO_STATE
    """The caps in force."""

    @property
    def route(self) -> Route:
        route = self.routes.find(self.campaign.key.encode())
        assert route is not None, f"campaign {self.campaign.id} is live and not in the catalog"
        return route


class _InMemory:
    """A journal stream in memory."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    @property
    def gathered(self) -> int:
        return len(self.records)

    def gather(self, record: bytes) -> None:
        self.records.append(record)

    def flush(self) -> None:
        """Do nothing."""

    def append(self, record: bytes) -> int:
        self.records.append(record)
        return len(self.records)


class _Request(msgspec.Struct):
    """The simulated visitor's request."""

    method: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    ip: str
    host: str


def narrowed(setting: SimulationSetup, click: Click, offer_id: int | None) -> SimulationSetup | None:
    """Return the set-up with one way left for the simulated visitor; None if no path leads to the offer.

    ``click``: their click as routed by chance, which tells what rule takes them. The way is the heaviest path to the offer, or the
    heaviest path with its heaviest landing and offer.
    """
    flow = next((flow for flow in setting.catalog.flows if flow.id == setting.route.campaign.flow_id), None)
    if flow is None:
        return setting if offer_id is None else None
    served = [(path, weight) for path, weight, _ in setting.route.paths()]
    taken = [path.id for rule in flow.parts.rules if rule.id == click.rule_id for path in rule.paths]
    own = taken if click.rule_id else [path.id for path in flow.parts.default_paths]
    found = max(
        ((path, weight) for path, weight in served if offer_id is None or _leads_to(path, offer_id)),
        key=lambda pair: (pair[0].id in own, pair[1]),
        default=None,
    )
    if found is None:
        return setting if offer_id is None else None
    path = next(one for _, one in flow.parts.paths() if one.id == found[0].id)
    only = replace(
        path,
        landings=_heaviest(path.landings, [item.target.landing_id for item in found[0].landings.items], "landing_id"),
        offers=_heaviest(
            path.offers,
            [item.id for item in found[0].offers.items if offer_id in (None, item.id)],
            "offer_id",
        ),
    )
    rules = tuple(
        replace(rule, paths=(only,) if path in rule.paths else rule.paths)
        for rule in flow.parts.rules
        if path not in flow.parts.default_paths
    )
    if path.id not in own:  # the offer of a rule that does not take this visitor
        rules = ()
    parts = FlowParts(rules=rules, default_paths=() if rules else (only,))
    flows = tuple(replace(one, parts=parts) if one.id == flow.id else one for one in setting.catalog.flows)
    catalog = replace(setting.catalog, flows=flows)
    return replace(setting, catalog=catalog, routes=Routes(catalog, setting.place.fallback_url, setting.state))


def _leads_to(path: ReadyPath[Destination], offer_id: int) -> bool:
    return any(item.id == offer_id for item in path.offers.items)


def _heaviest(shares: tuple[Share, ...], ids: list[int], field: str) -> tuple[Share, ...]:
    """Return the share with the highest weight among those with these ids."""
    found = [share for share in shares if getattr(share, field) in ids]
    return (max(found, key=lambda share: share.weight),) if found else ()


def record_visit(
    setting: SimulationSetup,
    invented: SimulatedClick,
    click_ids: ClickIds,
    currency: str,
    now_ms: int,
) -> Click:
    """Return the click that the edge would record."""
    stream, visitor, campaign = _InMemory(), invented.visitor, setting.campaign
    edge = Edge(
        routes=setting.routes,
        visitors=Visitors(FixedPlace(Place(visitor.country, continent_of(visitor.country)))),
        click_ids=click_ids,
        notice_ids=RecordIds(lambda: now_ms),
        clicks=stream,
        notices=stream,
        deferred=stream,
        clock=lambda: now_ms,
        page_events=stream,
        draw=lambda: 1 << 62,
        cookies=VisitorCookies(UNUSED_KEY),
        visitor_hashes=VisitorHashes(UNUSED_KEY),
        currency=currency,
    )
    headers = {
        b"user-agent": unescape_bytes(visitor.useragent),
        b"accept-language": unescape_bytes(visitor.language),
        b"referer": unescape_bytes(visitor.referrer),
        b"cookie": _cookie_header(edge, campaign.key, now_ms) if visitor.returning else b"",
    }
    request = _Request(
        method=b"GET",
        query=_query(_examples(setting.source) if invented.parameters is None else invented.parameters),
        headers={name: value for name, value in headers.items() if value},
        body=b"",
        ip=visitor.ip,
        host=visitor.host or campaign.domain or setting.place.host,
    )
    take_click(edge, request, campaign.key.encode())
    return msgspec.json.decode(stream.records[0], type=Click)


def _cookie_header(edge: Edge, key: str, now_ms: int) -> bytes:
    """Return the header of a visitor who has just been to the campaign."""
    route = edge.routes.find(key.encode())
    if route is None:
        return b""
    state = remember_campaign(NOBODY, route.campaign, now_ms // 1000, None, "")
    return f"{VISITOR_COOKIE}={edge.cookies.write(state)}".encode()


def _examples(source: TrafficSource) -> dict[str, str]:
    """Return an example value for each tracked row in a source's links."""
    fixed: dict[int, str] = {FixedRow.EXTERNAL_ID: "EXAMPLE-EXTERNAL-ID", FixedRow.COST: "0.01"}
    return {
        row.parameter: fixed.get(row.number, f"example-{row.parameter}")
        for row in source.parameters
        if row.tracked and (row.placeholder or row.number == FixedRow.EXTERNAL_ID)
    }


def _query(parameters: Mapping[str, str]) -> bytes:
    """Return the link's query, percent-encoded as by a source."""
    pairs = [
        f"{quote_from_bytes(unescape_bytes(name), safe='')}={quote_from_bytes(unescape_bytes(value), safe='')}"
        for name, value in parameters.items()
    ]
    return "&".join(pairs).encode("ascii")


def ignored_parameters(setting: SimulationSetup, parameters: Mapping[str, str]) -> tuple[IgnoredParameter, ...]:
    """Return the link's parameters that the campaign does not store, each with the reason."""
    off = {row.parameter for row in setting.source.parameters if not row.tracked}
    return tuple(
        IgnoredParameter(name, _ROW_OFF if name in off else _NO_ROW)
        for name in parameters
        if name not in setting.route.fields and name not in _OTHER_NAMES
    )


def redirect_of(setting: SimulationSetup, only: SimulationSetup, click: Click) -> Redirect:
    """Return where the simulated visitor goes, the probability of each offer, and the origins of the URL's values.

    ``only``: the set-up by which they were routed.
    """
    route = setting.route
    target = _target_of(only.route, click)
    chances = _chances(setting, click.rule_id)
    if target is None or target.template is None:
        return Redirect(
            to=DestinationKind.NOWHERE,
            url="",
            chances=chances,
            left_out=route.left_out,
            returning=FIRST_VISIT if route.remembers else "",
        )
    offer = next((offer for offer in setting.catalog.offers if offer.id == target.offer_id), None)
    landing = next((landing for landing in setting.catalog.landings if landing.id == target.landing_id), None)
    names = target.source.names
    values = click_values(names, click, target.setup)
    macros: tuple[MacroValue, ...] = origins_of(
        names,
        {name: values.get(name) or (str(click.at // 1000) if name == "now" else "") for name in names},
        OriginContext(
            rows={row.number: row for row in setting.source.parameters},
            fixed_cost=setting.campaign.click_cost_micros is not None,
        ),
    )
    to = DestinationKind.OFFER if offer else DestinationKind.LANDING if landing else DestinationKind.URL
    return Redirect(
        to=DestinationKind.FALLBACK if target is only.route.fallback else to,
        url=click.target,
        offer_id=target.offer_id,
        offer_name=offer.name if offer else "",
        landing_id=target.landing_id,
        landing_name=landing.name if landing else "",
        chances=chances,
        left_out=route.left_out,
        returning=FIRST_VISIT if route.remembers else "",
        macros=macros,
        left_untouched=target.source.unknown,
    )


def _target_of(route: Route, click: Click) -> RedirectTarget | None:
    """Return the destination that a click of this route was sent to."""
    path = route.path(click.path_id) if click.path_id else None
    if path is None:
        return route.fallback
    items = (*path.landings.items, *path.offers.items, *(() if path.single is None else (path.single,)))
    ids = (click.landing_id, click.offer_id)
    return next(
        (item.target for item in items if (item.target.landing_id, item.target.offer_id) == ids), route.fallback
    )


def after_landing(only: SimulationSetup, click: Click) -> Click:
    """Return the click with the offer that the visitor gets from their landing, which a conversion of theirs belongs to."""
    path = only.route.path(click.path_id) if click.landing_id else None
    if path is None or not path.offers.items:
        return click
    target = path.offers.items[0].target
    return replace(click, offer_id=target.offer_id, network_id=target.network_id)


def _chances(setting: SimulationSetup, rule_id: int) -> tuple[OfferChance, ...]:
    """Return the share of each offer among the visitors whom a rule, or none, takes."""
    names = {offer.id: offer.name for offer in setting.catalog.offers}
    shares: dict[int, float] = {}
    for path, weight, total in setting.route.paths():
        if any(item.place.rule_id != rule_id for item in path.offers.items):
            continue
        for item, start, end in path.offers.spans():
            share = weight / total * (end - start) / path.offers.total
            shares[item.target.offer_id] = shares.get(item.target.offer_id, 0) + share
    return tuple(OfferChance(offer_id, names[offer_id], round(100 * share, 2)) for offer_id, share in shares.items())
