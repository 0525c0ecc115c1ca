"""The offer: what a visitor is sent to, and what it pays."""

import msgspec

from clickloop.campaign.fault import Fault, FaultCode, currency_faults, text_faults
from clickloop.campaign.tags import tag_faults
from clickloop.campaign.web_address import address_faults

MOST_MICROS = 10**12 * 1_000_000 - 1
"""Twelve digits before the point, six after it."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An offer. ``url`` is a template. ``payout_micros`` None: the payout is what the notice says."""

    id: int = 0
    name: str
    network_id: int | None = None
    url: str
    payout_micros: int | None = None
    currency: str = ""
    """The currency of payouts of this offer; empty: as network, notice or instance say."""
    tags: tuple[str, ...] = ()
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None
    version: int = 0
    """See ``store.ledger.versions``; 0: not saved yet."""


def offer_faults(offer: Offer) -> list[Fault]:
    """Everything that is wrong with an offer, but whether its network exists."""
    faults = text_faults("name", offer.name, 200, required=True)
    faults += address_faults("url", offer.url, required=True) + currency_faults("currency", offer.currency)
    if offer.payout_micros is not None and not 0 <= offer.payout_micros <= MOST_MICROS:
        sentence = "A fixed payout is zero or more, with at most 12 digits before the point."
        faults.append(Fault("payout", FaultCode.OUT_OF_RANGE, sentence))
    return faults + tag_faults(offer.tags)
