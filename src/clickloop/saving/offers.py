"""Saving offers."""

from collections.abc import Iterator

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.pasting import trimmed
from clickloop.saving.faults import raise_faults, reference_faults
from clickloop.saving.record import Noun, SavingContext
from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.offer import Offer, offer_faults
from clickloop.setup.offer_cap import OfferCap
from clickloop.store.ledger.setup.flow_references import live_flow_with
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.offer_caps import alternative_of, live_offer_leading_to
from clickloop.store.ledger.setup.offers import OFFERS
from clickloop.store.ledger.setup.statuses import status_table


def _checked(_context: SavingContext, tx: Connection, offer: Offer) -> Offer:
    offer = replace(offer, url=trimmed(offer.url))
    faults = offer_faults(offer)
    if offer.network_id is not None:
        network = NETWORKS.find(tx, offer.network_id)
        faults += reference_faults("network_id", "network", offer.network_id, network)
    if offer.cap is not None:
        faults += _cap_faults(tx, offer.id, offer.cap)
    raise_faults(faults)
    return offer


def _cap_faults(tx: Connection, offer_id: int, cap: OfferCap) -> Iterator[FieldFault]:
    """Yield the faults of what a cap refers to."""
    known = status_table(tx)
    for key in cap.statuses:
        if known.of_key(key) is None:
            yield FieldFault("cap.statuses", FaultCode.NOT_FOUND, f"There is no status {key!r}.")
    if cap.then_offer_id is None:
        return
    field = "cap.then_offer_id"
    missing = reference_faults(field, "offer", cap.then_offer_id, OFFERS.find(tx, cap.then_offer_id))
    yield from missing
    if not missing and offer_id and _leads_back(tx, offer_id, cap.then_offer_id):
        sentence = (
            "Choose another offer: this one's visitors would come back here, so that no offer would take them."
            if cap.then_offer_id != offer_id
            else "Choose another offer than this one."
        )
        yield FieldFault(field, FaultCode.NOT_ALLOWED, sentence)


def _leads_back(tx: Connection, offer_id: int, alternative_id: int) -> bool:
    """Return whether a chain of alternatives ends where it began.

    Read in the writing transaction, of which there is one at a time: two saves cannot close a loop between them.
    """
    seen: set[int] = set()
    following: int | None = alternative_id
    while following is not None and following not in seen:
        if following == offer_id:
            return True
        seen.add(following)
        following = alternative_of(tx, following)
    return False


def _in_use(tx: Connection, offer_id: int) -> str | None:
    return live_flow_with(tx, "offer", offer_id) or live_offer_leading_to(tx, offer_id)


NOUN = Noun(name="offers", one="offer", find=OFFERS.find, checked=_checked, write=OFFERS.write, in_use=_in_use)
