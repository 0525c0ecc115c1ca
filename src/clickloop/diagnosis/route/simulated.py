"""Explain the route of a described visitor: every rule condition by condition, and the share of each destination. Pure."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from clickloop.click.routing.flow import ReadyFlow, ReadyPath, Weighted, choose, draw_after_hop, path_id_of, rule_for
from clickloop.click.routing.recall import LANDING_CHOICE, OFFER_CHOICE, PATH_CHOICE, Recall
from clickloop.diagnosis.route.explained import DestinationShare, ExplainedFlow, RouteExplanation, RouteState
from clickloop.diagnosis.route.explaining import (
    FlowContext,
    FlowDecision,
    FlowInForce,
    SeenValue,
    explain_flow,
    item_name,
    keyed_flow,
    with_ids,
)
from clickloop.diagnosis.route.recalled import ItemKey, key_id, left_of
from clickloop.setup.flow import MAX_DEPTH, Path, PathTarget, part_labels
from clickloop.text import readable

Item = TypeVar("Item")


class _FlowWalk:
    """The walk through all flows that a visitor may pass."""

    def __init__(self, seen: SeenValue, context: FlowContext, recall: Recall[ItemKey] | None) -> None:
        self._seen = seen
        self._recall = recall
        self._context = context
        self.flows: list[ExplainedFlow] = []
        self.destinations: list[DestinationShare] = []
        self.following: dict[int, float] = {}
        """Campaigns that paths of the flows added so far lead to, with the percentage of visitors who go there."""
        self._labels: dict[int, str] = {}
        """What the paths of the flow that is being added are called, by id."""

    def pass_through(self, flow: FlowInForce, draw: int | None, percent: float) -> None:
        """Add a flow with the destinations of its paths; campaigns are collected in ``following``."""
        flow = msgspec.structs.replace(flow, parts=with_ids(flow.parts))
        ready = keyed_flow(flow.parts, self._context.lists, self._context.why_not)
        decision, paths = self._decide(ready, draw)
        explained = explain_flow(flow, ready, self._seen, decision, draw, self._context, self._recall)
        self.flows.append(msgspec.structs.replace(explained, percent=percent))
        known = {path.id: path for _, path in flow.parts.paths()}
        self._labels = part_labels(flow.parts)
        for path, share in paths:
            self._follow(known[path.id], path, draw, percent * share)
        if not paths:
            self.fall_back(percent)

    def fall_back(self, percent: float) -> None:
        """Add visitors for whom there is no destination."""
        self.destinations.append(DestinationShare(kind=None, name="The fallback URL", percent=percent))

    def _decide(
        self, ready: ReadyFlow[ItemKey], draw: int | None
    ) -> tuple[FlowDecision, list[tuple[ReadyPath[ItemKey], float]]]:
        """Return the decision, and the paths that the visitor may take with the share of each."""
        values = [self._seen(field).value for field in ready.fields]
        if draw is None:
            rule, failed = rule_for(ready, values)
            served = ready.default_paths if rule is None else rule.paths
            return FlowDecision(rule_id=0 if rule is None else rule.id, failed=failed), self._paths(served)
        choice = choose(ready, values, draw, self._recall)
        path = choice.path
        if path is None:
            return FlowDecision(rule_id=choice.rule_id, failed=choice.failed), []
        landing = path.choose(draw, self._recall) if path.landings.items else None
        offer = path.choose_offer(draw, self._recall)
        decision = FlowDecision(
            rule_id=choice.rule_id,
            failed=choice.failed,
            path_id=path.id,
            landing_id=None if landing is None else landing[1],
            offer_id=None if offer is None else offer[1],
        )
        return decision, [(path, 1.0)]

    def _paths(self, served: Weighted[ReadyPath[ItemKey]]) -> list[tuple[ReadyPath[ItemKey], float]]:
        return _shares(left_of(served, path_id_of, self._recall, PATH_CHOICE)[0])

    def _follow(self, path: Path, ready: ReadyPath[ItemKey], draw: int | None, percent: float) -> None:
        """Add the destinations of a path."""
        if path.target is PathTarget.CAMPAIGN:
            campaign_id = path.campaign_id or 0
            self.following[campaign_id] = self.following.get(campaign_id, 0.0) + percent
            return
        if path.target in (PathTarget.URL, PathTarget.NOTHING):
            name = readable(path.url) if path.target is PathTarget.URL else "A 404 page"
            self._arrive(path, path.target, 0, name, percent)
            return
        if draw is not None:
            chosen = ready.choose(draw, self._recall)
            shares = [] if chosen is None else [(chosen, 1.0)]
        else:
            has_landings = bool(ready.landings.items)
            items, choice = (ready.landings, LANDING_CHOICE) if has_landings else (ready.offers, OFFER_CHOICE)
            shares = _shares(left_of(items, key_id, self._recall, choice)[0])
        for key, share in shares:
            kind, number = self._context.served(key)
            name = item_name((kind, number), self._context.names)
            self._arrive(path, kind, number, name, percent * share)

    def _arrive(self, path: Path, kind: PathTarget, number: int, name: str, percent: float) -> None:
        label = readable(self._labels[path.id])
        self.destinations.append(
            DestinationShare(kind=kind, id=number, name=name, path_id=max(0, path.id), path_name=label, percent=percent)
        )


def explain_visitor(
    flow: FlowInForce,
    others: Mapping[int, FlowInForce],
    seen: SeenValue,
    context: FlowContext,
    draw: int | None = None,
    recall: Recall[ItemKey] | None = None,
) -> RouteExplanation:
    """Explain the route of a visitor. ``others``: the flows of campaigns that paths lead to, by campaign id.

    Without a draw, all paths of the matching rule are followed, each with its share. ``recall``: what the visitor's cookie remembers.
    """
    walk = _FlowWalk(seen, context, recall)
    walk.pass_through(flow, draw, 100.0)
    drawn = draw
    # Level by level, so that many paths to the same campaign cost as much as one.
    for _ in range(MAX_DEPTH):
        following, walk.following = walk.following, {}
        drawn = None if drawn is None else draw_after_hop(drawn)
        for campaign_id, percent in following.items():
            other = others.get(campaign_id)
            if other is None:
                walk.fall_back(percent)
            else:
                walk.pass_through(other, drawn, percent)
    if walk.following:
        walk.fall_back(sum(walk.following.values()))
    return RouteExplanation(
        state=RouteState.EXPLAINED, flows=tuple(walk.flows), destinations=tuple(walk.destinations), draw=draw
    )


def _shares(served: Weighted[Item]) -> list[tuple[Item, float]]:
    """Return the items with the share of visitors that each gets."""
    return [(item, (end - start) / served.total) for item, start, end in served.spans()]
