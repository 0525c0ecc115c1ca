"""Simulate a visitor with the edge's own code and a journal in memory: their click, and where they would go."""

from collections.abc import Mapping
from urllib.parse import quote_from_bytes

import msgspec

from clickloop.click.click import Click
from clickloop.click.click_values import click_values
from clickloop.click.continent import continent_of
from clickloop.click.geo.geo_base import FixedPlace
from clickloop.click.place import Place
from clickloop.click.redirect import COOKIE
from clickloop.click.routing import RedirectTarget, Route, Routes
from clickloop.click.visitor import Visitors
from clickloop.click_id import KEY_BYTES, ClickIds
from clickloop.diagnosis.macro_origin import MacroValue, OriginContext, origins_of
from clickloop.diagnosis.simulation import Destination, IgnoredParameter, OfferChance, Redirect
from clickloop.macro import parse
from clickloop.record_id import RecordIds
from clickloop.setup.campaign import Campaign
from clickloop.setup.catalog import Catalog, CatalogOffer
from clickloop.setup.source_rows import FixedRow, row_macros
from clickloop.setup.traffic_source import COST, EXTERNAL_ID, RESERVED_NAMES, TrafficSource
from clickloop.text import unescape_bytes
from clickloop.tracking.take import Edge, take_click

_OTHER_NAMES = RESERVED_NAMES - {EXTERNAL_ID, COST}
_NO_ROW = "Not stored: the traffic source has no row with this name (case-sensitive)."
_ROW_OFF = "Not stored: the parameter is not tracked."
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


def draw_for(route: Route, offer_id: int | None) -> float | None:
    """Return the draw from [0, 1) that chooses this offer, or the one with the highest weight; None if no draw does."""
    if offer_id is not None and all(target.offer_id != offer_id for target in route.targets):
        return None
    if not route.targets:
        return 0.0
    starts = (0, *route.cumulative)[: len(route.cumulative)]
    weights = [end - start for start, end in zip(starts, route.cumulative, strict=True)]
    position = next(
        number
        for number, target in enumerate(route.targets)
        if target.offer_id == offer_id or (offer_id is None and weights[number] == max(weights))
    )
    return (starts[position] + weights[position] / 2) / route.cumulative[-1]


def record_visit(
    setting: SimulationSetup,
    invented: SimulatedClick,
    draw: float,
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
        chance=lambda: draw,
        currency=currency,
    )
    headers = {
        b"user-agent": unescape_bytes(visitor.useragent),
        b"accept-language": unescape_bytes(visitor.language),
        b"referer": unescape_bytes(visitor.referrer),
        b"cookie": f"{COOKIE}={click_ids.new(now_ms)}".encode() if visitor.returning else b"",
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


def redirect_of(setting: SimulationSetup, target: RedirectTarget | None, click: Click) -> Redirect:
    """Return where the simulated visitor goes, the probability of each offer, and the origins of the URL's values."""
    route, campaign = setting.route, setting.campaign
    names = {offer.id: offer for offer in setting.catalog.offers}
    starts = (0, *route.cumulative)[: len(route.cumulative)]
    chances = tuple(
        OfferChance(chosen.offer_id, names[chosen.offer_id].name, round(100 * (end - start) / route.cumulative[-1], 2))
        for chosen, start, end in zip(route.targets, starts, route.cumulative, strict=True)
    )
    if target is None:
        return Redirect(to=Destination.NOWHERE, url="", chances=chances, left_out=route.left_out)
    offer: CatalogOffer | None = names.get(target.offer_id)
    template = parse(
        offer.url if offer else route.campaign.fallback_url or setting.place.fallback_url,
        row_macros(route.campaign.rows),
    )
    values = click_values(template.names, click, target.setup)
    macros: tuple[MacroValue, ...] = origins_of(
        template.names,
        {name: values.get(name) or (str(click.at // 1000) if name == "now" else "") for name in template.names},
        OriginContext(
            rows={row.number: row for row in setting.source.parameters},
            fixed_cost=campaign.click_cost_micros is not None,
        ),
    )
    return Redirect(
        to=Destination.OFFER if offer else Destination.FALLBACK,
        url=click.target,
        offer_id=target.offer_id,
        offer_name=offer.name if offer else "",
        chances=chances,
        left_out=route.left_out,
        macros=macros,
        left_untouched=template.unknown,
    )
