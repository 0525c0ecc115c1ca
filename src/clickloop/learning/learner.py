"""Learn the weights of a split from what its items earned. Pure: the moment is passed in, and its minute is the seed."""

from collections.abc import Mapping, Sequence

from clickloop.clock import HOUR_MS
from clickloop.learning.evidence import (
    DelayedItem,
    Delays,
    ItemCounts,
    ItemPeriod,
    LearnedItem,
    LearnedSplit,
    minute_of,
)
from clickloop.learning.maturity import delay_of, learned_from
from clickloop.learning.sampling import Belief, belief_in, interval, prior_of, wins
from clickloop.learning.splits import Split
from clickloop.learning.weights import WHOLE, weights_of
from clickloop.setup.learning import Goal, ItemKind

ItemKey = tuple[int, ItemKind, int]
"""Path, kind and id of a landing or offer."""
DelaysOf = Mapping[DelayedItem, Delays]
MIN_CHANGE = WHOLE * 3 // 100
"""A weight that moved by less is within the chance of the draws; publishing it would only make every edge compile its flows again."""
MAX_AGE_MS = HOUR_MS
"""After this the evidence is stored again although the weights are about the same."""


def delayed_item(split: Split, item_id: int) -> DelayedItem:
    """Return whose delays tell when an item's visits count."""
    return DelayedItem(split.kind, item_id, split.learning.goal is Goal.LANDING_CTR)


def periods_of(split: Split, delays: DelaysOf, now_ms: int) -> list[ItemPeriod]:
    """Return the periods of visits to count, one per item. It is empty where visits count only when the window has passed."""
    since, of_all = now_ms - split.learning.window_hours * HOUR_MS, delays_of(split, delays)
    return [
        ItemPeriod(
            split.path_id,
            split.kind,
            id_,
            split.learning.goal,
            since,
            max(since, now_ms - delay_in(split, id_, of_all)),
        )
        for id_, _ in split.items
    ]


def delays_of(split: Split, delays: DelaysOf) -> DelaysOf:
    """Return the delays of the items of a split alone."""
    wanted = {delayed_item(split, id_) for id_, _ in split.items}
    return {item: found for item, found in delays.items() if item in wanted}


def delay_in(split: Split, item_id: int, of_split: DelaysOf) -> int:
    """Return the age in milliseconds at which an item's visits count. ``of_split``: the delays of the items of the split."""
    return delay_of(split.learning, of_split.get(delayed_item(split, item_id)), of_split.values())


def learn(
    split: Split, counts: Mapping[ItemKey, ItemCounts], delays: DelaysOf, now_ms: int, currency: str
) -> LearnedSplit | None:
    """Return the weights of a split with their evidence; None as long as no visit that counts has reached the goal.

    The weights depend on nothing but the split, the counts and the minute.
    """
    of_items = [counts.get((split.path_id, split.kind, id_), ItemCounts()) for id_, _ in split.items]
    prior = prior_of(of_items)
    if prior is None:
        return None
    beliefs = [belief_in(one, prior, split.learning.goal) for one in of_items]
    weights = weights_of(wins(beliefs, minute_of(now_ms)), split.learning.least_share)
    rows = zip(split.items, of_items, beliefs, weights, strict=True)
    of_split = delays_of(split, delays)
    return LearnedSplit(
        path_id=split.path_id,
        kind=split.kind,
        goal=split.learning.goal,
        window_hours=split.learning.window_hours,
        least_share=split.learning.least_share,
        learned_at=now_ms,
        currency=currency,
        items=tuple(_item(split, item, one, belief, weight, of_split) for item, one, belief, weight in rows),
    )


def _item(
    split: Split, item: tuple[int, int], counts: ItemCounts, belief: Belief, weight: int, of_split: DelaysOf
) -> LearnedItem:
    id_, user_weight = item
    low, high = interval(belief)
    return LearnedItem(
        id=id_,
        weight=weight,
        user_weight=user_weight,
        visits=counts.visits,
        conversions=counts.conversions,
        successes=counts.successes,
        revenue_micros=counts.revenue_micros,
        value=belief.alpha / (belief.alpha + belief.beta) * belief.payout,
        low=low,
        high=high,
        delay_ms=delay_in(split, id_, of_split),
        delay_conversions=learned_from(split.learning, of_split.get(delayed_item(split, id_))),
    )


def frozen_weights(split: Split, kept: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the last weights for the items that a frozen split has today. One that was added since gets the least share."""
    known = dict(kept)
    least = max(split.learning.least_share * WHOLE // 100, 1)
    return tuple((id_, known.get(id_, least)) for id_, _ in split.items)


def is_worth_publishing(before: LearnedSplit | None, after: LearnedSplit) -> bool:
    """Return whether weights differ from the published ones by more than chance, or their evidence is old."""
    if before is None or [item.id for item in before.items] != [item.id for item in after.items]:
        return True
    if (before.goal, before.least_share) != (after.goal, after.least_share):
        return True
    # In another minute the same counts would give other weights by chance alone.
    if [_counted(item) for item in before.items] == [_counted(item) for item in after.items]:
        return False
    moved = max(abs(old.weight - new.weight) for old, new in zip(before.items, after.items, strict=True))
    return moved >= MIN_CHANGE or after.learned_at - before.learned_at >= MAX_AGE_MS


def _counted(item: LearnedItem) -> tuple[int, ...]:
    return item.visits, item.conversions, item.successes, item.revenue_micros
