"""The verdict on a row of a report: how likely it misses its target, how many clicks would settle it, and the money at stake. Pure.

The conversion rate of a row is uncertain, its payout is taken as seen: with Jeffreys' prior the rate of ``conversions`` among ``clicks``
has the distribution Beta(conversions + ½, clicks − conversions + ½). The target turns into a rate that the row must reach. Floats
decide probabilities only, never an amount.
"""

import math

import msgspec

from clickloop.money import MICROS, Amount, read_amount

MAX_ROI = 1_000 * MICROS
"""The highest return on investment of a target, in millionths: 100,000 %."""
CONFIDENCE = 0.95
"""A verdict is certain if the probability of missing, or of meeting, reaches this."""
MAX_CLICKS_NEEDED = 10_000_000
_PRIOR = 0.5
_ITERATIONS = 300
_TINY = 1e-300
_PRECISION = 1e-12


class Target(msgspec.Struct, frozen=True):
    """A target: the least return on investment in millionths (0: break even), or the highest cost per conversion in micros."""

    roi: int | None = None
    cpa_micros: int | None = None


def read_target(text: str) -> Target | None:
    """Return the target of a text: ``roi:20`` in percent or ``cpa:3.50`` in the instance's currency; None if it is neither."""
    kind, _, number = text.partition(":")
    amount = read_amount(number.strip().removesuffix("%") if kind == "roi" else number)
    if not isinstance(amount, Amount) or amount.currency:
        return None
    match kind:
        case "roi" if -MICROS < amount.micros // 100 <= MAX_ROI:
            return Target(roi=amount.micros // 100)
        case "cpa" if amount.micros > 0:
            return Target(cpa_micros=amount.micros)
    return None


class MaturedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a row over clicks that are old enough to have converted. Micros are in one currency."""

    clicks: int
    conversions: int
    cost_micros: int
    revenue_micros: int
    typical_payout_micros: int = 0
    """Payout of a conversion elsewhere in the report, for a row that has none; 0 if unknown."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict. ``misses``: probability that the row misses its target."""

    misses: float
    clicks_needed: int | None
    """Further clicks until it is certain, if they convert as before; 0: it is. None: more than ``MAX_CLICKS_NEEDED``."""
    at_stake_micros: int
    """The cost above what the target allows for its revenue or conversions so far; 0 if it meets the target."""

    @property
    def is_certain(self) -> bool:
        """Return whether the row certainly misses or certainly meets its target."""
        return self.clicks_needed == 0


def verdict(row: MaturedRow, target: Target) -> Verdict | None:
    """Return the verdict on a row, or None if it has no clicks or no cost, or no payout is known for the target."""
    needed_rate = _rate_needed(row, target)
    if needed_rate is None:
        return None
    misses = _misses(row.conversions, row.clicks, needed_rate)
    return Verdict(
        misses=misses, clicks_needed=_clicks_needed(row, needed_rate), at_stake_micros=_at_stake(row, target)
    )


def _rate_needed(row: MaturedRow, target: Target) -> float | None:
    """Return the conversion rate at which a row meets the target exactly."""
    if row.clicks <= 0 or row.cost_micros <= 0:
        return None
    cpc = row.cost_micros / row.clicks
    if target.cpa_micros is not None:
        return cpc / target.cpa_micros if target.cpa_micros > 0 else None
    payout = row.revenue_micros / row.conversions if row.conversions > 0 else row.typical_payout_micros
    return cpc * (1 + (target.roi or 0) / 1_000_000) / payout if payout > 0 else None


def _misses(conversions: float, clicks: float, rate: float) -> float:
    return beta_distribution(min(rate, 1.0), conversions + _PRIOR, max(clicks - conversions, 0) + _PRIOR)


def _clicks_needed(row: MaturedRow, rate: float) -> int | None:
    """Return how many further clicks make the verdict certain, by doubling and then halving the interval."""

    def is_certain(further: int) -> bool:
        clicks = row.clicks + further
        misses = _misses(row.conversions * clicks / row.clicks, clicks, rate)
        return misses >= CONFIDENCE or misses <= 1 - CONFIDENCE

    if is_certain(0):
        return 0
    low, high = 0, max(row.clicks, 1)
    while not is_certain(high):
        low, high = high, high * 2
        if high > MAX_CLICKS_NEEDED:
            return None
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if is_certain(middle) else (middle, high)
    return high


def _at_stake(row: MaturedRow, target: Target) -> int:
    if target.cpa_micros is not None:
        allowed = row.conversions * target.cpa_micros
    else:
        allowed = row.revenue_micros * 1_000_000 // max(1_000_000 + (target.roi or 0), 1)
    return max(row.cost_micros - allowed, 0)


def beta_distribution(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function: the probability that a value of Beta(a, b) is at most x.

    By its continued fraction (NIST Digital Library of Mathematical Functions, 8.17.22) with Lentz's method.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    # The fraction converges fast on one side of the mean only.
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_distribution(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return min(math.exp(log_front) * _fraction(x, a, b) / a, 1.0)


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _ITERATIONS + 1):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            result *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return result


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
