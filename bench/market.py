"""A simulated market for the learner: offers with known rates, visits over days, and conversions hours later."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from clickloop.clock import HOUR_MS, MINUTE_MS
from clickloop.learning.evidence import DelayedItem, Delays, ItemCounts, ItemPeriod, LearnedSplit
from clickloop.learning.learner import ItemKey, delayed_item, learn, periods_of
from clickloop.learning.maturity import PERCENTILE
from clickloop.learning.splits import Split
from clickloop.setup.learning import Goal, ItemKind, Learning

START = 1_760_000_040_000
DELAY_SIGMA = 1.0
"""Of the logarithm of delays: one in five takes more than twice as long as the median."""


class TrueOffer(msgspec.Struct, frozen=True):
    """An offer as only the simulation knows it. ``payout`` in dollars varies by half in both directions."""

    id: int
    rate: float
    payout: float
    delay_hours: float = 2.0
    """Median of the time from a visit to its conversion."""

    @property
    def value(self) -> float:
        """Return the expected revenue per visit."""
        return self.rate * self.payout


FIVE_OFFERS = (
    TrueOffer(1, 0.015, 8),
    TrueOffer(2, 0.020, 8),
    TrueOffer(3, 0.024, 8, delay_hours=4),
    TrueOffer(4, 0.012, 14),
    TrueOffer(5, 0.030, 8, delay_hours=3),
)
"""From 0.12 to 0.24 dollars a visit. The one that pays most per conversion is not the best."""


CLOSE_OFFERS = (
    TrueOffer(1, 0.024, 8),
    TrueOffer(2, 0.026, 8),
    TrueOffer(3, 0.027, 8, delay_hours=4),
    TrueOffer(4, 0.016, 14),
    TrueOffer(5, 0.030, 8, delay_hours=3),
)
"""From 0.19 to 0.24 dollars a visit: hard to tell apart, and little is lost by mistaking one for another."""
SLOW_OFFERS = (
    TrueOffer(1, 0.015, 8),
    TrueOffer(2, 0.020, 8, delay_hours=12),
    TrueOffer(3, 0.024, 8, delay_hours=4),
    TrueOffer(4, 0.012, 14, delay_hours=1),
    TrueOffer(5, 0.030, 8, delay_hours=12),
)
"""The best one's conversions take a day, others' an hour."""


class Visit(msgspec.Struct, frozen=True):
    """A visit. ``converts_at`` 0: never."""

    at: int
    converts_at: int = 0
    payout: float = 0.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation came to. Values are expected dollars by the true rates, so that luck has no part in them."""

    learned: float
    even: float
    best: float
    second_half: float
    """Share of the best offer's revenue that was earned over the second half of the visits."""
    lowest_share: float
    """Lowest share of the visits that an offer was given by learned weights."""
    splits: int


class Market:
    """The visits of each offer, from which counts and delays are taken as the facts take them."""

    def __init__(self, offers: Sequence[TrueOffer], seed: int) -> None:
        self.chance = Random(seed)
        self.offers = {offer.id: offer for offer in offers}
        self.visits: dict[int, list[Visit]] = {offer.id: [] for offer in offers}

    def visit(self, offer_id: int, at: int) -> None:
        """Send a visitor to an offer."""
        offer, chance = self.offers[offer_id], self.chance
        if chance.random() >= offer.rate:
            self.visits[offer_id].append(Visit(at))
            return
        hours = offer.delay_hours * math.exp(chance.gauss(0, DELAY_SIGMA))
        self.visits[offer_id].append(Visit(at, at + int(hours * HOUR_MS), offer.payout * chance.uniform(0.5, 1.5)))

    def delays(self, split: Split, now_ms: int) -> dict[DelayedItem, Delays]:
        """Return how long the conversions took that have come by now."""
        found = {}
        for id_, visits in self.visits.items():
            seen = sorted(one.converts_at - one.at for one in visits if 0 < one.converts_at <= now_ms)
            if seen:
                place = math.ceil(PERCENTILE * len(seen)) - 1
                found[delayed_item(split, id_)] = Delays(len(seen), seen[place])
        return found

    def counts(self, period: ItemPeriod, now_ms: int) -> ItemCounts:
        """Return the sums of an item's visits in a period, with the conversions that have come by now."""
        visits = self.visits[period.item_id]
        within = visits[
            bisect_left(visits, period.since_at, key=lambda one: one.at) : bisect_left(
                visits, period.until_at, key=lambda one: one.at
            )
        ]
        paid = [one.payout for one in within if 0 < one.converts_at <= now_ms]
        return ItemCounts(
            visits=len(within),
            conversions=len(paid),
            successes=len(paid),
            revenue_micros=int(sum(paid) * 1_000_000),
            revenue_squares=sum(one * one for one in paid),
        )


def simulate(
    offers: Sequence[TrueOffer],
    *,
    visits: int,
    days: int,
    learn_every_minutes: int,
    seed: int = 1,
    learning: Learning | None = None,
    on_learned: Callable[[LearnedSplit], None] = lambda _split: None,
) -> Outcome:
    """Send visits to offers by weights that are learned as time passes, beginning with an even split."""
    learning = learning or Learning(goal=Goal.REVENUE_PER_VISIT)
    split = Split(path_id=1, kind=ItemKind.OFFERS, learning=learning, items=tuple((one.id, 100) for one in offers))
    market = Market(offers, seed)
    best = max(one.value for one in offers)
    even = sum(one.value for one in offers) / len(offers)
    values = {one.id: one.value for one in offers}
    weights = {one.id: 100 for one in offers}
    earned, lowest, splits = [0.0, 0.0], 1.0, 0
    per_step = visits * learn_every_minutes / (days * 24 * 60)
    sent, now_ms = 0, START
    while sent < visits:
        delays = market.delays(split, now_ms)
        counts: dict[ItemKey, ItemCounts] = {
            (one.path_id, one.kind, one.item_id): market.counts(one, now_ms)
            for one in periods_of(split, delays, now_ms)
        }
        learned = learn(split, counts, delays, now_ms, "USD")
        if learned is not None:
            weights, splits = dict(learned.weights()), splits + 1
            lowest = min(lowest, min(weights.values()) / sum(weights.values()))
            on_learned(learned)
        due = min(visits, round(per_step * ((now_ms - START) // (learn_every_minutes * MINUTE_MS) + 1)))
        for offer_id in market.chance.choices(list(weights), list(weights.values()), k=due - sent):
            earned[sent * 2 >= visits] += values[offer_id]
            market.visit(offer_id, now_ms)
            sent += 1
        now_ms += learn_every_minutes * MINUTE_MS
    return Outcome(
        learned=sum(earned),
        even=even * visits,
        best=best * visits,
        second_half=earned[1] / (best * (visits - visits // 2)),
        lowest_share=lowest,
        splits=splits,
    )
