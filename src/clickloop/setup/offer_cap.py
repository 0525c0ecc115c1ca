"""The cap of an offer: how many conversions or clicks it takes in a period, and where visitors go afterwards."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.log_filter import MAX_ID

MAX_AMOUNT = 1_000_000_000


class CapUnit(enum.StrEnum):
    """What a cap counts."""

    CONVERSIONS = "conversions"
    CLICKS = "clicks"
    """Offer visits: visitors sent to the offer, by the campaign link or by a landing's button."""
    UNIQUE_CLICKS = "unique_clicks"
    """Offer visits of unique visitors."""


class CapPeriod(enum.StrEnum):
    """The period after which a cap begins anew."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """From Monday."""
    TOTAL = "total"
    """Never."""


class OfferCap(msgspec.Struct, frozen=True, kw_only=True):
    """A cap."""

    amount: Annotated[int, Meta(description="The number that the offer takes in a period, 1 or more.", examples=[100])]
    of: Annotated[CapUnit, Meta(description="What is counted.")] = CapUnit.CONVERSIONS
    statuses: Annotated[
        tuple[str, ...],
        Meta(
            description="Statuses of the conversions that count, by key. Leave empty to count all except rejected ones."
        ),
    ] = ()
    per: Annotated[CapPeriod, Meta(description="The period.")] = CapPeriod.DAY
    time_zone: Annotated[
        str, Meta(description="Time zone in which periods begin. Leave empty for the instance's.", examples=["UTC"])
    ] = ""
    then_offer_id: (
        Annotated[int, Meta(ge=1, le=MAX_ID, description="The offer that visitors go to once the cap is reached.")]
        | None
    ) = None
    """None: the offer leaves the rotation until the next period."""
