"""/offers: what visitors are sent to, and what it pays."""

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.campaign.offer import Offer
from clickloop.campaign.own_link import OwnLinks
from clickloop.campaign.tags import clean_tags
from clickloop.report.check.finding import Finding
from clickloop.report.check.records import offer_findings
from clickloop.store.ledger.networks import networks_of_offers
from clickloop.store.ledger.offers import find_offer, offers_after
from clickloop.store.ledger.setup import archive_offer, save_offer
from clickloop.store.ledger.traffic_sources import any_row_macros, sources_of_offers
from clickloop.web.api.body import CheckedBody, given_or
from clickloop.web.api.context import ApiContext, Context
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
    moment_text,
    money_text,
    optional_moment_text,
    read_money,
    shown,
    warnings_of,
)

NOUN = "offers"

Name = Annotated[str, Meta(description="Its name.", examples=["Gift card US"])]
NetworkId = Annotated[int, Meta(description="The network that it is from.", ge=1, le=LARGEST_ID, examples=[1])]
Url = Annotated[
    str,
    Meta(
        description="Where visitors are sent; our macros are filled in. It must carry {clickid} in the network's parameter.",
        examples=["https://network.example/click?offer=1&sub1={clickid}"],
    ),
]
Currency = Annotated[
    str, Meta(description="Currency of its payouts (ISO 4217); empty: that of network or instance.", examples=["USD"])
]
Payout = Annotated[
    MoneyText | None, Meta(description="A fixed payout where the notice names none; null: as the notice says.")
]

Tags = Annotated[list[str], Meta(description="The user's own words to find it by.", examples=[["us", "mobile"]])]


class OfferUpdate(msgspec.Struct, kw_only=True):
    """What to change of an offer; what is left out stays."""

    name: Name | UnsetType = UNSET
    network_id: NetworkId | UnsetType | None = UNSET
    url: Url | UnsetType = UNSET
    payout: Payout | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class OfferCreation(OfferUpdate, kw_only=True):
    """An offer to create."""

    name: Name
    url: Url


class OfferView(VersionedView, kw_only=True):
    """An offer."""

    id: Annotated[int, Meta(examples=[1])]
    name: Name
    network_id: NetworkId | None
    url: Url
    payout: Payout
    currency: Currency
    tags: Tags
    warnings: Annotated[list[Advice], Meta(description="What will probably not do what was meant.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


OfNetwork = Annotated[int | None, QueryParameter(ge=1, le=LARGEST_ID, description="Only offers of this network.")]


def create_offer(context: Context, data: JSONBody[OfferCreation]) -> OfferView:
    """Creates an offer."""
    offer = _changed(Offer(name=data.name, url=data.url), data)
    with context.ledger.write() as tx:
        view = _views(context, tx, [save_offer(tx, offer, context.clock())])[0]
        note_change(tx, context, NOUN, view.id, after=view)
    context.on_setup_changed()
    return view


def list_offers(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    network_id: OfNetwork = None,
    words: Words = "",
    tag: Tag = "",
) -> Page[OfferView]:
    """Offers in the order in which they were made."""
    after = read_number_cursor(NOUN, cursor)
    with context.ledger.read() as tx:
        found = offers_after(tx, after, limit + 1, archived=archived, network_id=network_id, words=words, tag=tag)
        shown_views = {view.id: view for view in _views(context, tx, found)}
    return page_of(found, limit, NOUN, lambda offer: offer.id, lambda offer: shown_views[offer.id])


def read_offer(context: Context, number: Id) -> OfferView:
    """One offer, archived or not."""
    with context.ledger.read() as tx:
        return _views(context, tx, [_offer(tx, number)])[0]


def change_offer(context: Context, number: Id, data: JSONBody[OfferUpdate]) -> OfferView:
    """Changes what is given and leaves the rest."""
    with context.ledger.write() as tx:
        offer = context.current(_offer(tx, number))
        was = _views(context, tx, [offer])[0]
        view = _views(context, tx, [save_offer(tx, _changed(offer, data), context.clock())])[0]
        note_change(tx, context, NOUN, number, was, view)
    context.on_setup_changed()
    return view


def remove_offer(context: Context, number: Id) -> OfferView:
    """Takes an offer out of use; nothing is deleted. Refused while a live campaign needs it."""
    with context.ledger.write() as tx:
        offer = context.current(_offer(tx, number))
        was = _views(context, tx, [offer])[0]
        if offer.archived_at is None:
            offer = archive_offer(tx, offer, context.clock())
        view = _views(context, tx, [offer])[0]
        note_change(tx, context, NOUN, number, was, view)
    context.on_setup_changed()
    return view


def restore_offer(context: Context, number: Id) -> OfferView:
    """Takes an archived offer into use again. Refused while its network is archived."""
    with context.ledger.write() as tx:
        offer = context.current(_offer(tx, number))
        was = _views(context, tx, [offer])[0]
        if offer.archived_at is not None:
            offer = save_offer(tx, replace(offer, archived_at=None), context.clock())
        view = _views(context, tx, [offer])[0]
        note_change(tx, context, NOUN, number, was, view)
    context.on_setup_changed()
    return view


def _changed(offer: Offer, data: OfferUpdate) -> Offer:
    payout_micros, currency = offer.payout_micros, given_or(data.currency, offer.currency)
    if data.payout is None:
        payout_micros = None
    elif data.payout is not UNSET:
        money = read_money("payout", data.payout)
        payout_micros = money.micros
        if data.currency is UNSET and money.currency:
            currency = money.currency
    return replace(
        offer,
        name=given_or(data.name, offer.name),
        network_id=given_or(data.network_id, offer.network_id),
        url=given_or(data.url, offer.url),
        payout_micros=payout_micros,
        currency=currency,
        tags=offer.tags if data.tags is UNSET else clean_tags(data.tags),
    )


def _views(context: ApiContext, tx: Connection, offers: Sequence[Offer]) -> list[OfferView]:
    own_links = OwnLinks(context.guard.policy.own_hosts)
    networks = {network.id: network for network in networks_of_offers(tx, [offer.id for offer in offers])}
    sources = sources_of_offers(tx, [offer.id for offer in offers])
    any_rows = any_row_macros(tx) if len(sources) < len(offers) else {}
    return [
        _view(
            offer,
            offer_findings(offer, networks.get(offer.network_id or 0), sources.get(offer.id, ()), any_rows, own_links),
        )
        for offer in offers
    ]


def _view(offer: Offer, findings: Iterable[Finding]) -> OfferView:
    return OfferView(
        id=offer.id,
        version=offer.version,
        name=shown(offer.name),
        network_id=offer.network_id,
        url=shown(offer.url),
        payout=None if offer.payout_micros is None else money_text(offer.payout_micros, offer.currency),
        currency=offer.currency,
        tags=[shown(tag) for tag in offer.tags],
        warnings=warnings_of(findings),
        created_at=moment_text(offer.created_at),
        updated_at=moment_text(offer.updated_at),
        archived_at=optional_moment_text(offer.archived_at),
    )


def _offer(tx: Connection, number: int) -> Offer:
    offer = find_offer(tx, number)
    if offer is None:
        raise not_found(f"offer {number}")
    return offer


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Create an offer")(
            tells_all(create_offer)
        ),
        get("/", sync_to_thread=True, summary="List offers")(list_offers),
        get("/{number:int}", sync_to_thread=True, summary="Read an offer")(read_offer),
        patch("/{number:int}", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Change an offer")(
            tells_all(change_offer)
        ),
        delete("/{number:int}", status_code=200, sync_to_thread=True, summary="Archive an offer")(remove_offer),
        post("/{number:int}/restore", status_code=200, sync_to_thread=True, summary="Restore an offer")(restore_offer),
    ],
    tags=["Offers"],
)
