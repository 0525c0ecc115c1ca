"""The splits of a flow that learn: which paths, which of their landings or offers, and why one cannot learn. Pure."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from clickloop.explained import Explained
from clickloop.setup.flow import FlowParts, Path, PathTarget
from clickloop.setup.learning import Goal, ItemKind, Learning

IsServed = Callable[[ItemKind, int], bool]
"""Returns whether a landing or offer can get visitors."""


class LearningObstacle(Explained):
    """A reason why a path cannot learn."""

    ONE_ITEM = "one_item", "The path has only one landing or offer to choose from, so there is nothing to learn."
    ONE_LANDING = "one_landing", "The goal is landing CTR, but the path has only one landing."
    NO_LANDINGS = "no_landings", "The goal is landing CTR, but the path has no landings."
    NO_CHOICE = "no_choice", "The path leads to a URL, a campaign or a 404 page, so there is nothing to choose from."
    WINDOW_TOO_SHORT = (
        "window_too_short",
        "Visits count only when they are older than the window, so none ever counts.",
    )
    NO_CONVERSIONS = "no_conversions", "No visit that counts has reached the goal, so your weights are used."


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The landings or offers of a path among which weights are learned: pairs of id and the user's weight."""

    path_id: int
    kind: ItemKind
    learning: Learning
    items: tuple[tuple[int, int], ...]


def splits_of(path: Path, is_served: IsServed) -> Iterator[Split]:
    """Yield what a path learns. Items of weight 0 and those that cannot be served are out, and one alone gets everybody."""
    learning = path.learning
    if learning is None or obstacle_of(path) is not None:
        return
    for kind, shares in _kinds(path, learning):
        items = tuple((id_, weight) for id_, weight in shares if weight > 0 and is_served(kind, id_))
        if len(items) > 1:
            yield Split(path_id=path.id, kind=kind, learning=learning, items=items)


def obstacle_of(path: Path) -> LearningObstacle | None:
    """Return why a learning path cannot learn by its set-up alone, or None."""
    learning = path.learning
    if learning is None:
        return None
    if path.target not in (PathTarget.OFFER, PathTarget.LANDING_AND_OFFER):
        return LearningObstacle.NO_CHOICE
    if learning.goal is Goal.LANDING_CTR and path.target is not PathTarget.LANDING_AND_OFFER:
        return LearningObstacle.NO_LANDINGS
    if learning.delay_hours is not None and learning.delay_hours >= learning.window_hours:
        return LearningObstacle.WINDOW_TOO_SHORT
    if all(sum(weight > 0 for _, weight in shares) < 2 for _, shares in _kinds(path, learning)):
        return nothing_to_compare(learning)
    return None


def nothing_to_compare(learning: Learning) -> LearningObstacle:
    """Return the obstacle of a path with fewer than two landings or offers for its goal."""
    return LearningObstacle.ONE_LANDING if learning.goal is Goal.LANDING_CTR else LearningObstacle.ONE_ITEM


def splits_of_flows(flows: Iterable[FlowParts], is_served: IsServed) -> list[Split]:
    """Return everything that the active paths of flows learn. A path that is off gets no visitors, so its weights rest."""
    return [
        split
        for parts in flows
        for paths in (*(rule.paths for rule in parts.rules if rule.active), parts.default_paths)
        for path in paths
        if path.active
        for split in splits_of(path, is_served)
    ]


def _kinds(path: Path, learning: Learning) -> Iterator[tuple[ItemKind, list[tuple[int, int]]]]:
    if path.target is PathTarget.LANDING_AND_OFFER:
        yield ItemKind.LANDINGS, [(share.landing_id, share.weight) for share in path.landings]
    # Which offer a visitor meets has no part in whether they press a button.
    if learning.goal is not Goal.LANDING_CTR:
        yield ItemKind.OFFERS, [(share.offer_id, share.weight) for share in path.offers]
