"""The worker that learns the weights of paths: each minute it counts, decides, stores the evidence, and publishes."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from clickloop.clock import DAY_MS, Clock
from clickloop.learning.evidence import ItemCounts, LearnedSplit
from clickloop.learning.learner import (
    DelaysOf,
    ItemKey,
    delayed_item,
    frozen_weights,
    is_worth_publishing,
    learn,
    periods_of,
)
from clickloop.learning.maturity import DELAY_DAYS, PERCENTILE
from clickloop.learning.splits import Split, splits_of_flows
from clickloop.report.rate_text import E12
from clickloop.setup.flow import FlowParts, FlowReferences, references_of
from clickloop.setup.learning import ItemKind
from clickloop.setup.routing_state import LearnedWeights
from clickloop.store.facts.facts import FactsReader
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.learned_weights import SplitKey, delete_learned, insert_learned, latest_learned
from clickloop.store.ledger.setup.flows import learning_flows
from clickloop.store.ledger.setup.live import live_ids
from clickloop.store.ledger.setup.rates import latest_rates
from clickloop.tracking.routing_states import RoutingStates

KEEP_DAYS = 30
"""Days that superseded weights and their evidence are kept for explained routes."""


class LearningSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger knows of learning paths. ``rates``: trillionths of the instance's currency by currency."""

    splits: Sequence[Split]
    rates: Mapping[str, int]
    kept: Mapping[SplitKey, LearnedSplit]
    """The newest weights that are stored."""


class PathLearner:
    """Learns the weights of all paths that have ``learning``. Call ``step`` from one thread."""

    def __init__(
        self, ledger: Ledger, facts: FactsReader, states: RoutingStates, currency: Callable[[], str], clock: Clock
    ) -> None:
        """``currency``: returns that of the instance, in which payouts are compared."""
        self._ledger = ledger
        self._facts = facts
        self._states = states
        self._currency = currency
        self._clock = clock

    def step(self) -> bool:
        """Learn once. Return False: there is no more to do until the next minute. Errors of the stores propagate: call again."""
        now_ms, currency = self._clock(), self._currency()
        setup = read_learning_setup(self._ledger, currency, now_ms)
        # Without learning paths this is all: no facts are read.
        learned = self._learned(setup, currency, now_ms) if setup.splits else []
        fresh = [split for split in learned if split.learned_at == now_ms]
        if fresh:
            # First: the editor explains weights that are in force, and after a crash in between they are published again.
            with self._ledger.write() as tx:
                for split in fresh:
                    insert_learned(tx, split)
                delete_learned(tx, now_ms - KEEP_DAYS * DAY_MS)
        by_key = {(split.path_id, split.kind): split for split in learned}
        weights = (self._weights(split, by_key.get((split.path_id, split.kind))) for split in setup.splits)
        self._states.set_learned(tuple(one for one in weights if one is not None))
        return False

    def _learned(self, setup: LearningSetup, currency: str, now_ms: int) -> list[LearnedSplit]:
        """Return the weights of the splits as they are to be published; none of a split without evidence."""
        learning = [split for split in setup.splits if not split.learning.frozen]
        found = [
            before
            for split in setup.splits
            if split.learning.frozen and (before := setup.kept.get((split.path_id, split.kind))) is not None
        ]
        delays, counts = count_splits(self._facts, learning, setup.rates, now_ms)
        for split in learning:
            before = setup.kept.get((split.path_id, split.kind))
            after = learn(split, counts, delays, now_ms, currency)
            if after is None:
                continue
            found.append(after if before is None or is_worth_publishing(before, after) else before)
        return found

    @staticmethod
    def _weights(split: Split, learned: LearnedSplit | None) -> LearnedWeights | None:
        if learned is None:
            return None
        return LearnedWeights(split.path_id, split.kind, frozen_weights(split, learned.weights()))


def read_learning_setup(ledger: Ledger, currency: str, now_ms: int) -> LearningSetup:
    """Return the learning paths of live flows, with what can be served now."""
    with ledger.read() as tx:
        flows = learning_flows(tx)
        named = _named_in(flows)
        live = {
            ItemKind.OFFERS: live_ids(tx, "offers", named.offers),
            ItemKind.LANDINGS: live_ids(tx, "landings", named.landings),
        }
        splits = splits_of_flows(flows, lambda kind, id_: id_ in live[kind])
        if not splits:
            return LearningSetup(splits=(), rates={}, kept={})
        rates = {**latest_rates(tx, currency, now_ms // DAY_MS), currency: E12}
        kept = latest_learned(tx, {split.path_id for split in splits})
    return LearningSetup(splits=splits, rates=rates, kept=kept)


def count_splits(
    facts: FactsReader, splits: Sequence[Split], rates: Mapping[str, int], now_ms: int
) -> tuple[DelaysOf, Mapping[ItemKey, ItemCounts]]:
    """Return how long the items' conversions take, and the sums of their matured visits."""
    items = {
        delayed_item(split, id_) for split in splits if split.learning.delay_hours is None for id_, _ in split.items
    }
    delays = facts.learning.delays(items, now_ms - DELAY_DAYS * DAY_MS, PERCENTILE)
    periods = [period for split in splits for period in periods_of(split, delays, now_ms)]
    return delays, facts.learning.counts(periods, rates)


def _named_in(flows: Sequence[FlowParts]) -> FlowReferences:
    named = FlowReferences()
    for parts in flows:
        named = named | references_of(parts)
    return named
