"""Thompson sampling: how often each item has the highest value among draws from what is known of it. Pure.

Russo, Van Roy, Kazerouni, Osband and Wen: A Tutorial on Thompson Sampling, 2018.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from random import Random

import msgspec

from clickloop.learning.evidence import ItemCounts
from clickloop.setup.learning import Goal

MAX_DRAWS = 4_000
"""Draws per item: a share of them is exact to about one percent."""
MIN_DRAWS = 200
MAX_ALL_DRAWS = 50_000
"""Draws of all items of a path together, some 0.2 s of the core."""
MICROS = 1_000_000


class Prior(msgspec.Struct, frozen=True):
    """What is assumed of an item before its first visit: one success at the path's average rate, and the average payout."""

    rate: float
    payout: float
    """Mean payout of a converting visit, in units of the currency."""
    variance: float
    """Of those payouts."""


class Belief(msgspec.Struct, frozen=True):
    """What is known of an item: the Beta distribution of its rate, and mean and variance of the estimate of its mean payout."""

    alpha: float
    beta: float
    payout: float
    payout_variance: float

    def draw(self, chance: Random) -> float:
        """Return a value per visit that is as probable as what is known of the item makes it."""
        rate = chance.betavariate(self.alpha, self.beta)
        if self.payout_variance <= 0:
            return rate * self.payout
        # The distribution of a mean over resampled payouts, as a bootstrap gives it. Gamma, since no payout is negative.
        scale = self.payout_variance / self.payout
        return rate * chance.gammavariate(self.payout / scale, scale)


def prior_of(counts: Sequence[ItemCounts]) -> Prior | None:
    """Return what the items of a path have in common; None as long as none of them had a success."""
    visits, successes = sum(one.visits for one in counts), sum(one.successes for one in counts)
    if not visits or not successes:
        return None
    payout = max(0.0, sum(one.revenue_micros for one in counts) / MICROS / successes)
    variance = max(0.0, sum(one.revenue_squares for one in counts) / successes - payout * payout)
    return Prior(min(successes / visits, 1.0), payout, variance)


def belief_in(counts: ItemCounts, prior: Prior, goal: Goal) -> Belief:
    """Return what is known of an item."""
    # One success at the average rate: what has had no visit yet is tried like an average item, and soon outweighed by its own.
    alpha = 1 + counts.successes
    beta = max(1 / prior.rate - 1, 0.0) + max(counts.visits - counts.successes, 0)
    if goal is not Goal.REVENUE_PER_VISIT:
        return Belief(alpha, beta or 1e-6, 1.0, 0.0)
    known = 1 + counts.successes
    payout = max(0.0, (prior.payout + counts.revenue_micros / MICROS) / known)
    squares = prior.variance + prior.payout * prior.payout + counts.revenue_squares
    variance = max(0.0, squares / known - payout * payout)
    return Belief(alpha, beta or 1e-6, payout, variance / (known + 1) if payout else 0.0)


def draws_for(items: int) -> int:
    """Return the number of draws per item."""
    return max(MIN_DRAWS, min(MAX_DRAWS, MAX_ALL_DRAWS // max(items, 1)))


def wins(beliefs: Sequence[Belief], seed: int) -> list[int]:
    """Return how many of the draws each item wins. The same beliefs and seed give the same answer on every machine."""
    chance = Random(seed)
    draw_one: list[Callable[[Random], float]] = [belief.draw for belief in beliefs]
    won = [0] * len(beliefs)
    for _ in range(draws_for(len(beliefs))):
        values = [draw(chance) for draw in draw_one]
        won[values.index(max(values))] += 1
    return won


def interval(belief: Belief) -> tuple[float, float]:
    """Return a 95% interval of the value per visit, by the normal approximation of the product of rate and mean payout."""
    total = belief.alpha + belief.beta
    rate = belief.alpha / total
    rate_variance = rate * (1 - rate) / (total + 1)
    value = rate * belief.payout
    variance = (
        rate_variance * belief.payout * belief.payout
        + rate * rate * belief.payout_variance
        + rate_variance * belief.payout_variance
    )
    reach = 1.96 * sqrt(variance)
    return max(0.0, value - reach), value + reach
