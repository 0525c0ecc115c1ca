"""Ratios, always computed from sums: the ratio of a total is that of its sums, never a mean of ratios. Integers, rounded half up.

- *Conversions* are those that are not rejected: confirmed and pending ones. A network's refusal takes a conversion back.
- *CR* = conversions ÷ clicks. *Approval rate* = confirmed ÷ all, rejected and pending ones included.
- *Revenue* is confirmed revenue. *Profit* = revenue − cost, *ROI* = profit ÷ cost, *EPC* = revenue ÷ clicks, *CPC* = cost ÷ clicks.
- *Average payout* = revenue ÷ confirmed conversions.
"""

import msgspec

from clickloop.money import MICROS
from clickloop.report.query import Sums


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from sums. A share is in millionths (1,000,000: all); None: there is nothing to divide by."""

    conversions: int
    profit_micros: int
    cr: int | None
    approval_rate: int | None
    roi: int | None
    epc_micros: int | None
    cpc_micros: int | None
    average_payout_micros: int | None


def metrics_of(sums: Sums) -> Metrics:
    """The ratios of these sums."""
    conversions = sums.confirmed + sums.pending
    profit_micros = sums.revenue_micros - sums.cost_micros
    return Metrics(
        conversions=conversions,
        profit_micros=profit_micros,
        cr=share(conversions, sums.clicks),
        approval_rate=share(sums.confirmed, conversions + sums.rejected),
        roi=share(profit_micros, sums.cost_micros),
        epc_micros=quotient(sums.revenue_micros, sums.clicks),
        cpc_micros=quotient(sums.cost_micros, sums.clicks),
        average_payout_micros=quotient(sums.revenue_micros, sums.confirmed),
    )


def share(part: int, whole: int) -> int | None:
    """The part of the whole in millionths; None of a whole that is not above zero."""
    return quotient(part * MICROS, whole)


def quotient(dividend: int, divisor: int) -> int | None:
    """The quotient rounded half up; None for a divisor that is not above zero."""
    return (2 * dividend + divisor) // (2 * divisor) if divisor > 0 else None


def change(now: int, before: int) -> int | None:
    """By how much a figure grew against the one before, in millionths; None when there was nothing before."""
    return None if before == 0 else quotient((now - before) * MICROS, abs(before))
