"""The measures of reports, one line each: name, label, unit, definition and note. API, CSV, panel and docs are made from them.

A ratio is always computed from sums: a total's ratio is the ratio of its sums, never a mean of ratios. Figures that the user's
statuses and events add are in ``column``.
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
    """Clicks by visitors without a cookie of ours."""
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
    expected_micros: int = 0
    """Pending payouts times the approval rates of their offers."""
    delay_p50_seconds: int | None = None
    """The time from click to conversion within which half of the conversions came; None if there are none or it was not asked for."""
    by_status: Mapping[str, int] = {}
    """Conversions by status key, for the requested statuses."""
    micros_by_status: Mapping[str, int] = {}
    """Their payouts, however the status counts."""
    by_event: Mapping[int, int] = {}
    """Sums of what pages reported as event1 to event30, in millionths, for the requested numbers."""
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
    SECONDS = enum.auto()
    NUMBER = enum.auto()
    """Millionths of a plain number."""


class Measure(enum.StrEnum):
    """A figure of a report: name, label, unit, definition (``times`` × ``dividend`` ÷ ``divisor``) and note.

    Dividend and divisor are fields of ``Sums``, added or subtracted. With an empty ``divisor`` nothing is divided.
    """

    label: str
    unit: Unit
    dividend: str
    divisor: str
    times: int
    note: str

    # The defaults are for the type checker, to which looking up a measure by name looks like creating one.
    def __new__(
        cls,
        name: str,
        label: str = "",
        unit: Unit = Unit.COUNT,
        formula: str = "",
        note: str = "",
    ) -> Self:
        measure = str.__new__(cls, name)
        measure._value_ = name
        above, _, below = formula.partition(" / ")
        factor, is_multiple, terms = above.partition(" * ")
        number, added = (int(factor), terms) if is_multiple else (1, above)
        measure.label, measure.unit, measure.note = label, unit, note
        measure.dividend, measure.divisor, measure.times = added, below, number
        return measure

    CLICKS = (
        "clicks",
        "Clicks",
        Unit.COUNT,
        "clicks",
        "By a campaign link or the script of a page, without screened and test clicks. Marks never change them.",
    )
    UNIQUE_CLICKS = (
        "unique_clicks",
        "Unique clicks",
        Unit.COUNT,
        "unique_clicks",
        "Clicks that are a visitor's first within the uniqueness of their campaign: by our cookie, else by a daily hash.",
    )
    CLICKS_RECORDED = (
        "clicks_recorded",
        "Clicks recorded",
        Unit.COUNT,
        "clicks_recorded",
        "Counted and screened clicks.",
    )
    CLEAN_CLICKS = (
        "clean_clicks",
        "Clean",
        Unit.COUNT,
        "clean_clicks",
        "Counted clicks without marks of suspicious traffic.",
    )
    MARKED_CLICKS = (
        "marked_clicks",
        "Marked",
        Unit.COUNT,
        "clicks - clean_clicks",
        "Counted clicks with marks of suspicious traffic.",
    )
    MARKED_SHARE = "marked_share", "Marked share", Unit.SHARE, "clicks - clean_clicks / clicks"
    LANDING_VISITS = (
        "landing_visits",
        "Landing visits",
        Unit.COUNT,
        "landing_visits",
        "Counted clicks that were sent to a landing. A page tracked directly counts if its path has one landing.",
    )
    LANDING_VIEWS = (
        "landing_views",
        "Landing views",
        Unit.COUNT,
        "landing_views",
        "Loads of pages with the script, reloads included. A view belongs to its click.",
    )
    LANDING_CLICKS = (
        "landing_clicks",
        "Landing clicks",
        Unit.COUNT,
        "landing_clicks",
        "Buttons pressed on landings; the same button counts once per click.",
    )
    LP_CTR = "lp_ctr", "LP CTR", Unit.SHARE, "landing_clicks / landing_visits"
    OFFER_VISITS = (
        "offer_visits",
        "Offer visits",
        Unit.COUNT,
        "offer_visits",
        "Counted clicks that were sent directly to an offer, and landing clicks that led to one.",
    )
    EVENTS = "events", "Events", Unit.COUNT, "events", "Numbers that pages reported as event1 to event30, one each."
    CONVERSIONS = (
        "conversions",
        "Conversions",
        Unit.COUNT,
        "confirmed + pending",
        "Confirmed and pending conversions. One that the network rejects no longer counts.",
    )
    CONFIRMED = "confirmed", "Confirmed", Unit.COUNT, "confirmed", "Conversions whose status counts as confirmed."
    PENDING = "pending", "Pending", Unit.COUNT, "pending", "Conversions whose status counts as pending."
    REJECTED = "rejected", "Rejected", Unit.COUNT, "rejected", "Conversions whose status counts as rejected."
    CR = "cr", "CR", Unit.SHARE, "confirmed + pending / clicks"
    CR_OFFER = "cr_offer", "CR of offer visits", Unit.SHARE, "confirmed + pending / offer_visits"
    APPROVAL_RATE = (
        "approval_rate",
        "Approval rate",
        Unit.SHARE,
        "confirmed / confirmed + pending + rejected",
        "The confirmed share of all conversions, pending and rejected ones included.",
    )
    REVENUE = "revenue", "Revenue", Unit.MONEY, "revenue_micros", "Payouts of confirmed conversions."
    PENDING_REVENUE = (
        "pending_revenue",
        "Pending revenue",
        Unit.MONEY,
        "pending_micros",
        "Payouts of pending conversions.",
    )
    REJECTED_REVENUE = (
        "rejected_revenue",
        "Rejected revenue",
        Unit.MONEY,
        "rejected_micros",
        "Payouts of rejected conversions.",
    )
    AVERAGE_PAYOUT = "average_payout", "Average payout", Unit.MONEY, "revenue_micros / confirmed"
    COST = "cost", "Cost", Unit.MONEY, "cost_micros", "What the clicks cost, screened ones included."
    PROFIT = "profit", "Profit", Unit.MONEY, "revenue_micros - cost_micros"
    ROI = "roi", "ROI", Unit.SHARE, "revenue_micros - cost_micros / cost_micros"
    ROAS = "roas", "ROAS", Unit.SHARE, "revenue_micros / cost_micros"
    EPC = "epc", "EPC", Unit.MONEY_EACH, "revenue_micros / clicks"
    EPUC = "epuc", "EPC of unique clicks", Unit.MONEY_EACH, "revenue_micros / unique_clicks"
    EPC_OFFER = "epc_offer", "EPC of offer visits", Unit.MONEY_EACH, "revenue_micros / offer_visits"
    ECPM = "ecpm", "eCPM", Unit.MONEY, "1000 * revenue_micros / clicks", "Revenue of a thousand clicks."
    CPC = "cpc", "CPC", Unit.MONEY_EACH, "cost_micros / clicks"
    CPA = "cpa", "CPA", Unit.MONEY_EACH, "cost_micros / confirmed + pending"
    EXPECTED_REVENUE = (
        "expected_revenue",
        "Expected revenue",
        Unit.MONEY,
        "expected_micros",
        (
            "Pending revenue × the approval rate of its offer: confirmed ÷ (confirmed + rejected) in the 90 days up to the end of the "
            "period. 0 for an offer without either."
        ),
    )
    EXPECTED_RATE = (
        "expected_rate",
        "Expected approval",
        Unit.SHARE,
        "expected_micros / pending_micros",
        "The approval rate by which pending revenue is expected, over all offers of the row.",
    )
    EXPECTED_PROFIT = (
        "expected_profit",
        "Expected profit",
        Unit.MONEY,
        "revenue_micros + expected_micros - cost_micros",
        "Profit, if pending conversions are approved as those of the same offer have been.",
    )
    DELAY_P50 = (
        "delay_p50",
        "Median delay",
        Unit.SECONDS,
        "delay_p50_seconds",
        (
            "Half of the confirmed and pending conversions came within this time after their click. Not a sum: that of a total is the "
            "median of all its conversions."
        ),
    )

    @property
    def key(self) -> str:
        """Return the name in formulas, addresses and the API."""
        return self.value

    @property
    def formula(self) -> str:
        """Return the definition by other figures: ``(confirmed + pending) / clicks``; empty for a plain sum."""
        above = _named_terms(self.dividend)
        if self.divisor:
            factor = f"{self.times} * " if self.times > 1 else ""
            return f"{factor}{above} / {_named_terms(self.divisor)}"
        return above.strip("()") if len(signed_names(self.dividend)) > 1 else ""

    @property
    def is_share(self) -> bool:
        """Return whether the value is in millionths of a whole."""
        return self.unit is Unit.SHARE

    @property
    def is_money(self) -> bool:
        """Return whether the value is in micros of the instance's currency."""
        return self.unit in (Unit.MONEY, Unit.MONEY_EACH)

    @property
    def sums(self) -> frozenset[str]:
        """Return the fields of ``Sums`` that it is computed from."""
        return frozenset(name for terms in (self.dividend, self.divisor) if terms for _, name in signed_names(terms))

    def of(self, sums: Sums) -> int | None:
        """Return the measure's value for these sums in its unit, or None if there is nothing to divide by."""
        if self is Measure.DELAY_P50:
            return sums.delay_p50_seconds
        total = self.times * _total(self.dividend, sums)
        if not self.divisor:
            return total
        return quotient(total * MICROS if self.is_share else total, _total(self.divisor, sums))


ON_REQUEST = frozenset({Measure.EXPECTED_REVENUE, Measure.EXPECTED_RATE, Measure.EXPECTED_PROFIT, Measure.DELAY_P50})
"""Measures that take a second look at the facts: computed only where they are asked for."""
USUAL = tuple(measure for measure in Measure if measure not in ON_REQUEST)


_FIGURE_NAMES = {
    "pending_micros": "pending_revenue",
    "rejected_micros": "rejected_revenue",
    "expected_micros": "expected_revenue",
}


def _named_terms(terms: str) -> str:
    names = ((sign, _FIGURE_NAMES.get(name, name.removesuffix("_micros"))) for sign, name in signed_names(terms))
    parts = [f"{'-' if sign < 0 else '+'} {name}" for sign, name in names]
    text = " ".join(parts).removeprefix("+ ")
    return f"({text})" if len(parts) > 1 else text


def _total(terms: str, sums: Sums) -> int:
    return sum(sign * getattr(sums, name) for sign, name in signed_names(terms))


@lru_cache
def signed_names(terms: str) -> tuple[tuple[int, str], ...]:
    """Return the names in ``a + b - c``, each with 1 or −1."""
    words = ["+", *terms.split()]
    return tuple((-1 if sign == "-" else 1, name) for sign, name in zip(words[::2], words[1::2], strict=True))


def quotient(dividend: int, divisor: int) -> int | None:
    """Return the quotient rounded half away from zero, or None if the divisor is not positive."""
    if divisor <= 0:
        return None
    magnitude = (2 * abs(dividend) + divisor) // (2 * divisor)
    return magnitude if dividend >= 0 else -magnitude


def relative_change(now: int, before: int) -> int | None:
    """Return a figure's change relative to the previous one, in millionths; None if that was 0."""
    return None if before == 0 else quotient((now - before) * MICROS, abs(before))
