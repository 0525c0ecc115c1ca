"""The set-up that a check examines, and queries of it. Pure."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from clickloop.click.routing.routes import Routes
from clickloop.conversion.status import StatusWords
from clickloop.diagnosis.check.finding import CheckPlace, CheckPlaceKind
from clickloop.postback.rule import PostbackRule
from clickloop.setup.campaign import Campaign
from clickloop.setup.catalog import Catalog
from clickloop.setup.flow import FlowParts, references_of
from clickloop.setup.landing import Landing
from clickloop.setup.mark import MarkSetting
from clickloop.setup.named_list import NamedList
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer
from clickloop.setup.source_rows import ROW_NUMBERS, row_macros
from clickloop.setup.traffic_source import SourceParameter, TrafficSource


class CheckedRule(msgspec.Struct, frozen=True):
    """A rule that is not archived. ``paused``: a receiver's 410 has paused it, and its postbacks wait."""

    rule: PostbackRule
    paused: bool = False


class CheckedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow that is not archived. ``campaign_id`` 0: it is shared, and has a ``name``."""

    id: int
    name: str = ""
    campaign_id: int = 0
    parts: FlowParts


class CheckedView(msgspec.Struct, frozen=True, kw_only=True):
    """A view with a schedule."""

    id: int
    name: str
    rule_id: int


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The live set-up: everything, or the part that one campaign needs."""

    campaigns: tuple[Campaign, ...]
    sources: Mapping[int, TrafficSource]
    networks: Mapping[int, Network]
    offers: Mapping[int, Offer]
    rules: tuple[CheckedRule, ...]
    first_rules: Mapping[int, int]
    """By source, the id of the rule with its postback URL; absent: it has none."""
    statuses: tuple[StatusWords, ...]
    flows: tuple[CheckedFlow, ...] = ()
    """Own flows of campaigns that follow them, and shared ones."""
    landings: Mapping[int, Landing] = {}
    lists: Mapping[int, NamedList] = {}
    catalog: Catalog
    """The catalog as published to the edge."""
    fallback_url: str = ""
    """The instance's fallback URL."""
    base_url: str = ""
    marks: tuple[MarkSetting, ...] = ()
    """The instance's settings of marks."""
    ip_lists: tuple[int, ...] = ()
    """Lists of addresses that marks compare with."""
    views: tuple[CheckedView, ...] = ()
    """Views that are to be sent."""

    def routes(self) -> Routes:
        """Return the routes that the edge derives from the catalog."""
        return Routes(self.catalog, self.fallback_url)

    def campaigns_of(self, rule: PostbackRule) -> list[Campaign]:
        """Return the campaigns whose conversions a rule may be sent for."""
        return [
            campaign
            for campaign in self.campaigns
            if rule.source_id in (None, campaign.source_id) and rule.campaign_id in (None, campaign.id)
        ]

    def sources_of(self, rule: PostbackRule) -> list[TrafficSource]:
        """Return the sources whose rows a rule's macros may use."""
        if rule.source_id is not None:
            return [self.sources[rule.source_id]] if rule.source_id in self.sources else []
        if rule.campaign_id is not None:
            ids = {campaign.source_id for campaign in self.campaigns if campaign.id == rule.campaign_id}
            return [source for number, source in self.sources.items() if number in ids]
        return list(self.sources.values())

    def sources_to(self, offer_id: int) -> list[TrafficSource]:
        """Return the sources whose visitors may be sent to an offer."""
        ids = {campaign.source_id for campaign in self.campaigns if offer_id in self.offers_of(campaign)}
        return [source for number, source in self.sources.items() if number in ids]

    def offers_of(self, campaign: Campaign) -> frozenset[int]:
        """Return the offers that a campaign's flow names, its own or the shared one."""
        shared = next((flow.parts for flow in self.catalog.flows if flow.id == campaign.flow_id), None)
        return references_of(shared or campaign.flow).offers

    def networks_of(self, campaign: Campaign) -> Iterator[Network]:
        """Yield the networks that report a campaign's conversions; one may come more than once."""
        for offer_id in sorted(self.offers_of(campaign)):
            offer = self.offers.get(offer_id)
            network = self.networks.get(offer.network_id or 0) if offer else None
            if network is not None:
                yield network


def macros_of(sources: Iterable[TrafficSource]) -> dict[str, str]:
    """Return the macros that the sources' rows fill, by parameter in lower case."""
    return row_macros(row for source in sources for row in source.parameters)


def row_of(source: TrafficSource, macro: str) -> SourceParameter | None:
    """Return the row of a source that fills a macro; None: it has no such row."""
    return next((row for row in source.parameters if row.number == ROW_NUMBERS[macro]), None)


def source_place(source: TrafficSource, field: str = "") -> CheckPlace:
    return CheckPlace(kind=CheckPlaceKind.TRAFFIC_SOURCE, id=source.id, name=source.name, field=field)


def network_place(network: Network, field: str = "") -> CheckPlace:
    return CheckPlace(kind=CheckPlaceKind.NETWORK, id=network.id, name=network.name, field=field)


def offer_place(offer: Offer, field: str = "") -> CheckPlace:
    return CheckPlace(kind=CheckPlaceKind.OFFER, id=offer.id, name=offer.name, field=field)


def campaign_place(campaign: Campaign, field: str = "") -> CheckPlace:
    return CheckPlace(kind=CheckPlaceKind.CAMPAIGN, id=campaign.id, name=campaign.name, field=field)


def rule_place(rule: PostbackRule, field: str = "") -> CheckPlace:
    return CheckPlace(kind=CheckPlaceKind.POSTBACK_RULE, id=rule.rule_id, name=rule.name, field=field)


def landing_place(landing: Landing, field: str = "") -> CheckPlace:
    return CheckPlace(kind=CheckPlaceKind.LANDING, id=landing.id, name=landing.name, field=field)
