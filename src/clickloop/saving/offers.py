"""Saving offers."""

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.pasting import trimmed
from clickloop.saving.faults import raise_faults, reference_faults
from clickloop.saving.record import Noun, SavingContext
from clickloop.setup.offer import Offer, offer_faults
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.offers import OFFERS, live_campaign_with_offer


def _checked(_context: SavingContext, tx: Connection, offer: Offer) -> Offer:
    offer = replace(offer, url=trimmed(offer.url))
    faults = offer_faults(offer)
    if offer.network_id is not None:
        network = NETWORKS.find(tx, offer.network_id)
        faults += reference_faults("network_id", "network", offer.network_id, network)
    raise_faults(faults)
    return offer


def _in_use(tx: Connection, offer_id: int) -> str | None:
    campaign = live_campaign_with_offer(tx, offer_id)
    return None if campaign is None else f"campaign {campaign!r}"


NOUN = Noun(name="offers", one="offer", find=OFFERS.find, checked=_checked, write=OFFERS.write, in_use=_in_use)
