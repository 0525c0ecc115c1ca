"""What is counted of a learning path's landings and offers, and the evidence that is kept with each weight. Records only."""

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from clickloop.setup.learning import Goal, ItemKind


class ItemPeriod(msgspec.Struct, frozen=True):
    """A landing or offer of a path, and the visits that count: those from ``since_at`` to before ``until_at``."""

    path_id: int
    kind: ItemKind
    item_id: int
    goal: Goal
    since_at: int
    """Unix milliseconds."""
    until_at: int
    """Younger visits may still convert."""


class ItemCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of an item's matured visits. A visit is a click, or for an offer behind a landing a landing click that led to it."""

    visits: int = 0
    conversions: int = 0
    """Confirmed and pending ones; for the goal landing CTR, landing clicks."""
    successes: int = 0
    """Visits with at least one conversion; for the goal landing CTR, with a landing click."""
    revenue_micros: int = 0
    """Payouts of confirmed and pending conversions in the instance's currency."""
    revenue_squares: float = 0.0
    """Sum over visits of the square of their payouts, in units of the currency: how much payouts vary."""


class DelayedItem(NamedTuple):
    """A landing or offer whose delays are learned. ``by_landing_click``: how long its landing clicks take, not its conversions."""

    kind: ItemKind
    item_id: int
    by_landing_click: bool


class Delays(msgspec.Struct, frozen=True):
    """How long an item's conversions (or landing clicks) took. ``delay_ms``: four of five took no longer."""

    count: int
    delay_ms: int


class LearnedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A landing or offer of a learning path, its weight, and what the weight rests on."""

    id: int
    weight: Annotated[int, Meta(description="Its weight of 1,000.", examples=[612])]
    user_weight: Annotated[int, Meta(description="The weight that the user set.")]
    visits: Annotated[int, Meta(description="Visits old enough to count.", examples=[1920])]
    conversions: Annotated[
        int,
        Meta(
            description="Their conversions, pending ones included; for the goal landing_ctr, their landing clicks.",
            examples=[41],
        ),
    ]
    successes: Annotated[int, Meta(description="Visits with at least one of them.")]
    revenue_micros: Annotated[
        int, Meta(description="Their payouts in the instance's currency, pending ones included, in millionths.")
    ]
    value: Annotated[
        float,
        Meta(description="The goal per visit: a share of visits, or an amount in the instance's currency."),
    ]
    low: Annotated[float, Meta(description="Lower end of the 95% interval of the goal per visit.")]
    high: Annotated[float, Meta(description="Upper end of that interval.")]
    delay_ms: Annotated[int, Meta(description="Age in milliseconds at which its visits count.")]
    delay_conversions: Annotated[
        int,
        Meta(
            description="Its own conversions that this age was learned from; 0: it was set, or is that of the other items, or the default."
        ),
    ]


class LearnedSplit(msgspec.Struct, frozen=True, kw_only=True):
    """The learned weights of a path's landings or offers, with their evidence. ``learned_at``: Unix milliseconds, the seed's minute."""

    path_id: int
    kind: ItemKind
    goal: Goal
    window_hours: int
    least_share: int
    learned_at: int
    currency: str
    items: tuple[LearnedItem, ...]

    @property
    def seed(self) -> int:
        """Return the seed of the draws: the minute."""
        return minute_of(self.learned_at)

    def weights(self) -> tuple[tuple[int, int], ...]:
        """Return pairs of id and weight."""
        return tuple((item.id, item.weight) for item in self.items)


def minute_of(moment: int) -> int:
    """Return the minute of a moment in Unix milliseconds, counted from 1970."""
    return moment // 60_000
