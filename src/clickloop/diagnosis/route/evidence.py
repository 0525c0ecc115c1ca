"""The evidence of learned weights beside the shares of an explained route. Pure."""

from collections.abc import Mapping

from msgspec.structs import replace

from clickloop.diagnosis.route.explained import ExplainedFlow, ExplainedPath, ExplainedShare, RouteExplanation
from clickloop.learning.evidence import LearnedSplit
from clickloop.learning.sentences import evidence_sentence
from clickloop.setup.learning import ItemKind
from clickloop.setup.routing_state import RoutingState

Learned = Mapping[tuple[int, ItemKind], LearnedSplit]
"""What was learned last at that time, by path and kind."""


def with_evidence(route: RouteExplanation, state: RoutingState, learned: Learned) -> RouteExplanation:
    """Return a route whose shares tell what the learned weights in force rested on, as far as that is still stored."""
    in_force = {
        (one.path_id, one.kind): split
        for one in state.learned
        # Evidence of other weights would explain nothing.
        if (split := learned.get((one.path_id, one.kind))) is not None
        and dict(one.weights).items() <= dict(split.weights()).items()
    }
    return replace(route, flows=tuple(_flow(flow, in_force) for flow in route.flows)) if in_force else route


def _flow(flow: ExplainedFlow, learned: Learned) -> ExplainedFlow:
    return replace(flow, paths=tuple(_path(path, learned) for path in flow.paths))


def _path(path: ExplainedPath, learned: Learned) -> ExplainedPath:
    return replace(
        path,
        landings=_shares(path.landings, learned.get((path.share.id, ItemKind.LANDINGS))),
        offers=_shares(path.offers, learned.get((path.share.id, ItemKind.OFFERS))),
    )


def _shares(shares: tuple[ExplainedShare, ...], split: LearnedSplit | None) -> tuple[ExplainedShare, ...]:
    if split is None:
        return shares
    items = {item.id: item for item in split.items}
    return tuple(
        replace(share, user_weight=item.user_weight, evidence=evidence_sentence(split, item))
        if (item := items.get(share.id)) is not None and share.weight == item.weight
        else share
        for share in shares
    )
