"""/campaigns: which visitors go to which offers, and the link to paste into the source."""

import secrets
from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.campaign.campaign import Campaign, ClickCost, OfferShare, base_of, campaign_link
from clickloop.campaign.network import pixel_code, pixel_note, postback_url
from clickloop.campaign.tags import clean_tags
from clickloop.campaign.traffic_source import TrafficSource
from clickloop.click.routing import Route, Routes
from clickloop.report.check.records import campaign_findings
from clickloop.store.ledger.campaigns import CampaignsFilter, campaigns_after, find_campaign
from clickloop.store.ledger.catalog import read_catalog_of
from clickloop.store.ledger.changes_log import Action
from clickloop.store.ledger.networks import networks_of_offers
from clickloop.store.ledger.postback_rules import insert_rule, kept_rules_after
from clickloop.store.ledger.setup import archive_campaign, free_key, save_campaign
from clickloop.store.ledger.traffic_sources import find_source
from clickloop.web.api.body import CheckedBody, StrictBody, given_or
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.networks import masked_network, pixel_warnings, readable_code
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import (
    LARGEST_ID,
    Archived,
    Cursor,
    Id,
    Limit,
    Page,
    Tag,
    Words,
    page_of,
    read_number_cursor,
)
from clickloop.web.api.problem import not_found
from clickloop.web.api.telling_all import tells_all
from clickloop.web.api.versions import VersionedView
from clickloop.web.api.wire import (
    Advice,
    Moment,
    MoneyText,
    copied_name,
    moment_text,
    money_text,
    optional_moment_text,
    read_money,
    shown,
    warnings_of,
)

NOUN = "campaigns"

Name = Annotated[str, Meta(description="Its name.", examples=["Sweepstakes US"])]
SourceId = Annotated[int, Meta(description="The traffic source.", ge=1, le=LARGEST_ID, examples=[1])]
Key = Annotated[
    str, Meta(description="What its link carries: six letters and digits, case-sensitive.", examples=["aB3xY9"])
]
Domain = Annotated[
    str, Meta(description="The host of its link; empty: that of the instance.", examples=["go.example.com"])
]
Active = Annotated[bool, Meta(description="false: paused, visitors go to the fallback address.")]
FallbackUrl = Annotated[
    str, Meta(description="Where visitors go while it is paused or has no offer; empty: that of the instance.")
]
Cost = Annotated[
    MoneyText | None,
    Meta(
        description="The fixed cost of a click, or of a thousand by cost_model, in the currency of the source; null: none is fixed. "
        "Given without cost_model: of a click; null without cost_model: as the link's cost parameter says."
    ),
]
Pricing = Annotated[
    ClickCost,
    Meta(
        description="How clicks are priced. link: as the link's cost parameter says; per_click and per_thousand: fixed, as cost says, "
        "of a thousand each click a thousandth, rounded half up to a millionth; none: nothing."
    ),
]
SourceRulesOff = Annotated[bool, Meta(description="true: the postbacks of its source are not sent for this campaign.")]

Tags = Annotated[list[str], Meta(description="The user's own words to find it by.", examples=[["us", "mobile"]])]
Notes = Annotated[str, Meta(description="The user's own, in any number of lines.", examples=["Test until Friday."])]


class ShareBody(msgspec.Struct, kw_only=True):
    """An offer of a campaign. Visitors are split by weight; 0 switches an offer off."""

    offer_id: Annotated[int, Meta(description="The offer.", ge=1, le=LARGEST_ID, examples=[1])]
    weight: Annotated[int, Meta(description="Its weight against the others.", examples=[100])] = 100


Offers = Annotated[list[ShareBody], Meta(description="Its offers with their weights.")]


class CampaignUpdate(msgspec.Struct, kw_only=True):
    """What to change of a campaign; what is left out stays. Its key never changes."""

    name: Name | UnsetType = UNSET
    source_id: SourceId | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    active: Active | UnsetType = UNSET
    fallback_url: FallbackUrl | UnsetType = UNSET
    cost_model: Pricing | UnsetType = UNSET
    cost: Cost | UnsetType = UNSET
    source_rules_off: SourceRulesOff | UnsetType = UNSET
    offers: Offers | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET


class CampaignCreation(CampaignUpdate, kw_only=True):
    """A campaign to create."""

    name: Name
    source_id: SourceId
    key: Annotated[Key, Meta(description="Left out: one is drawn.")] | UnsetType = UNSET


class CampaignView(VersionedView, kw_only=True):
    """A campaign."""

    id: Annotated[int, Meta(examples=[1])]
    key: Key
    name: Name
    source_id: SourceId
    domain: Domain
    active: Active
    fallback_url: FallbackUrl
    cost_model: Pricing
    cost: Cost
    source_rules_off: SourceRulesOff
    offers: Offers
    tags: Tags
    notes: Notes
    link: Annotated[
        str,
        Meta(
            description="To paste into the traffic source; the source fills its macros in.",
            examples=["https://go.example.com/c/aB3xY9?external_id=${SUBID}&cost={cost}&zone={zoneid}"],
        ),
    ]
    warnings: Annotated[list[Advice], Meta(description="What will probably not do what was meant.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


class CampaignCloning(msgspec.Struct, kw_only=True):
    """How the copy differs."""

    name: Annotated[Name, Meta(description="Left out: as the campaign, with (copy) behind it.")] | UnsetType = UNSET


class NetworkCodes(msgspec.Struct, kw_only=True):
    """What to paste into a network of the campaign's offers, or into its thank-you page."""

    network_id: int
    name: str
    postback_url: Annotated[str, Meta(description="The network calls it for each conversion.")]
    pixel_code: Annotated[str, Meta(description="HTML for a thank-you page, on the campaign's own domain.")]
    pixel_note: Annotated[str, Meta(description="What to know about the cookie that the pixel falls back to.")]
    warnings: Annotated[list[Advice], Meta(description="What to know before they are pasted.")]


class CampaignCodes(msgspec.Struct, kw_only=True):
    """What to paste where."""

    link: Annotated[str, Meta(description="For the traffic source.")]
    networks: Annotated[list[NetworkCodes], Meta(description="Those that its offers are from.")]


OfSource = Annotated[
    int | None, QueryParameter(ge=1, le=LARGEST_ID, description="Only campaigns of this traffic source.")
]


OfOffer = Annotated[int | None, QueryParameter(ge=1, le=LARGEST_ID, description="Only campaigns with this offer.")]
OfActive = Annotated[bool | None, QueryParameter(description="true: without those that are paused; false: only those.")]


def create_campaign(context: Context, data: JSONBody[CampaignCreation]) -> CampaignView:
    """Creates a campaign; its link works as soon as the answer is there, at most a second later on other processes."""
    with context.ledger.write() as tx:
        key = free_key(tx, secrets.choice) if data.key is UNSET else data.key
        campaign = _changed(Campaign(key=key, name=data.name, source_id=data.source_id), data)
        view = _views(context, tx, [save_campaign(tx, campaign, context.clock())])[0]
        note_change(tx, context, NOUN, view.id, after=view)
    context.on_setup_changed()
    return view


def list_campaigns(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    source_id: OfSource = None,
    offer_id: OfOffer = None,
    active: OfActive = None,
    words: Words = "",
    tag: Tag = "",
) -> Page[CampaignView]:
    """Campaigns in the order in which they were made."""
    after = read_number_cursor(NOUN, cursor)
    narrowed = CampaignsFilter(source_id=source_id, offer_id=offer_id, active=active, words=words, tag=tag)
    with context.ledger.read() as tx:
        found = campaigns_after(tx, after, limit + 1, archived=archived, narrowed=narrowed)
        shown_views = {view.id: view for view in _views(context, tx, found)}
    return page_of(found, limit, NOUN, lambda campaign: campaign.id, lambda campaign: shown_views[campaign.id])


def read_campaign(context: Context, number: Id) -> CampaignView:
    """One campaign, archived or not."""
    with context.ledger.read() as tx:
        return _views(context, tx, [_campaign(tx, number)])[0]


def change_campaign(context: Context, number: Id, data: JSONBody[CampaignUpdate]) -> CampaignView:
    """Changes what is given and leaves the rest."""
    with context.ledger.write() as tx:
        campaign = context.current(_campaign(tx, number))
        was = _views(context, tx, [campaign])[0]
        view = _views(context, tx, [save_campaign(tx, _changed(campaign, data), context.clock())])[0]
        note_change(tx, context, NOUN, number, was, view)
    context.on_setup_changed()
    return view


def remove_campaign(context: Context, number: Id) -> CampaignView:
    """Takes a campaign out of use; nothing is deleted. Its link answers 404 from then on."""
    with context.ledger.write() as tx:
        campaign = context.current(_campaign(tx, number))
        was = _views(context, tx, [campaign])[0]
        if campaign.archived_at is None:
            campaign = archive_campaign(tx, campaign, context.clock())
        view = _views(context, tx, [campaign])[0]
        note_change(tx, context, NOUN, number, was, view)
    context.on_setup_changed()
    return view


def restore_campaign(context: Context, number: Id) -> CampaignView:
    """Takes an archived campaign into use again; its link works as before. Refused while its source or an offer is archived."""
    with context.ledger.write() as tx:
        campaign = context.current(_campaign(tx, number))
        was = _views(context, tx, [campaign])[0]
        if campaign.archived_at is not None:
            campaign = save_campaign(tx, replace(campaign, archived_at=None), context.clock())
        view = _views(context, tx, [campaign])[0]
        note_change(tx, context, NOUN, number, was, view)
    context.on_setup_changed()
    return view


def clone_campaign(context: Context, number: Id, data: JSONBody[CampaignCloning]) -> CampaignView:
    """Makes a campaign like this one, with a key of its own, the same offers, and copies of its own postback rules."""
    with context.ledger.write() as tx:
        now_ms = context.clock()
        campaign = _campaign(tx, number)
        name = given_or(data.name, copied_name(campaign.name))
        key = free_key(tx, secrets.choice)
        copy = save_campaign(tx, replace(campaign, id=0, key=key, name=name, created_at=0, archived_at=None), now_ms)
        for kept in kept_rules_after(tx, 0, LARGEST_ID, campaign_id=number):
            rule = replace(kept.rule, campaign_id=copy.id)
            note_change(tx, context, "postback-rules", insert_rule(tx, rule, now_ms), action=Action.CREATED)
        view = _views(context, tx, [copy])[0]
        note_change(tx, context, NOUN, view.id, after=view)
    context.on_setup_changed()
    return view


def read_codes(context: Context, number: Id) -> CampaignCodes:
    """What to paste into its source, its networks and their thank-you pages."""
    with context.ledger.read() as tx:
        campaign = _campaign(tx, number)
        view = _views(context, tx, [campaign])[0]
        found = networks_of_offers(tx, [share.offer_id for share in campaign.offers])
    codes = []
    for network in found:
        shown_network = masked_network(context, network)
        base_url = base_of(context.base_url, campaign.domain)
        codes.append(
            NetworkCodes(
                network_id=network.id,
                name=shown(network.name),
                postback_url=readable_code(postback_url(context.base_url, shown_network)),
                pixel_code=readable_code(pixel_code(base_url, shown_network)),
                pixel_note=pixel_note(base_url, network),
                warnings=pixel_warnings(network),
            )
        )
    return CampaignCodes(link=view.link, networks=codes)


def _changed(campaign: Campaign, data: CampaignUpdate) -> Campaign:
    cost_model, cost_micros = _cost(campaign, data)
    shares = campaign.offers
    if data.offers is not UNSET:
        shares = tuple(OfferShare(share.offer_id, share.weight) for share in data.offers)
    return replace(
        campaign,
        name=given_or(data.name, campaign.name),
        source_id=given_or(data.source_id, campaign.source_id),
        domain=given_or(data.domain, campaign.domain),
        active=given_or(data.active, campaign.active),
        fallback_url=given_or(data.fallback_url, campaign.fallback_url),
        cost_model=cost_model,
        cost_micros=cost_micros,
        source_rules_off=given_or(data.source_rules_off, campaign.source_rules_off),
        offers=shares,
        tags=campaign.tags if data.tags is UNSET else clean_tags(data.tags),
        notes=given_or(data.notes, campaign.notes),
    )


def _cost(campaign: Campaign, data: CampaignUpdate) -> tuple[ClickCost, int | None]:
    """The model and the amount; an amount is of a click unless the model is given too. Raises InvalidInputError."""
    if data.cost is UNSET:
        model = given_or(data.cost_model, campaign.cost_model)
        return model, campaign.cost_micros if model.is_fixed else None
    if data.cost is None:
        return given_or(data.cost_model, ClickCost.LINK), None
    return given_or(data.cost_model, ClickCost.PER_CLICK), read_money("cost", data.cost).micros


def _views(context: ApiContext, tx: Connection, campaigns: Sequence[Campaign]) -> list[CampaignView]:
    sources = {source_id: find_source(tx, source_id) for source_id in {campaign.source_id for campaign in campaigns}}
    catalog = read_catalog_of(tx, tuple(context.guard.policy.own_hosts), [campaign.id for campaign in campaigns])
    routes = Routes(catalog, context.fallback_url)
    found = []
    for campaign in campaigns:
        source = sources[campaign.source_id]
        if source is not None:
            found.append(_view(context, campaign, source, routes.find(campaign.key.encode())))
    return found


def _view(context: ApiContext, campaign: Campaign, source: TrafficSource, route: Route | None) -> CampaignView:
    currency = source.cost_currency or context.currency
    return CampaignView(
        id=campaign.id,
        version=campaign.version,
        key=campaign.key,
        name=shown(campaign.name),
        source_id=campaign.source_id,
        domain=campaign.domain,
        active=campaign.active,
        fallback_url=shown(campaign.fallback_url),
        cost_model=campaign.cost_model,
        cost=None if campaign.cost_micros is None else money_text(campaign.cost_micros, currency),
        source_rules_off=campaign.source_rules_off,
        offers=[ShareBody(offer_id=share.offer_id, weight=share.weight) for share in campaign.offers],
        tags=[shown(tag) for tag in campaign.tags],
        notes=shown(campaign.notes),
        link=shown(campaign_link(context.base_url, campaign, source)),
        warnings=warnings_of(campaign_findings(campaign, route) if route else ()),
        created_at=moment_text(campaign.created_at),
        updated_at=moment_text(campaign.updated_at),
        archived_at=optional_moment_text(campaign.archived_at),
    )


def _campaign(tx: Connection, number: int) -> Campaign:
    campaign = find_campaign(tx, number)
    if campaign is None:
        raise not_found(f"campaign {number}")
    return campaign


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Create a campaign")(
            tells_all(create_campaign)
        ),
        get("/", sync_to_thread=True, summary="List campaigns")(list_campaigns),
        get("/{number:int}", sync_to_thread=True, summary="Read a campaign")(read_campaign),
        patch("/{number:int}", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Change a campaign")(
            tells_all(change_campaign)
        ),
        delete("/{number:int}", status_code=200, sync_to_thread=True, summary="Archive a campaign")(remove_campaign),
        post("/{number:int}/restore", status_code=200, sync_to_thread=True, summary="Restore a campaign")(
            restore_campaign
        ),
        post("/{number:int}/clone", dto=StrictBody, return_dto=None, sync_to_thread=True, summary="Clone a campaign")(
            clone_campaign
        ),
        get("/{number:int}/codes", sync_to_thread=True, summary="Read what to paste where for a campaign")(read_codes),
    ],
    tags=["Campaigns"],
)
