"""The measures of reports, one line each: name, label, unit and definition.

- A ratio is always computed from sums: a total's ratio is the ratio of its sums, never a mean of ratios.
- *Conversions* are confirmed and pending ones. A conversion that the network rejects no longer counts.
- *Approval rate* is the share of all conversions, rejected and pending ones included.
- *Revenue* is confirmed revenue.
- A click is *unique* if it is a visitor's first within the uniqueness that their campaign has set: by our cookie, else by a daily hash.
- *LP CTR* is the share of visitors sent to a landing who pressed one of its buttons: each button counts once per click.
- An *offer visit* is a visitor sent to an offer, by the campaign link or by a landing's button. Figures per offer divide by it.
"""

import enum
from collections.abc import Mapping
from functools import lru_cache
from typing import Self

import msgspec

from clickloop.money import MICROS


class OtherMoney(msgspec.Struct, frozen=True, kw_only=True):
    """Sums in a currency without a known rate. Shown separately, never converted by a guess."""

    currency: str
    """Empty for an unknown currency."""
    cost_micros: int = 0
    revenue_micros: int = 0
    pending_micros: int = 0
    rejected_micros: int = 0


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of the facts. Micros are in the instance's currency, without amounts that could not be converted."""

    clicks: int = 0
    """Counted clicks, without screened and test clicks."""
    unique_clicks: int = 0
    """Counted clicks that are a visitor's first within the uniqueness of their campaign."""
    clicks_recorded: int = 0
    """Clicks, counted or screened."""
    clean_clicks: int = 0
    """Counted clicks without marks of suspicious traffic."""
    landing_visits: int = 0
    """Counted clicks that were sent to a landing."""
    landing_views: int = 0
    landing_clicks: int = 0
    """Buttons pressed on landings; the same one counts once per click."""
    offer_visits: int = 0
    """Counted clicks that were sent to an offer, and landing clicks that were."""
    events: int = 0
    """Numbers that pages reported."""
    confirmed: int = 0
    pending: int = 0
    rejected: int = 0
    cost_micros: int = 0
    revenue_micros: int = 0
    """Payouts of confirmed conversions."""
    pending_micros: int = 0
    rejected_micros: int = 0
    by_status: Mapping[str, int] = {}
    """Conversions by status key, for the requested statuses."""
    not_converted: tuple[OtherMoney, ...] = ()
    """Money in currencies without a rate, one entry per currency."""


class Unit(enum.Enum):
    """The unit of a measure's integer."""

    COUNT = enum.auto()
    SHARE = enum.auto()
    """Millionths of the whole."""
    MONEY = enum.auto()
    """Micros of the instance's currency."""
    MONEY_EACH = enum.auto()
    """Micros of the instance's currency per click: fractions of a cent."""


class Measure(enum.StrEnum):
    """A figure of a report: name, label, unit and definition, ``dividend`` ÷ ``divisor``.

    Both are fields of ``Sums``, added or subtracted. With an empty ``divisor`` nothing is divided.
    """

    label: str
    unit: Unit
    dividend: str
    divisor: str

    # The defaults are for the type checker, to which looking up a measure by name looks like creating one.
    def __new__(
        cls, name: str, label: str = "", unit: Unit = Unit.COUNT, dividend: str = "", divisor: str = ""
    ) -> Self:
        measure = str.__new__(cls, name)
        measure._value_ = name
        measure.label, measure.unit, measure.dividend, measure.divisor = label, unit, dividend, divisor
        return measure

    CLICKS = "clicks", "Clicks", Unit.COUNT, "clicks"
    UNIQUE_CLICKS = "unique_clicks", "Unique clicks", Unit.COUNT, "unique_clicks"
    CLICKS_RECORDED = "clicks_recorded", "Clicks recorded", Unit.COUNT, "clicks_recorded"
    CLEAN_CLICKS = "clean_clicks", "Clean clicks", Unit.COUNT, "clean_clicks"
    LANDING_VISITS = "landing_visits", "Landing visits", Unit.COUNT, "landing_visits"
    LANDING_VIEWS = "landing_views", "Landing views", Unit.COUNT, "landing_views"
    LANDING_CLICKS = "landing_clicks", "Landing clicks", Unit.COUNT, "landing_clicks"
    LP_CTR = "lp_ctr", "LP CTR", Unit.SHARE, "landing_clicks", "landing_visits"
    OFFER_VISITS = "offer_visits", "Offer visits", Unit.COUNT, "offer_visits"
    EVENTS = "events", "Events", Unit.COUNT, "events"
    CONVERSIONS = "conversions", "Conversions", Unit.COUNT, "confirmed + pending"
    CONFIRMED = "confirmed", "Confirmed", Unit.COUNT, "confirmed"
    PENDING = "pending", "Pending", Unit.COUNT, "pending"
    REJECTED = "rejected", "Rejected", Unit.COUNT, "rejected"
    CR = "cr", "CR", Unit.SHARE, "confirmed + pending", "clicks"
    CR_OFFER = "cr_offer", "CR of offer visits", Unit.SHARE, "confirmed + pending", "offer_visits"
    APPROVAL_RATE = "approval_rate", "Approval rate", Unit.SHARE, "confirmed", "confirmed + pending + rejected"
    REVENUE = "revenue", "Revenue", Unit.MONEY, "revenue_micros"
    PENDING_REVENUE = "pending_revenue", "Pending revenue", Unit.MONEY, "pending_micros"
    REJECTED_REVENUE = "rejected_revenue", "Rejected revenue", Unit.MONEY, "rejected_micros"
    AVERAGE_PAYOUT = "average_payout", "Average payout", Unit.MONEY, "revenue_micros", "confirmed"
    COST = "cost", "Cost", Unit.MONEY, "cost_micros"
    PROFIT = "profit", "Profit", Unit.MONEY, "revenue_micros - cost_micros"
    ROI = "roi", "ROI", Unit.SHARE, "revenue_micros - cost_micros", "cost_micros"
    EPC = "epc", "EPC", Unit.MONEY_EACH, "revenue_micros", "clicks"
    EPC_OFFER = "epc_offer", "EPC of offer visits", Unit.MONEY_EACH, "revenue_micros", "offer_visits"
    CPC = "cpc", "CPC", Unit.MONEY_EACH, "cost_micros", "clicks"

    @property
    def is_share(self) -> bool:
        """Return whether the value is in millionths of a whole."""
        return self.unit is Unit.SHARE

    @property
    def is_money(self) -> bool:
        """Return whether the value is in micros of the instance's currency."""
        return self.unit in (Unit.MONEY, Unit.MONEY_EACH)

    def of(self, sums: Sums) -> int | None:
        """Return the measure's value for these sums in its unit, or None if there is nothing to divide by."""
        total = _total(self.dividend, sums)
        if not self.divisor:
            return total
        return quotient(total * MICROS if self.is_share else total, _total(self.divisor, sums))


def _total(terms: str, sums: Sums) -> int:
    return sum(sign * getattr(sums, name) for sign, name in signed_names(terms))


@lru_cache
def signed_names(terms: str) -> tuple[tuple[int, str], ...]:
    """Return the names in ``a + b - c``, each with 1 or −1."""
    words = ["+", *terms.split()]
    return tuple((-1 if sign == "-" else 1, name) for sign, name in zip(words[::2], words[1::2], strict=True))


def quotient(dividend: int, divisor: int) -> int | None:
    """Return the quotient rounded half up, or None if the divisor is not positive."""
    return (2 * dividend + divisor) // (2 * divisor) if divisor > 0 else None


def relative_change(now: int, before: int) -> int | None:
    """Return a figure's change relative to the previous one, in millionths; None if that was 0."""
    return None if before == 0 else quotient((now - before) * MICROS, abs(before))
