"""Routing: from a campaign's key to the visitor's destination. Pure: chance is passed in."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import msgspec

from clickloop.click.click_json import click_json
from clickloop.click.marks.request_marks import bits_of
from clickloop.click.routing.arriving_visitor import getter_of
from clickloop.click.routing.conditions import SharedTests
from clickloop.click.routing.destination import Destination, Destinations, PathPlace, fallback_template
from clickloop.click.routing.flow import (
    ReadyPath,
    ready_flow,
)
from clickloop.click.routing.not_served import NotServed, NotServedReason
from clickloop.click.routing.route import ReadyRoute, Route, only_target, simple_choices
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogFlow
from clickloop.setup.condition import QUERY_PREFIX
from clickloop.setup.flow import MAX_DEPTH, FlowParts, Path, PathTarget, flow_of_path
from clickloop.setup.mark import marks_in_force
from clickloop.setup.own_link import OwnLinks
from clickloop.setup.returning import DEFAULT_UNIQUE_SECONDS, Bind, Rotation, UniqueBy
from clickloop.setup.routing_state import NO_STATE, RoutingState, has_room, with_learned_weights
from clickloop.setup.source_rows import ROW_FIELDS


class Routes:
    """All campaigns of a catalog by key. Effectively immutable: a campaign is prepared on its first use."""

    def __init__(self, catalog: Catalog, fallback_url: str, state: RoutingState = NO_STATE) -> None:
        """``state``: the caps in force and the learned weights."""
        self._catalog = catalog
        self._state = state
        self._instead = state.instead()
        self._campaigns = {campaign.key.encode(): campaign for campaign in catalog.campaigns}
        self._by_id = {campaign.id: campaign for campaign in catalog.campaigns}
        self._flows = {flow.id: flow for flow in catalog.flows}
        self._offers = {offer.id: offer for offer in catalog.offers}
        self._landings = {landing.id: landing for landing in catalog.landings}
        self._lists = {named.id: named.entries for named in catalog.lists}
        self._own_links = OwnLinks(catalog.own_hosts)
        self._instance_marks = catalog.instance.marks if catalog.instance is not None else ()
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
        remembers = campaign.bind is not Bind.NONE or campaign.rotation is not Rotation.RANDOM
        return Route(
            campaign=campaign,
            fields=fields,
            ready=ready,
            hops=hops,
            only=None if ready is None or remembers else only_target(ready),
            simple=None if ready is None or remembers else simple_choices(ready),
            fallback=destinations.url(
                PathPlace(redirect=campaign.redirect, pass_query=campaign.pass_query), fallback_url
            )
            if fallback_url
            else None,
            json=click_json(campaign_id=campaign.id, source_id=campaign.source_id),
            query_fields=tuple(dict.fromkeys(field for field in fields.values() if field.startswith(QUERY_PREFIX))),
            counts_visits=any("visit_number" in one.flow.fields for one in readies),
            remembers=remembers,
            marks=bits_of(marks_in_force(self._instance_marks, campaign.marks)),
            uniqueness=_uniqueness(campaign),
            left_out=tuple(left_out),
            resting=partial(self._resting_path, campaign, (campaign.id, *hops), self._state),
            without_caps=partial(self._resting_path, campaign, (campaign.id, *hops), NO_STATE)
            if self._state.capped
            else None,
            alternatives=partial(self._alternatives, destinations),
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
        state: RoutingState | None = None,
    ) -> ReadyRoute:
        """Return a campaign's flow, or ``parts`` of it, compiled for the link of ``origin``. Add what it leaves out to ``left_out``."""
        flow = self._flow_of(campaign)
        parts = parts or flow.parts
        state = self._state if state is None else state
        # After a hop it may have affected the flow before this one.
        routing_state = state.version if campaign is not origin or state.affects(parts) else 0
        parts, instead = with_learned_weights(parts, state), state.instead()
        flow_id = max(flow.id, 0)  # clicks name no flow that a catalog from before flows stands in for
        rule_names = {rule.id: rule.name for rule in parts.rules}

        def item_of(rule_id: int, path: Path, kind: PathTarget, item_id: int) -> Destination | None:
            reason = self.why_not_served(path, kind, item_id, instead)
            if reason is not None:
                left_out.append(NotServed(kind, item_id, path.id, reason))
                return None
            served_id = instead.get(item_id, item_id) if kind is PathTarget.OFFER else item_id
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
                instead_of=item_id if served_id != item_id else 0,
            )
            match kind:
                case PathTarget.OFFER:
                    # The path's own id: a returning visitor is bound to the path's offer, whichever takes its visitors now.
                    return Destination(
                        place, lambda: destinations.offer(place, self._offers[served_id]), item_id=item_id
                    )
                case PathTarget.LANDING_AND_OFFER:
                    return Destination(
                        place, lambda: destinations.landing(place, self._landings[item_id]), item_id=item_id
                    )
                case PathTarget.URL:
                    return Destination(place, lambda: destinations.url(place, path.url))
                case PathTarget.CAMPAIGN:
                    return Destination(place, lambda: destinations.nothing(place), item_id)
            return Destination(place, lambda: destinations.nothing(place))

        ready = ready_flow(parts, self._lists, item_of, self._tests)
        row_fields = _row_fields(origin)
        getters = tuple(getter_of(field, row_fields) for field in ready.fields)
        return ReadyRoute(ready, getters, flow_id, flow.version, routing_state)

    def _resting_path(
        self, origin: CatalogCampaign, campaign_ids: Collection[int], state: RoutingState, path_id: int
    ) -> ReadyPath[Destination] | None:
        for campaign in (self._by_id[campaign_id] for campaign_id in campaign_ids):
            parts = flow_of_path(self._flow_of(campaign).parts, path_id)
            if parts is not None:
                return self._ready(origin, campaign, Destinations(origin), [], parts, state).flow.path(path_id)
        return None

    def _alternatives(self, destinations: Destinations, own: Destination) -> tuple[Destination, ...]:
        """Return the offers that take an offer's visitors once its cap, and those of the alternatives, are reached."""
        place = msgspec.structs.replace(own.place, instead_of=own.id)
        found: dict[int, Destination] = {}
        offer = self._offers.get(own.id)
        while offer is not None and (following := self._offers.get(offer.alternative_id)) is not None:
            if following.id in found or following.id == own.id:
                break
            prepare = partial(destinations.offer, place, following)
            found[following.id] = Destination(place, prepare, item_id=own.id)
            offer = following
        return tuple(found.values())

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

    def why_not_served(
        self, path: Path, kind: PathTarget, item_id: int, instead: Mapping[int, int] | None = None
    ) -> NotServedReason | None:
        """Return why a path does not serve one of its destinations, or None if it does.

        ``instead``: as ``RoutingState.instead``; None: that of the state in force.
        """
        instead = self._instead if instead is None else instead
        match kind:
            case PathTarget.OFFER:
                served_id = instead.get(item_id, item_id)
                if not served_id:
                    return NotServedReason.CAPPED
                offer = self._offers.get(served_id)
                if offer is None:
                    return NotServedReason.OFFER_GONE
                if not any(share.weight for share in path.offers if share.offer_id == item_id):
                    return NotServedReason.NO_WEIGHT
                return self._looping(offer.url)
            case PathTarget.LANDING_AND_OFFER:
                landing = self._landings.get(item_id)
                if landing is None:
                    return NotServedReason.LANDING_GONE
                if not any(share.weight for share in path.landings if share.landing_id == item_id):
                    return NotServedReason.NO_WEIGHT
                if not has_room(path, instead):
                    return NotServedReason.CAPPED
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


def _uniqueness(campaign: CatalogCampaign) -> dict[str, object]:
    """Return the settings with which settling decides about the campaign's clicks: those in force at the click."""
    fields: dict[str, object] = {}
    if campaign.unique_within_seconds != DEFAULT_UNIQUE_SECONDS:
        fields["unique_within"] = campaign.unique_within_seconds
    if campaign.unique_by is not UniqueBy.CAMPAIGN:
        fields["unique_by"] = campaign.unique_by
    return fields
