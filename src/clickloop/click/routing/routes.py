"""Routing: from a campaign's key to the visitor's destination. Pure: chance is passed in."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial

import msgspec

from clickloop.click.click_json import click_json
from clickloop.click.routing.arriving_visitor import ArrivingVisitor, Getter, getter_of
from clickloop.click.routing.conditions import SharedTests, Value
from clickloop.click.routing.destination import Destination, Destinations, PathPlace, RedirectTarget, fallback_template
from clickloop.click.routing.flow import (
    LANDING_CHOICE,
    OFFER_CHOICE,
    ReadyFlow,
    ReadyPath,
    Weighted,
    choose,
    draw_after_hop,
    ready_flow,
)
from clickloop.click.routing.not_served import NotServed, NotServedReason
from clickloop.click.visitor_cookie import settling_fields
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogFlow
from clickloop.setup.condition import QUERY_PREFIX
from clickloop.setup.flow import MAX_DEPTH, FlowParts, Path, PathTarget, flow_of_path
from clickloop.setup.own_link import OwnLinks
from clickloop.setup.routing_state import NO_STATE, RoutingState, with_learned_weights
from clickloop.setup.source_rows import ROW_FIELDS


class RouteStep(msgspec.Struct, frozen=True, gc=False):
    """A decision of one flow: ``failed`` as in ``click.routing.flow.Choice``."""

    place: PathPlace
    failed: str


class Routing(msgspec.Struct, frozen=True, gc=False):
    """The route of a visitor. ``target`` None: the campaign has no destination. ``hops``: the decisions before the last flow's."""

    target: RedirectTarget | None
    draw: int
    """The draw of the flow that decided."""
    failed: str = ""
    hops: tuple[RouteStep, ...] = ()
    dead_end: PathPlace | None = None
    """The flow and the rule that had no destination, so that the visitor goes to the fallback."""


def hops_text(hops: Iterable[RouteStep]) -> str:
    """Return decisions in the form of ``Click.hops``."""
    return ",".join(
        f"{hop.place.flow_id}:{hop.place.flow_version}:{hop.place.rule_id}:{hop.place.path_id}:{hop.failed}"
        for hop in hops
    )


class ReadyRoute(msgspec.Struct, frozen=True, gc=False):
    """A flow compiled for the visitors of a campaign. ``getters``: read the values of ``flow.fields`` from a visitor."""

    flow: ReadyFlow[Destination]
    getters: tuple[Getter, ...]
    flow_id: int
    flow_version: int


class Choices(msgspec.Struct, frozen=True, gc=False):
    """Destinations of the only path of a flow. ``choice``: as in ``click.routing.flow.Weighted.choose``."""

    items: Weighted[Destination]
    choice: int


def _no_path(_path_id: int) -> None:
    """Return None: no path is switched off."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """A campaign, prepared for routing. ``fields``: link parameter, as written and in lower case → field of the click."""

    campaign: CatalogCampaign
    fields: dict[str, str]
    ready: ReadyRoute | None
    """None: the campaign is paused."""
    hops: dict[int, ReadyRoute]
    """Compiled flows of the campaigns that paths lead to, by campaign id."""
    only: RedirectTarget | None
    """The destination of all visitors, if there is only one."""
    simple: Choices | None
    """The destinations of all visitors, if choosing one of them is the only choice."""
    fallback: RedirectTarget | None
    json: bytes
    """The campaign's fragment of the click's JSON, for clicks without a target."""
    query_fields: tuple[str, ...] = ()
    """Fields ``query.NAME``, in lower case, that conditions compare and no row of the source holds."""
    counts_visits: bool = False
    """Whether a condition compares the number of the visit."""
    uniqueness: dict[str, object] = {}
    """What the journal's lines say of the campaign's uniqueness where it differs from the default."""
    left_out: tuple[NotServed, ...] = ()
    resting: Callable[[int], ReadyPath[Destination] | None] = _no_path
    """Returns a path that is switched off, compiled all the same."""
    served_paths: dict[int, ReadyPath[Destination]] = {}
    """Cache of ``path``."""
    carried: dict[int, tuple[str, ...]] = {}
    """Cache of ``landing_paths.carried_macros``."""

    def choose(self, visitor: ArrivingVisitor, draw: int) -> Routing:
        """Return the route of a visitor with this draw of up to 63 bits."""
        ready = self.ready
        hops: tuple[RouteStep, ...] = ()
        while ready is not None:
            flow = ready.flow
            values: Sequence[Value] = [getter(visitor) for getter in ready.getters]
            choice = choose(flow, values, draw)
            found = None if choice.path is None else choice.path.choose(draw)
            if found is None:
                dead_end = PathPlace(ready.flow_id, ready.flow_version, choice.rule_id)
                return Routing(self.fallback, draw, choice.failed, hops, dead_end)
            if not found.campaign_id:
                return Routing(found.target, draw, choice.failed, hops)
            hops = (*hops, RouteStep(found.place, choice.failed))
            # Saving refuses loops and long chains; no visitor may go round in one that got here all the same.
            ready = self.hops.get(found.campaign_id) if len(hops) <= MAX_DEPTH else None
            draw = draw_after_hop(draw)
        return Routing(self.fallback, draw, "", hops)

    @property
    def serves(self) -> bool:
        """Return whether some visitors have somewhere to go besides the fallback."""
        return self.ready is not None and self.ready.flow.serves

    def paths(self) -> Iterator[tuple[ReadyPath[Destination], int, int]]:
        """Yield each path of the campaign's flow with its weight and the total weight of the paths that it is split with."""
        if self.ready is None:
            return
        flow = self.ready.flow
        for paths in (*(rule.paths for rule in flow.rules), flow.default_paths):
            for path, start, end in paths.spans():
                yield path, end - start, paths.total

    def path(self, path_id: int) -> ReadyPath[Destination] | None:
        """Return a path of the campaign's flow or of one that it leads to; None if it has no such path, or is paused.

        One that is switched off is for visitors who are on its landing already.
        """
        found = self.served_paths.get(path_id)
        if found is None and self.ready is not None:
            readies = (self.ready, *self.hops.values())
            found = next((path for ready in readies if (path := ready.flow.path(path_id)) is not None), None)
            found = self.resting(path_id) if found is None else found
            if found is not None:
                self.served_paths[path_id] = found
        return found


class Routes:
    """All campaigns of a catalog by key. Effectively immutable: a campaign is prepared on its first use."""

    def __init__(self, catalog: Catalog, fallback_url: str, state: RoutingState = NO_STATE) -> None:
        """``state``: the caps in force and the learned weights."""
        self._catalog = catalog
        self._state = state
        self._instead_of_capped = {one.offer_id: one.instead_id for one in state.capped}
        self._campaigns = {campaign.key.encode(): campaign for campaign in catalog.campaigns}
        self._by_id = {campaign.id: campaign for campaign in catalog.campaigns}
        self._flows = {flow.id: flow for flow in catalog.flows}
        self._offers = {offer.id: offer for offer in catalog.offers}
        self._landings = {landing.id: landing for landing in catalog.landings}
        self._lists = {named.id: named.entries for named in catalog.lists}
        self._own_links = OwnLinks(catalog.own_hosts)
        self._fallback_url = fallback_url
        self.instance_fallback = fallback_template(fallback_url)
        """The instance's fallback URL for visitors without a known campaign, or None."""
        self._routes: dict[bytes, Route] = {}
        self._tests: SharedTests = {}

    def with_state(self, state: RoutingState) -> "Routes":
        """Return the same campaigns with another routing state. What conditions compiled to is shared."""
        routes = Routes(self._catalog, self._fallback_url, state)
        routes._tests = self._tests
        return routes

    def __len__(self) -> int:
        return len(self._campaigns)

    def find(self, key: bytes) -> Route | None:
        """Return the route of a campaign key, or None if there is no such campaign."""
        route = self._routes.get(key)
        if route is None:
            campaign = self._campaigns.get(key)
            if campaign is None:
                return None
            route = self._routes[key] = self._prepare(campaign)
        return route

    def by_id(self, campaign_id: int) -> Route | None:
        """Return the route of a campaign id, or None if there is no such campaign."""
        campaign = self._by_id.get(campaign_id)
        return None if campaign is None else self.find(campaign.key.encode())

    def _prepare(self, campaign: CatalogCampaign) -> Route:
        destinations = Destinations(campaign)
        left_out: list[NotServed] = []
        hops: dict[int, ReadyRoute] = {}
        ready: ReadyRoute | None = None
        if campaign.active:
            ready = self._ready(campaign, campaign, destinations, left_out)
            self._add_hops(campaign, ready, destinations, hops, MAX_DEPTH)
        else:
            left_out = [
                NotServed(PathTarget.OFFER, share.offer_id, path.id, NotServedReason.CAMPAIGN_PAUSED)
                for _, path in self._flow_of(campaign).parts.paths()
                for share in path.offers
            ]
        fallback_url = self._fallback_url_of(campaign)
        readies = [] if ready is None else [ready, *hops.values()]
        fields = _fields(campaign, readies)
        return Route(
            campaign=campaign,
            fields=fields,
            ready=ready,
            hops=hops,
            only=None if ready is None else _only(ready),
            simple=None if ready is None else _simple(ready),
            fallback=destinations.url(
                PathPlace(redirect=campaign.redirect, pass_query=campaign.pass_query), fallback_url
            )
            if fallback_url
            else None,
            json=click_json(campaign_id=campaign.id, source_id=campaign.source_id),
            query_fields=tuple(dict.fromkeys(field for field in fields.values() if field.startswith(QUERY_PREFIX))),
            counts_visits=any("visit_number" in one.flow.fields for one in readies),
            uniqueness=settling_fields(campaign),
            left_out=tuple(left_out),
            resting=partial(self._resting_path, campaign, (campaign.id, *hops)),
        )

    def _flow_of(self, campaign: CatalogCampaign) -> CatalogFlow:
        return self._flows.get(campaign.flow_id) or CatalogFlow(campaign.flow_id, 0, FlowParts())

    def _ready(
        self,
        origin: CatalogCampaign,
        campaign: CatalogCampaign,
        destinations: Destinations,
        left_out: list[NotServed],
        parts: FlowParts | None = None,
    ) -> ReadyRoute:
        """Return a campaign's flow, or ``parts`` of it, compiled for the link of ``origin``. Add what it leaves out to ``left_out``."""
        flow = self._flow_of(campaign)
        parts = parts or flow.parts
        routing_state = self._state.version if self._state.affects(parts) else 0
        parts = with_learned_weights(parts, self._state)
        flow_id = max(flow.id, 0)  # clicks name no flow that a catalog from before flows stands in for
        rule_names = {rule.id: rule.name for rule in parts.rules}

        def item_of(rule_id: int, path: Path, kind: PathTarget, item_id: int) -> Destination | None:
            instead_of = 0
            if kind is PathTarget.OFFER and item_id in self._instead_of_capped:
                instead_of, item_id = item_id, self._instead_of_capped[item_id]
            reason = self.why_not_served(path, kind, item_id, instead_of)
            if reason is not None:
                left_out.append(NotServed(kind, instead_of or item_id, path.id, reason))
                return None
            place = PathPlace(
                flow_id=flow_id,
                flow_version=flow.version,
                rule_id=rule_id,
                path_id=path.id,
                rule_name=rule_names.get(rule_id, ""),
                path_name=path.name,
                redirect=path.redirect or origin.redirect,
                pass_query=path.pass_query or origin.pass_query,
                routing_state=routing_state,
                instead_of=instead_of,
            )
            match kind:
                case PathTarget.OFFER:
                    return Destination(place, lambda: destinations.offer(place, self._offers[item_id]))
                case PathTarget.LANDING_AND_OFFER:
                    return Destination(place, lambda: destinations.landing(place, self._landings[item_id]))
                case PathTarget.URL:
                    return Destination(place, lambda: destinations.url(place, path.url))
                case PathTarget.CAMPAIGN:
                    return Destination(place, lambda: destinations.nothing(place), item_id)
            return Destination(place, lambda: destinations.nothing(place))

        ready = ready_flow(parts, self._lists, item_of, self._tests)
        row_fields = _row_fields(origin)
        getters = tuple(getter_of(field, row_fields) for field in ready.fields)
        return ReadyRoute(ready, getters, flow_id, flow.version)

    def _resting_path(
        self, origin: CatalogCampaign, campaign_ids: Collection[int], path_id: int
    ) -> ReadyPath[Destination] | None:
        for campaign in (self._by_id[campaign_id] for campaign_id in campaign_ids):
            parts = flow_of_path(self._flow_of(campaign).parts, path_id)
            if parts is not None:
                return self._ready(origin, campaign, Destinations(origin), [], parts).flow.path(path_id)
        return None

    def _add_hops(
        self,
        origin: CatalogCampaign,
        ready: ReadyRoute,
        destinations: Destinations,
        hops: dict[int, ReadyRoute],
        depth: int,
    ) -> None:
        """Compile the flows of the campaigns that paths lead to, as deep as visitors go."""
        if not depth:
            return
        for campaign_id in ready.flow.campaign_ids():
            if campaign_id not in hops:
                hops[campaign_id] = self._ready(origin, self._by_id[campaign_id], destinations, [])
                self._add_hops(origin, hops[campaign_id], destinations, hops, depth - 1)

    def why_not_served(self, path: Path, kind: PathTarget, item_id: int, instead_of: int = 0) -> NotServedReason | None:
        """Return why a path does not serve one of its destinations, or None if it does.

        ``instead_of``: the path's own offer, whose cap is reached.
        """
        match kind:
            case PathTarget.OFFER:
                if instead_of and not item_id:
                    return NotServedReason.CAPPED
                offer = self._offers.get(item_id)
                if offer is None:
                    return NotServedReason.OFFER_GONE
                own_id = instead_of or item_id
                if not any(share.weight for share in path.offers if share.offer_id == own_id):
                    return NotServedReason.NO_WEIGHT
                return self._looping(offer.url)
            case PathTarget.LANDING_AND_OFFER:
                landing = self._landings.get(item_id)
                if landing is None:
                    return NotServedReason.LANDING_GONE
                if not any(share.weight for share in path.landings if share.landing_id == item_id):
                    return NotServedReason.NO_WEIGHT
                return self._looping(landing.url)
            case PathTarget.URL:
                return self._looping(path.url)
            case PathTarget.CAMPAIGN:
                campaign = self._by_id.get(item_id)
                return None if campaign is not None and campaign.active else NotServedReason.CAMPAIGN_GONE
        return None

    def _looping(self, url: str) -> NotServedReason | None:
        return NotServedReason.LOOPS if self._own_links.key_in(url) is not None else None

    def _fallback_url_of(self, campaign: CatalogCampaign) -> str:
        """Return the campaign's fallback URL, or else the instance's, ignoring one that leads back to the campaign."""
        for url in (campaign.fallback_url, self._fallback_url):
            if url and not self._returns(url, campaign.key):
                return url
        return ""

    def _returns(self, url: str, key: str) -> bool:
        """Return whether a URL leads back to the campaign with this key, directly or through other campaigns' fallback URLs."""
        seen = {key}
        while (found := self._own_links.key_in(url)) is not None:
            if found in seen:
                return True
            seen.add(found)
            following = self._campaigns.get(found.encode())
            if following is None or (following.active and self._serves(following)):
                return False
            url = following.fallback_url or self._fallback_url
        return False

    def _serves(self, campaign: CatalogCampaign) -> bool:
        """Return whether a path of an active campaign has a destination."""
        return self._ready(campaign, campaign, Destinations(campaign), []).flow.serves


def _only(ready: ReadyRoute) -> RedirectTarget | None:
    """Return the only destination of a flow without rules, or None if there is a choice."""
    flow = ready.flow
    if flow.rules or len(flow.default_paths.items) != 1:
        return None
    path = flow.default_paths.items[0]
    shown = path.landings.items or path.offers.items or (() if path.single is None else (path.single,))
    return shown[0].target if len(shown) == 1 and not shown[0].campaign_id else None


def _simple(ready: ReadyRoute) -> Choices | None:
    """Return the destinations of a flow whose only choice is among the landings or offers of its only path; None for other flows."""
    flow = ready.flow
    if flow.rules or len(flow.default_paths.items) != 1:
        return None
    path = flow.default_paths.items[0]
    if path.landings.items:
        return Choices(path.landings, LANDING_CHOICE)
    return Choices(path.offers, OFFER_CHOICE) if path.offers.items else None


def _fields(campaign: CatalogCampaign, readies: Sequence[ReadyRoute]) -> dict[str, str]:
    """Return the parameters to take from the link: tracked rows, and those that conditions compare as ``query.NAME``."""
    fields = _row_fields(campaign)
    for ready in readies:
        for field in ready.flow.fields:
            if field.startswith(QUERY_PREFIX):
                # A row's parameter stays the row's: its value is also that of the query.
                for name in (field[len(QUERY_PREFIX) :], field[len(QUERY_PREFIX) :].lower()):
                    fields.setdefault(name, field.lower())
    return fields


def _row_fields(campaign: CatalogCampaign) -> dict[str, str]:
    return {
        name: ROW_FIELDS[row.number]
        for row in campaign.rows
        if row.tracked
        for name in (row.parameter, row.parameter.lower())
    }
