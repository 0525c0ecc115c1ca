"""The weights in force on paths that learn, and what they rest on."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.clock import iso_text
from clickloop.explained import Explained
from clickloop.learning.evidence import LearnedItem, LearnedSplit
from clickloop.learning.sentences import age_text, evidence_sentence, weight_text
from clickloop.learning.splits import obstacle_of
from clickloop.money import amount_text
from clickloop.setup.flow import Path
from clickloop.setup.learning import Goal, ItemKind
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.learned_weights import SplitKey, latest_learned
from clickloop.store.ledger.setup.flows import find_path
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.store.ledger.setup.routing_states import latest_routing_state
from clickloop.text import readable


class LearningProgress(Explained):
    """How far a path has come with learning."""

    OFF = "off", "The path does not learn: the weights are yours."
    LEARNED = "learned", "The weights follow what each landing or offer earned."
    FROZEN = "frozen", "The weights are frozen: they stay as they are."
    WAITING = "waiting", "No visit that counts has reached the goal yet, so your weights are used."
    CANNOT = "cannot", "The path cannot learn."


class LearnedItemView(msgspec.Struct, kw_only=True):
    """A landing or offer with its weight, and what the weight rests on."""

    id: int
    name: str
    weight: Annotated[int, Meta(description="Its weight of 1,000 in force now.", examples=[612])]
    user_weight: Annotated[int, Meta(description="The weight that the user set when this was learned.")]
    visits: Annotated[int, Meta(description="Visits old enough to count.", examples=[1920])]
    conversions: Annotated[
        int, Meta(description="Their conversions, pending ones included; for the goal landing_ctr, landing clicks.")
    ]
    revenue: Annotated[str, Meta(description="Their payouts, pending ones included, as a decimal.", examples=["922.5"])]
    value: Annotated[float, Meta(description="The goal per visit: an amount, or a share of visits.")]
    low: Annotated[float, Meta(description="Lower end of its 95% interval.")]
    high: Annotated[float, Meta(description="Upper end of its 95% interval.")]
    age_seconds: Annotated[int, Meta(description="Age at which visits count.")]
    percent: Annotated[str, Meta(examples=["61.2%"])]
    evidence: Annotated[str, Meta(description="All this in words.")]
    age: Annotated[str, Meta(description="The age in words, and what it was learned from.")]


class LearnedSplitView(msgspec.Struct, kw_only=True):
    """The learned weights of a path's landings or of its offers."""

    kind: ItemKind
    goal: Goal
    window_hours: int
    least_share: Annotated[int, Meta(description="In percent.")]
    learned_at: Annotated[str, Meta(description="ISO 8601. Its minute is the seed of the draws.")]
    currency: str
    items: list[LearnedItemView]


class PathWeightsView(msgspec.Struct, kw_only=True):
    """The learned weights of a path."""

    path_id: int
    state: LearningProgress
    sentence: Annotated[str, Meta(description="What the state means, and why a path cannot learn.")]
    splits: Annotated[list[LearnedSplitView], Meta(description="Empty while the user's weights are in force.")]


def find_path_weights(ledger: Ledger, path_id: int) -> PathWeightsView | None:
    """Return the learned weights of a path, or None if no flow has it today."""
    with ledger.read() as tx:
        path = find_path(tx, path_id)
        return None if path is None else weights_of_paths(tx, [path])[path_id]


def weights_of_paths(tx: Connection, paths: Iterable[Path]) -> dict[int, PathWeightsView]:
    """Return the learned weights of paths, by id."""
    paths = list(paths)
    learned = latest_learned(tx, [path.id for path in paths if path.learning is not None])
    state = latest_routing_state(tx)
    in_force = {(one.path_id, one.kind): dict(one.weights) for one in state.learned}
    names = _names(tx, learned.values())
    return {path.id: _path_view(path, learned, in_force, names) for path in paths}


def _names(tx: Connection, splits: Iterable[LearnedSplit]) -> dict[ItemKind, dict[int, str]]:
    splits = list(splits)
    return {
        kind: names_of(tx, record, {item.id for split in splits if split.kind is kind for item in split.items})
        for kind, record in ((ItemKind.OFFERS, RecordKind.OFFER), (ItemKind.LANDINGS, RecordKind.LANDING))
    }


def _path_view(
    path: Path,
    learned: Mapping[SplitKey, LearnedSplit],
    in_force: Mapping[SplitKey, Mapping[int, int]],
    names: Mapping[ItemKind, Mapping[int, str]],
) -> PathWeightsView:
    splits = [
        _split_view(learned[path.id, kind], in_force[path.id, kind], names[kind])
        for kind in ItemKind
        if path.learning is not None and (path.id, kind) in learned and (path.id, kind) in in_force
    ]
    obstacle = obstacle_of(path)
    if path.learning is None:
        progress = LearningProgress.OFF
    elif obstacle is not None:
        progress = LearningProgress.CANNOT
    elif path.learning.frozen:
        progress = LearningProgress.FROZEN
    else:
        progress = LearningProgress.LEARNED if splits else LearningProgress.WAITING
    return PathWeightsView(
        path_id=path.id,
        state=progress,
        sentence=progress.sentence if obstacle is None else obstacle.sentence,
        splits=[] if obstacle is not None else splits,
    )


def _split_view(split: LearnedSplit, in_force: Mapping[int, int], names: Mapping[int, str]) -> LearnedSplitView:
    return LearnedSplitView(
        kind=split.kind,
        goal=split.goal,
        window_hours=split.window_hours,
        least_share=split.least_share,
        learned_at=iso_text(split.learned_at),
        currency=split.currency,
        items=[
            _item_view(
                split, item, in_force[item.id], readable(names.get(item.id, "")) or f"{split.kind.noun} {item.id}"
            )
            for item in split.items
            if item.id in in_force
        ],
    )


def _item_view(split: LearnedSplit, item: LearnedItem, weight: int, name: str) -> LearnedItemView:
    return LearnedItemView(
        id=item.id,
        name=name,
        weight=weight,
        user_weight=item.user_weight,
        visits=item.visits,
        conversions=item.conversions,
        revenue=amount_text(item.revenue_micros),
        value=item.value,
        low=item.low,
        high=item.high,
        age_seconds=item.delay_ms // 1000,
        percent=weight_text(weight),
        evidence=evidence_sentence(split, item),
        age=age_text(item),
    )
