"""The interface of the facts for learning paths: what their landings and offers earned."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from clickloop.learning.evidence import DelayedItem, Delays, ItemCounts, ItemPeriod
from clickloop.setup.learning import ItemKind


class LearningFacts(Protocol):
    """The methods that a learner reads with. Call them from any thread."""

    def counts(
        self, periods: Sequence[ItemPeriod], rates: Mapping[str, int]
    ) -> dict[tuple[int, ItemKind, int], ItemCounts]:
        """Return the sums of the visits of learning paths by path, kind and id; absent without any.

        ``rates``: micros of the wanted currency for 10¹² micros of each currency; payouts in another one count as 0.
        """
        ...

    def delays(self, items: Collection[DelayedItem], since_at: int, percentile: float) -> dict[DelayedItem, Delays]:
        """Return how long the conversions of clicks since then took, by item; absent without any."""
        ...
