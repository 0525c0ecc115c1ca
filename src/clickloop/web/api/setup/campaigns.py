"""/campaigns: the links that traffic sources send visitors to, and the flows behind them."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from clickloop.click.routing.route import Route
from clickloop.click.routing.routes import Routes
from clickloop.clock import Moment
from clickloop.diagnosis.check.records import campaign_findings
from clickloop.logs.page import Page
from clickloop.logs.view import view_of
from clickloop.saving import campaigns as saving
from clickloop.setup.campaign import (
    Campaign,
    CampaignChange,
    CampaignFields,
    CampaignFilter,
    Cost,
    Name,
    NewCampaign,
    Offers,
    base_of,
    campaign_link,
    changed_campaign,
    with_uniqueness_reset,
)
from clickloop.setup.flow import references_of
from clickloop.setup.money_text import money_text
from clickloop.setup.network import pixel_code, pixel_note, postback_url
from clickloop.setup.traffic_source import TrafficSource
from clickloop.store.ledger.setup.campaigns import campaigns_after
from clickloop.store.ledger.setup.catalog import read_catalog_of
from clickloop.store.ledger.setup.flows import parts_in_force
from clickloop.store.ledger.setup.networks import networks_of_offers
from clickloop.store.ledger.setup.traffic_sources import find_sources
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit
from clickloop.web.api.query import from_query
from clickloop.web.api.setup.networks import masked_network, pixel_warnings, readable_code
from clickloop.web.api.setup.records import Records, record_routes
from clickloop.web.api.wire import Advice, warnings_of

NOUN = saving.NOUN.name


class CampaignView(CampaignFields, frozen=True, kw_only=True):
    """A campaign."""

    cost: Cost
    offers: Offers
    link: Annotated[
        str,
        Meta(
            description="Link to paste into the traffic source, which fills in its macros.",
            examples=["https://go.example.com/c/aB3xY9?external_id=${SUBID}&cost={cost}&zone={zoneid}"],
        ),
    ]
    warnings: Annotated[list[Advice], Meta(description="Likely mistakes. They do not prevent saving.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


class CampaignCloning(msgspec.Struct, kw_only=True):
    """Options of a copy."""

    name: (
        Annotated[Name, Meta(description="Name of the copy. Omit to use the original name followed by (copy).")]
        | UnsetType
    ) = UNSET


class NetworkCodes(msgspec.Struct, kw_only=True):
    """Code to paste into a network of the campaign's offers, or into its thank-you page."""

    network_id: int
    name: str
    postback_url: Annotated[str, Meta(description="URL that the network calls for each conversion.")]
    pixel_code: Annotated[str, Meta(description="HTML for a thank-you page, using the campaign's domain.")]
    pixel_note: Annotated[str, Meta(description="Note about the cookie that the pixel falls back to.")]
    warnings: Annotated[list[Advice], Meta(description="Warnings to read before pasting the code.")]


class CampaignCodes(msgspec.Struct, kw_only=True):
    """Links and code to paste."""

    link: Annotated[str, Meta(description="Link to paste into the traffic source.")]
    networks: Annotated[list[NetworkCodes], Meta(description="Networks of the campaign's offers.")]


Filters = NamedDependency[SkipValidation[CampaignFilter]]


def create_campaign(context: Context, data: JSONBody[NewCampaign]) -> CampaignView:
    """Create a campaign. Its link works as soon as this returns, and within a second in other processes."""
    with saving.shorthand_fields(data):
        return CAMPAIGNS.create(context, lambda tx: saving.new_campaign(tx, data))


def list_campaigns(
    context: Context, filters: Filters, limit: Limit = 50, cursor: Cursor = "", archived: Archived = False
) -> Page[CampaignView]:
    """List campaigns in order of creation."""
    return CAMPAIGNS.page(context, limit, cursor, partial(campaigns_after, archived=archived, narrowed=filters))


def read_campaign(context: Context, number: Id) -> CampaignView:
    """Return a campaign, archived or not."""
    return CAMPAIGNS.read(context, number)


def change_campaign(context: Context, number: Id, data: JSONBody[CampaignChange]) -> CampaignView:
    """Change the given fields. Omitted fields stay unchanged."""
    with saving.shorthand_fields(data):
        return CAMPAIGNS.change(context, number, lambda _tx, campaign: changed_campaign(campaign, data))


def remove_campaign(context: Context, number: Id) -> CampaignView:
    """Archive a campaign. Nothing is deleted. Its link returns 404 from then on."""
    return CAMPAIGNS.archive(context, number)


def restore_campaign(context: Context, number: Id) -> CampaignView:
    """Restore an archived campaign. Its link works again. Fails while its source or a record that its flow names is archived."""
    return CAMPAIGNS.restore(context, number)


def clone_campaign(context: Context, number: Id, data: JSONBody[CampaignCloning]) -> CampaignView:
    """Copy a campaign, with a new key, copies of its own flow's rules and paths, and copies of the campaign's postback rules."""
    return CAMPAIGNS.answer(context, saving.clone(context, number, data.name, CAMPAIGNS.logged(context)))


def reset_uniqueness(context: Context, number: Id) -> CampaignView:
    """Reset a campaign's uniqueness: every visitor's next click on it is unique. Clicks recorded before stay as they are."""
    return CAMPAIGNS.change(context, number, lambda _tx, campaign: with_uniqueness_reset(campaign))


def read_codes(context: Context, number: Id) -> CampaignCodes:
    """Return the link for the source, and the code for the networks and their thank-you pages."""
    with context.ledger.read() as tx:
        campaign = saving.NOUN.get(tx, number)
        link = CAMPAIGNS.view(context, tx, campaign).link
        flow = parts_in_force(tx, number) or campaign.flow
        found = networks_of_offers(tx, sorted(references_of(flow).offers))
    codes = []
    for network in found:
        shown_network = masked_network(context, network)
        base_url = base_of(context.base_url, campaign.domain)
        codes.append(
            NetworkCodes(
                network_id=network.id,
                name=readable(network.name),
                postback_url=readable_code(postback_url(context.base_url, shown_network)),
                pixel_code=readable_code(pixel_code(base_url, shown_network)),
                pixel_note=pixel_note(base_url, network),
                warnings=pixel_warnings(network),
            )
        )
    return CampaignCodes(link=link, networks=codes)


def _views(context: ApiContext, tx: Connection, campaigns: Sequence[Campaign]) -> list[CampaignView]:
    sources = {source.id: source for source in find_sources(tx, {campaign.source_id for campaign in campaigns})}
    catalog = read_catalog_of(tx, tuple(context.guard.policy.own_hosts), [campaign.id for campaign in campaigns])
    routes = Routes(catalog, context.fallback_url)
    return [
        _view(context, campaign, sources[campaign.source_id], routes.find(campaign.key.encode()))
        for campaign in campaigns
    ]


def _view(context: ApiContext, campaign: Campaign, source: TrafficSource, route: Route | None) -> CampaignView:
    micros, currency = campaign.cost_micros, source.cost_currency or context.currency
    return view_of(
        CampaignView,
        campaign,
        offers=campaign.offers,
        cost=None if micros is None else money_text(micros, currency),
        link=readable(campaign_link(context.base_url, campaign, source)),
        warnings=warnings_of(campaign_findings(campaign, route) if route else ()),
    )


CAMPAIGNS = Records(saving.NOUN, _views)


router = Router(
    f"/{NOUN}",
    dependencies={"filters": from_query(CampaignFilter)},
    route_handlers=[
        *record_routes(
            "a campaign",
            "campaigns",
            create=create_campaign,
            show_list=list_campaigns,
            read=read_campaign,
            change=change_campaign,
            archive=remove_campaign,
            restore=restore_campaign,
        ),
        post("/{number:int}/clone", sync_to_thread=True, summary="Clone a campaign")(clone_campaign),
        post(
            "/{number:int}/reset-uniqueness",
            status_code=200,
            sync_to_thread=True,
            summary="Reset a campaign's uniqueness",
        )(reset_uniqueness),
        get("/{number:int}/codes", sync_to_thread=True, summary="Get a campaign's links and code")(read_codes),
    ],
    tags=["Campaigns"],
)
