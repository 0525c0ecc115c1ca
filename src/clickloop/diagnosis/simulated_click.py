"""An invented visitor, taken by the edge's own step, whose journal is a list in memory: where he would go, and his click."""

from collections.abc import Mapping
from urllib.parse import quote_from_bytes

import msgspec

from clickloop.click.click import Click
from clickloop.click.click_values import click_values
from clickloop.click.redirect import COOKIE
from clickloop.click.routing import Route, Routes, Target
from clickloop.click.visitor import Visitors
from clickloop.click_id import KEY_BYTES, ClickIds
from clickloop.diagnosis.macro_origin import Around, MacroValue, origins_of
from clickloop.diagnosis.simulation import Chance, Destination, NotTaken, Redirect
from clickloop.macro import parse
from clickloop.record_id import RecordIds
from clickloop.setup.campaign import Campaign
from clickloop.setup.catalog import Catalog, CatalogOffer
from clickloop.setup.source_rows import FixedRow, row_macros
from clickloop.setup.traffic_source import COST, EXTERNAL_ID, RESERVED_NAMES, TrafficSource
from clickloop.text import octets_of
from clickloop.tracking.take import Edge, take_click

_OTHER_NAMES = RESERVED_NAMES - {EXTERNAL_ID, COST}
_NO_ROW = "The traffic source has no row of that name (case matters): it is not stored."
_ROW_OFF = "The slider of its row is off: it is not stored."
NOBODYS_KEY = bytes(KEY_BYTES)
"""No tracker's: an id made under it is taken nowhere."""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """An invented visitor. His country is as stated: an address is not looked up."""

    ip: str = "203.0.113.7"
    country: str = ""
    useragent: str = ""
    language: str = ""
    """As in Accept-Language."""
    referrer: str = ""
    host: str = ""
    """Under which the campaign link was opened; empty: that of the instance."""
    returning: bool = False


class InventedClick(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor who follows a campaign link."""

    campaign_id: int
    parameters: Mapping[str, str] | None = None
    """What the link brings, by name; None: an example for each tracked row."""
    visitor: Visitor = Visitor()
    offer_id: int | None = None
    """The offer that the draw is to fall on; None: the one of the greatest weight."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the tracker stands, as the edge knows it."""

    host: str
    fallback_url: str
    own_hosts: tuple[str, ...]


class Setting(msgspec.Struct, frozen=True):
    """A campaign with all that the edge knows around it."""

    campaign: Campaign
    source: TrafficSource
    catalog: Catalog
    routes: Routes
    place: Place

    @property
    def route(self) -> Route:
        """The campaign ready to route."""
        route = self.routes.find(self.campaign.key.encode())
        assert route is not None, f"campaign {self.campaign.id} is live and not in the catalog"
        return route


class _Country:
    """A country base for one visitor whose country is stated."""

    def __init__(self, country: str) -> None:
        self._country = country

    def country(self, ip: str) -> str:
        """The stated country, whatever the address."""
        return self._country


class _InMemory:
    """A journal stream that goes nowhere."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    @property
    def gathered(self) -> int:
        """How many records there are."""
        return len(self.records)

    def gather(self, record: bytes) -> None:
        """Keeps a record."""
        self.records.append(record)

    def flush(self) -> None:
        """Writes nothing."""

    def append(self, record: bytes) -> int:
        """Keeps a record."""
        self.records.append(record)
        return len(self.records)


class _Request(msgspec.Struct):
    """The invented visitor's request."""

    method: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    ip: str
    host: str


def draw_for(route: Route, offer_id: int | None) -> float | None:
    """The draw from [0, 1) that falls on an offer, or on the one of the greatest weight; None when no draw falls on it."""
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


def visit(
    setting: Setting,
    invented: InventedClick,
    draw: float,
    click_ids: ClickIds,
    currency: str,
    now_ms: int,
) -> Click:
    """The click that the edge would record."""
    stream, visitor, campaign = _InMemory(), invented.visitor, setting.campaign
    edge = Edge(
        routes=setting.routes,
        visitors=Visitors(_Country(visitor.country)),
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
        b"user-agent": octets_of(visitor.useragent),
        b"accept-language": octets_of(visitor.language),
        b"referer": octets_of(visitor.referrer),
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
    """An invented value for each tracked row of a source that its links carry."""
    usual: dict[int, str] = {FixedRow.EXTERNAL_ID: "EXAMPLE-EXTERNAL-ID", FixedRow.COST: "0.01"}
    return {
        row.parameter: usual.get(row.number, f"example-{row.parameter}")
        for row in source.parameters
        if row.tracked and (row.placeholder or row.number == FixedRow.EXTERNAL_ID)
    }


def _query(parameters: Mapping[str, str]) -> bytes:
    """The link's query, with each value's octets as a source would encode them."""
    pairs = [
        f"{quote_from_bytes(octets_of(name), safe='')}={quote_from_bytes(octets_of(value), safe='')}"
        for name, value in parameters.items()
    ]
    return "&".join(pairs).encode("ascii")


def not_taken(setting: Setting, parameters: Mapping[str, str]) -> tuple[NotTaken, ...]:
    """The parameters of a link that a campaign keeps nothing of, each with the reason."""
    off = {row.parameter for row in setting.source.parameters if not row.tracked}
    return tuple(
        NotTaken(name, _ROW_OFF if name in off else _NO_ROW)
        for name in parameters
        if name not in setting.route.fields and name not in _OTHER_NAMES
    )


def redirect_of(setting: Setting, target: Target | None, click: Click) -> Redirect:
    """Where the invented visitor goes, how likely that was, and what the address is made of."""
    route, campaign = setting.route, setting.campaign
    names = {offer.id: offer for offer in setting.catalog.offers}
    starts = (0, *route.cumulative)[: len(route.cumulative)]
    chances = tuple(
        Chance(chosen.offer_id, names[chosen.offer_id].name, round(100 * (end - start) / route.cumulative[-1], 2))
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
        Around(
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
