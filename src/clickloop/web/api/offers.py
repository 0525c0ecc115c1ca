"""/offers: what visitors are sent to, and what it pays."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from litestar import Router
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.campaign.own_link import OwnLinks
from clickloop.macro import check, parse
from clickloop.report.check.finding import Code
from clickloop.saving import offers as saving
from clickloop.setup.money_text import money_text
from clickloop.setup.network import Network
from clickloop.setup.offer import NewOffer, Offer, OfferChange, OfferFields, Payout, changed_offer
from clickloop.store.ledger.networks import find_networks
from clickloop.store.ledger.offers import OffersFilter, offers_after
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import LARGEST_ID, Archived, Cursor, Id, Limit, Page, Tag, Words
from clickloop.web.api.records import Records, record_routes, view_of
from clickloop.web.api.wire import Advice, Moment, warnings_of

NOUN = saving.NOUN.name


class OfferView(OfferFields, frozen=True, kw_only=True):
    """An offer."""

    payout: Payout
    warnings: Annotated[list[Advice], Meta(description="What will probably not do what was meant.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


OfNetwork = Annotated[int | None, QueryParameter(ge=1, le=LARGEST_ID, description="Only offers of this network.")]


def create_offer(context: Context, data: JSONBody[NewOffer]) -> OfferView:
    """Creates an offer."""
    return OFFERS.create(context, lambda _tx: changed_offer(Offer(name=data.name, url=data.url), data))


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
    narrowed = OffersFilter(network_id=network_id, words=words, tag=tag)
    return OFFERS.page(context, limit, cursor, partial(offers_after, archived=archived, narrowed=narrowed))


def read_offer(context: Context, number: Id) -> OfferView:
    """One offer, archived or not."""
    return OFFERS.read(context, number)


def change_offer(context: Context, number: Id, data: JSONBody[OfferChange]) -> OfferView:
    """Changes what is given and leaves the rest."""
    return OFFERS.change(context, number, lambda _tx, offer: changed_offer(offer, data))


def remove_offer(context: Context, number: Id) -> OfferView:
    """Takes an offer out of use; nothing is deleted. Refused while a live campaign needs it."""
    return OFFERS.archive(context, number)


def restore_offer(context: Context, number: Id) -> OfferView:
    """Takes an archived offer into use again. Refused while its network is archived."""
    return OFFERS.restore(context, number)


def _views(context: ApiContext, tx: Connection, offers: Sequence[Offer]) -> list[OfferView]:
    own_hosts = context.guard.policy.own_hosts
    networks = {network.id: network for network in find_networks(tx, {offer.network_id or 0 for offer in offers})}
    return [_view(offer, networks.get(offer.network_id or 0), own_hosts) for offer in offers]


def _view(offer: Offer, network: Network | None, own_hosts: frozenset[str]) -> OfferView:
    payout = None if offer.payout_micros is None else money_text(offer.payout_micros, offer.currency)
    return view_of(OfferView, offer, {"payout": payout, "warnings": _warnings(offer, network, own_hosts)})


OFFERS = Records(saving.NOUN, _views)


def _warnings(offer: Offer, network: Network | None, own_hosts: frozenset[str]) -> list[Advice]:
    # Names of source rows are not known here: an offer serves campaigns of any source.
    found = warnings_of("url", check(offer.url, at_click=True))
    missing = click_id_missing(offer.url, network.click_id_parameter if network else "")
    return [*found, *(one for one in (missing, leads_back(offer.url, own_hosts)) if one is not None)]


def leads_back(url: str, own_hosts: frozenset[str]) -> Advice | None:
    """Return what to say of an address that is one of our own campaign links."""
    if OwnLinks(own_hosts).key_in(url) is None:
        return None
    sentence = "The address is a campaign link of this tracker: visitors would go in circles, so they are sent to the fallback address."
    return Advice("url", Code.OFFER_LOOPS, sentence, "Put the network's link there.")


def click_id_missing(url: str, parameter: str) -> Advice | None:
    """What to say of an address without our click id; ``parameter``: that of its network, empty where it is not known."""
    if "clickid" in parse(url).names:
        return None
    sentence = "The address does not carry {clickid}: the network could not tell us which click converted."
    return Advice("url", "click_id_missing", sentence, f"Add {{clickid}} in {parameter or 'its sub id parameter'}.")


router = Router(
    f"/{NOUN}",
    route_handlers=record_routes(
        "an offer",
        "offers",
        create=create_offer,
        show_list=list_offers,
        read=read_offer,
        change=change_offer,
        archive=remove_offer,
        restore=restore_offer,
    ),
    tags=["Offers"],
)
