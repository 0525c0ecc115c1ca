"""Explain how a flow's choices depended on the visitor's previous visits. Pure."""

from collections.abc import Callable
from typing import TypeVar

from clickloop.click.routing.flow import Weighted, left_for
from clickloop.click.routing.recall import LANDING_CHOICE, OFFER_CHOICE, PATH_CHOICE, Recall, RecallEffect
from clickloop.diagnosis.route.explained import ClosedReason, ExplainedRecall, RecallPart
from clickloop.setup.flow import PathTarget

ItemKey = tuple[PathTarget, int]
"""A destination: its kind, LANDING_AND_OFFER for a landing, and its id."""
Item = TypeVar("Item")

_PARTS = {PATH_CHOICE: RecallPart.PATH, LANDING_CHOICE: RecallPart.LANDING, OFFER_CHOICE: RecallPart.OFFER}
_LEFT_OUT = {RecallEffect.SAME: ClosedReason.OTHER_AGAIN, RecallEffect.UNSEEN: ClosedReason.SEEN}


def key_id(key: ItemKey) -> int:
    """Return the id of a landing or offer."""
    return key[1]


def left_of(
    items: Weighted[Item], id_of: Callable[[Item], int], recall: Recall[ItemKey] | None, choice: int
) -> tuple[Weighted[Item], ClosedReason | None]:
    """Return what is left for a visitor of what is served, and the reason why the rest is not."""
    if recall is None:
        return items, None
    left, effect = left_for(items, id_of, recall, choice)
    return left, None if effect is None else _LEFT_OUT.get(effect)


def explained_recall(
    items: Weighted[Item],
    id_of: Callable[[Item], int],
    recall: Recall[ItemKey] | None,
    choice: int,
    names: Callable[[int], str],
    chosen_id: int | None,
) -> tuple[ExplainedRecall, ...]:
    """Return how a choice among what is served depended on the visitor's previous visits; nothing if it did not."""
    if recall is None:
        return ()
    left, effect = left_for(items, id_of, recall, choice)
    if effect is None:
        return ()
    remaining = {id_of(item) for item in left.items}
    seen = [id_of(item) for item in items.items if id_of(item) not in remaining]
    return (
        ExplainedRecall(
            part=_PARTS[choice],
            effect=effect,
            chosen=names(chosen_id) if chosen_id else "",
            seen=tuple(map(names, seen)) if effect is RecallEffect.UNSEEN else (),
        ),
    )
