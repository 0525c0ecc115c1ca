"""The cap of an offer: how many conversions or clicks it takes in a period, and where visitors go afterwards."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.log_filter import MAX_ID
from clickloop.plural import pluralize
from clickloop.setup.condition import zone_of
from clickloop.setup.fault import FaultCode, FieldFault

MAX_AMOUNT = 1_000_000_000
MAX_STATUSES = 50


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

    @property
    def measure(self) -> tuple[object, ...]:
        """Return what decides when it is reached: everything but where visitors go then."""
        return self.amount, self.of, self.statuses, self.per, self.time_zone


_NOUNS = {CapUnit.CONVERSIONS: "conversion", CapUnit.CLICKS: "click", CapUnit.UNIQUE_CLICKS: "unique click"}
_PERIODS = {
    CapPeriod.HOUR: "an hour",
    CapPeriod.DAY: "a day",
    CapPeriod.WEEK: "a week",
    CapPeriod.TOTAL: "in total",
}


def counted_words(count: int, cap: OfferCap) -> str:
    """Return a count in the cap's unit: ``57 conversions``."""
    return pluralize(count, _NOUNS[cap.of])


def cap_words(cap: OfferCap) -> str:
    """Return a cap in words: ``100 conversions a day``."""
    statuses = f" ({', '.join(cap.statuses)})" if cap.statuses else ""
    return f"{counted_words(cap.amount, cap)}{statuses} {_PERIODS[cap.per]}"


def cap_faults(cap: OfferCap) -> list[FieldFault]:
    """Return everything wrong with a cap, except statuses and offers that do not exist."""
    faults: list[FieldFault] = []
    if not 1 <= cap.amount <= MAX_AMOUNT:
        sentence = f"A cap is a number from 1 to {MAX_AMOUNT:,}. Remove the cap for no limit."
        faults.append(FieldFault("cap.amount", FaultCode.OUT_OF_RANGE, sentence))
    if cap.time_zone and zone_of(cap.time_zone) is None:
        sentence = "There is no such time zone. Enter one such as Europe/Berlin."
        faults.append(FieldFault("cap.time_zone", FaultCode.NOT_FOUND, sentence))
    if cap.statuses and cap.of is not CapUnit.CONVERSIONS:
        sentence = "Only conversions have a status. Leave it empty for a cap of clicks."
        faults.append(FieldFault("cap.statuses", FaultCode.NOT_ALLOWED, sentence))
    if len(cap.statuses) > MAX_STATUSES:
        sentence = f"Choose at most {MAX_STATUSES} statuses."
        faults.append(FieldFault("cap.statuses", FaultCode.TOO_MANY, sentence))
    return faults
