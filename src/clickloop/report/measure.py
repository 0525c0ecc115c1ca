"""The measures of reports: one row for each, from which its name, label, unit, value and place in an order come.

- A ratio is always computed from sums: that of a total is the ratio of its sums, never a mean of ratios.
- *Conversions* are those that are not rejected: confirmed and pending ones. A network's refusal takes a conversion back.
- *Approval rate* is of all conversions, rejected and pending ones included.
- *Revenue* is confirmed revenue.
"""

import enum
from collections.abc import Mapping
from functools import lru_cache
from typing import Self

import msgspec

from clickloop.money import MICROS


class OtherMoney(msgspec.Struct, frozen=True, kw_only=True):
    """Sums in a currency that no rate is known for: shown apart, converted by nobody's guess."""

    currency: str
    """Empty: a currency that was not understood."""
    cost_micros: int = 0
    revenue_micros: int = 0
    pending_micros: int = 0
    rejected_micros: int = 0


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted. Micros are in the currency of the instance, without what could not be converted."""

    clicks: int = 0
    """Counted: without screened ones and tests."""
    unique_clicks: int = 0
    """Of visitors who came without a cookie of ours."""
    clicks_recorded: int = 0
    """Counted or screened out."""
    confirmed: int = 0
    pending: int = 0
    rejected: int = 0
    cost_micros: int = 0
    revenue_micros: int = 0
    """Of confirmed conversions."""
    pending_micros: int = 0
    rejected_micros: int = 0
    by_status: Mapping[str, int] = {}
    """Conversions by the key of their status; those that were asked for."""
    not_converted: tuple[OtherMoney, ...] = ()
    """By currency."""


class Unit(enum.Enum):
    """The unit of a measure's integer."""

    COUNT = enum.auto()
    SHARE = enum.auto()
    """Millionths of the whole."""
    MONEY = enum.auto()
    """Micros of the instance's currency."""
    MONEY_EACH = enum.auto()
    """The same, of one click: fractions of a cent."""


class Measure(enum.StrEnum):
    """A figure of a report: name, label, unit, and the sums that it is made of, as ``dividend`` ÷ ``divisor``.

    ``dividend`` and ``divisor`` are names of ``Sums``, added or subtracted; an empty ``divisor``: nothing is divided.
    """

    label: str
    unit: Unit
    dividend: str
    divisor: str

    # The defaults are for the type checker: looking a measure up by its name looks like making one.
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
    CONVERSIONS = "conversions", "Conversions", Unit.COUNT, "confirmed + pending"
    CONFIRMED = "confirmed", "Confirmed", Unit.COUNT, "confirmed"
    PENDING = "pending", "Pending", Unit.COUNT, "pending"
    REJECTED = "rejected", "Rejected", Unit.COUNT, "rejected"
    CR = "cr", "CR", Unit.SHARE, "confirmed + pending", "clicks"
    APPROVAL_RATE = "approval_rate", "Approval rate", Unit.SHARE, "confirmed", "confirmed + pending + rejected"
    REVENUE = "revenue", "Revenue", Unit.MONEY, "revenue_micros"
    PENDING_REVENUE = "pending_revenue", "Pending revenue", Unit.MONEY, "pending_micros"
    REJECTED_REVENUE = "rejected_revenue", "Rejected revenue", Unit.MONEY, "rejected_micros"
    AVERAGE_PAYOUT = "average_payout", "Average payout", Unit.MONEY, "revenue_micros", "confirmed"
    COST = "cost", "Cost", Unit.MONEY, "cost_micros"
    PROFIT = "profit", "Profit", Unit.MONEY, "revenue_micros - cost_micros"
    ROI = "roi", "ROI", Unit.SHARE, "revenue_micros - cost_micros", "cost_micros"
    EPC = "epc", "EPC", Unit.MONEY_EACH, "revenue_micros", "clicks"
    CPC = "cpc", "CPC", Unit.MONEY_EACH, "cost_micros", "clicks"

    @property
    def is_share(self) -> bool:
        """True for millionths of a whole."""
        return self.unit is Unit.SHARE

    @property
    def is_money(self) -> bool:
        """True for micros of the instance's currency."""
        return self.unit in (Unit.MONEY, Unit.MONEY_EACH)

    def of(self, sums: Sums) -> int | None:
        """Return the measure's integer for these sums; None: there is nothing to divide by."""
        total = _total(self.dividend, sums)
        if not self.divisor:
            return total
        return quotient(total * MICROS if self.is_share else total, _total(self.divisor, sums))


def _total(terms: str, sums: Sums) -> int:
    return sum(sign * getattr(sums, name) for sign, name in signed_names(terms))


@lru_cache
def signed_names(terms: str) -> tuple[tuple[int, str], ...]:
    """Return the names of sums in ``a + b - c``, each with 1 or −1."""
    words = ["+", *terms.split()]
    return tuple((-1 if sign == "-" else 1, name) for sign, name in zip(words[::2], words[1::2], strict=True))


def quotient(dividend: int, divisor: int) -> int | None:
    """The quotient rounded half up; None for a divisor that is not above zero."""
    return (2 * dividend + divisor) // (2 * divisor) if divisor > 0 else None


def change(now: int, before: int) -> int | None:
    """By how much a figure grew against the one before, in millionths; None when there was nothing before."""
    return None if before == 0 else quotient((now - before) * MICROS, abs(before))
