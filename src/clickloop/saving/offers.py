"""Saving offers."""

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.pasting import trimmed
from clickloop.saving.faults import raise_faults, reference_faults
from clickloop.saving.record import Noun, SavingContext
from clickloop.setup.offer import Offer, offer_faults
from clickloop.store.ledger.setup.flow_references import live_flow_with
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.offers import OFFERS


def _checked(_context: SavingContext, tx: Connection, offer: Offer) -> Offer:
    offer = replace(offer, url=trimmed(offer.url))
    faults = offer_faults(offer)
    if offer.network_id is not None:
        network = NETWORKS.find(tx, offer.network_id)
        faults += reference_faults("network_id", "network", offer.network_id, network)
    raise_faults(faults)
    return offer


def _in_use(tx: Connection, offer_id: int) -> str | None:
    return live_flow_with(tx, "offer", offer_id)


NOUN = Noun(name="offers", one="offer", find=OFFERS.find, checked=_checked, write=OFFERS.write, in_use=_in_use)
