"""The offer: where visitors are sent, and its payout."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.log_filter import MAX_ID
from clickloop.money import MAX_MICROS
from clickloop.setup.fault import FaultCode, FieldFault, currency_faults
from clickloop.setup.money_text import MoneyText, read_money
from clickloop.setup.offer_cap import OfferCap, cap_faults
from clickloop.setup.record import OneLine, RecordFields, Tags, line_faults, with_changes
from clickloop.setup.tags import clean_tags, tag_faults
from clickloop.setup.web_address import address_faults

Name = Annotated[str, OneLine(200, required=True), Meta(description="Offer name.", examples=["Gift card US"])]
NetworkId = Annotated[int, Meta(description="The offer's network.", ge=1, le=MAX_ID, examples=[1])]
Url = Annotated[
    str,
    Meta(
        description="Where visitors are sent; macros are filled in. It must contain {clickid} in the network's parameter.",
        examples=["https://network.example/click?offer=1&sub1={clickid}"],
    ),
]
Currency = Annotated[
    str,
    Meta(
        description="Payout currency (ISO 4217). Leave empty to use that of the network or the instance.",
        examples=["USD"],
    ),
]
Payout = Annotated[
    MoneyText | None,
    Meta(
        description="Fixed payout for incoming postbacks without one. Use null to take the payout only from incoming postbacks."
    ),
]

Cap = Annotated[OfferCap | None, Meta(description="The most that the offer takes in a period. null: no limit.")]


class OfferFields(RecordFields, frozen=True, kw_only=True):
    """The fields that an offer's record and view share."""

    name: Name
    network_id: NetworkId | None = None
    url: Url
    currency: Currency = ""
    tags: Tags = ()
    cap: Cap = None


class Offer(OfferFields, frozen=True, kw_only=True):
    """An offer. ``url`` is a template. ``payout_micros`` None: the payout comes from the notice only."""

    payout_micros: int | None = None
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None


class OfferChange(msgspec.Struct, kw_only=True):
    """Changes of an offer. Fields left out stay as they are."""

    name: Name | UnsetType = UNSET
    network_id: NetworkId | UnsetType | None = UNSET
    url: Url | UnsetType = UNSET
    payout: Payout | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    cap: Cap | UnsetType = UNSET


class NewOffer(OfferChange, kw_only=True):
    """An offer to create."""

    name: Name
    url: Url


def changed_offer(offer: Offer, change: OfferChange) -> Offer:
    """Return the offer with a change. A payout's currency becomes the offer's, unless set too. Raise InvalidInputError."""
    others: dict[str, object] = {}
    if change.payout is None:
        others["payout_micros"] = None
    elif change.payout is not UNSET:
        money = read_money("payout", change.payout)
        others["payout_micros"] = money.micros
        if change.currency is UNSET and money.currency:
            others["currency"] = money.currency
    if change.tags is not UNSET:
        others["tags"] = clean_tags(change.tags)
    return with_changes(offer, change, **others)


def offer_faults(offer: Offer) -> list[FieldFault]:
    """Return everything wrong with an offer, except a network that does not exist."""
    faults = (
        line_faults(offer)
        + address_faults("url", offer.url, required=True)
        + currency_faults("currency", offer.currency)
    )
    if offer.payout_micros is not None and not 0 <= offer.payout_micros <= MAX_MICROS:
        sentence = "A fixed payout is 0 or more, with at most 12 digits before the point."
        faults.append(FieldFault("payout", FaultCode.OUT_OF_RANGE, sentence))
    if offer.cap is not None:
        faults += cap_faults(offer.cap)
    return faults + tag_faults(offer.tags)
