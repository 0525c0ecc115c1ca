"""What the paths of a flow's form have learned."""

from collections.abc import Iterable, Mapping

import msgspec

from clickloop.diagnosis.route.learned import PathWeightsView, weights_of_paths
from clickloop.learning.sentences import GOALS
from clickloop.setup.flow import Path
from clickloop.setup.learning import Goal, ItemKind
from clickloop.web.api.context import ApiContext
from clickloop.web.panel.routing.flow_draft import PathDraft, path_tree
from clickloop.web.panel.setup.setup_choices import number_of

Weights = Mapping[int, PathWeightsView]
"""What paths have learned, by id."""
LANDING_GOALS = tuple((goal.value, f"Learn: {name}") for goal, name in GOALS.items())
LEARNING_GOALS = tuple(one for one in LANDING_GOALS if one[0] != Goal.LANDING_CTR)


def learned_weights(context: ApiContext, drafts: Iterable[PathDraft]) -> Weights:
    """Return what saved paths have learned, by id."""
    paths = [path for draft in drafts if draft.goal and (path := _path(draft)) is not None and path.id]
    if not paths:
        return {}
    with context.ledger.read() as tx:
        return weights_of_paths(tx, paths)


def _path(draft: PathDraft) -> Path | None:
    """Return a path as it would be saved, or None while it cannot be read."""
    try:
        return msgspec.convert(path_tree(draft), Path)
    except msgspec.ValidationError:
        return None


def learned_percents(weights: Weights, path: PathDraft, kind: ItemKind) -> Mapping[int, str]:
    """Return the learned shares in force of a path's landings or offers, by id."""
    found = weights.get(number_of(path.id) or 0) if path.goal else None
    return {
        item.id: item.percent for split in (found.splits if found else ()) if split.kind is kind for item in split.items
    }
