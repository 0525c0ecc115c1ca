"""/offers: where visitors are sent, and what a conversion pays."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated

from litestar import Router
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.diagnosis.check.finding import CheckFinding
from clickloop.diagnosis.check.records import offer_findings
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page
from clickloop.logs.view import view_of
from clickloop.saving import offers as saving
from clickloop.setup.money_text import money_text
from clickloop.setup.offer import NewOffer, Offer, OfferChange, OfferFields, Payout, changed_offer
from clickloop.setup.own_link import OwnLinks
from clickloop.store.ledger.setup.networks import networks_of_offers
from clickloop.store.ledger.setup.offers import OffersFilter, offers_after
from clickloop.store.ledger.setup.traffic_sources import any_row_macros, sources_of_offers
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Tag, Words
from clickloop.web.api.setup.records import Records, record_routes
from clickloop.web.api.wire import Advice, warnings_of

NOUN = saving.NOUN.name


class OfferView(OfferFields, frozen=True, kw_only=True):
    """An offer."""

    payout: Payout
    warnings: Annotated[list[Advice], Meta(description="Likely mistakes. They do not prevent saving.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


NetworkParameter = Annotated[
    int | None, QueryParameter(ge=1, le=MAX_ID, description="Return only offers of this network.")
]


def create_offer(context: Context, data: JSONBody[NewOffer]) -> OfferView:
    """Create an offer."""
    return OFFERS.create(context, lambda _tx: changed_offer(Offer(name=data.name, url=data.url), data))


def list_offers(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    network_id: NetworkParameter = None,
    words: Words = "",
    tag: Tag = "",
) -> Page[OfferView]:
    """List offers in order of creation."""
    narrowed = OffersFilter(network_id=network_id, words=words, tag=tag)
    return OFFERS.page(context, limit, cursor, partial(offers_after, archived=archived, narrowed=narrowed))


def read_offer(context: Context, number: Id) -> OfferView:
    """Return an offer, archived or not."""
    return OFFERS.read(context, number)


def change_offer(context: Context, number: Id, data: JSONBody[OfferChange]) -> OfferView:
    """Change the given fields. Omitted fields stay unchanged."""
    return OFFERS.change(context, number, lambda _tx, offer: changed_offer(offer, data))


def remove_offer(context: Context, number: Id) -> OfferView:
    """Archive an offer. Nothing is deleted. Fails while a live campaign uses it."""
    return OFFERS.archive(context, number)


def restore_offer(context: Context, number: Id) -> OfferView:
    """Restore an archived offer. Fails while its network is archived."""
    return OFFERS.restore(context, number)


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


def _view(offer: Offer, findings: Iterable[CheckFinding]) -> OfferView:
    payout = None if offer.payout_micros is None else money_text(offer.payout_micros, offer.currency)
    return view_of(OfferView, offer, payout=payout, warnings=warnings_of(findings))


OFFERS = Records(saving.NOUN, _views)


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
