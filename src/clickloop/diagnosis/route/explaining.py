"""Explain the decision of one flow for a visitor, as made by the edge's own code. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count

import msgspec

from clickloop.click.routing.flow import (
    ReadyFlow,
    ReadyPath,
    Weighted,
    derived,
    path_id_of,
    ready_flow,
)
from clickloop.click.routing.not_served import NotServedReason
from clickloop.click.routing.recall import LANDING_CHOICE, OFFER_CHOICE, PATH_CHOICE, Recall
from clickloop.diagnosis.condition_phrases import FlowNames, condition_phrase
from clickloop.diagnosis.route.explained import (
    ClosedReason,
    ConditionVerdict,
    ExplainedCondition,
    ExplainedFlow,
    ExplainedPath,
    ExplainedRecall,
    ExplainedRule,
    ExplainedShare,
    RuleVerdict,
    ValueState,
    VisitorValue,
)
from clickloop.diagnosis.route.recalled import ItemKey, explained_recall, key_id, left_of
from clickloop.setup.condition import Condition
from clickloop.setup.flow import FlowParts, Path, PathTarget, Rule, changed_parts, path_label, rule_label
from clickloop.text import readable

WhyNotServed = Callable[[Path, PathTarget, int], NotServedReason | None]
"""Returns why a path's destination gets no visitors, or None if it gets some."""
SeenValue = Callable[[str], VisitorValue]
"""Returns a visitor's value of a field."""

_NOTHING: Weighted[ReadyPath[ItemKey]] = Weighted((), ())
_SPACE = 1 << 64


class FlowInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a flow. ``name``: its owner, such as ``campaign 'Sweeps US'``."""

    flow_id: int
    version: int
    name: str
    parts: FlowParts


class CapInForce(msgspec.Struct, frozen=True):
    """An offer's cap that was reached. ``instead_id``: the offer that took its visitors; 0: none did."""

    instead_id: int
    sentence: str


class FlowContext(msgspec.Struct, frozen=True, kw_only=True):
    """The context in which flows are explained: named lists, names, and which destinations are served."""

    lists: Mapping[int, Sequence[str]]
    names: FlowNames
    why_not: WhyNotServed
    caps: Mapping[int, CapInForce] = {}
    """Reached caps by offer."""

    def served(self, key: ItemKey) -> ItemKey:
        """Return where a path's own destination leads: to another offer if its cap is reached."""
        kind, number = key
        cap = self.caps.get(number) if kind is PathTarget.OFFER else None
        return key if cap is None else (kind, cap.instead_id)


class FlowDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A flow's decision for a visitor. ``failed`` as in ``click.routing.flow.Choice``. An id is None if nothing was chosen.

    ``offer_id``: the path's own offer, also where a cap sent the visitor on to another.
    """

    rule_id: int
    failed: str
    path_id: int | None = None
    landing_id: int | None = None
    offer_id: int | None = None


def with_ids(parts: FlowParts) -> FlowParts:
    """Return the flow with a negative id for each unsaved rule and path, to distinguish them."""
    numbers = count(1)
    return changed_parts(
        parts,
        lambda path: path if path.id else msgspec.structs.replace(path, id=-next(numbers)),
        lambda rule: rule if rule.id else msgspec.structs.replace(rule, id=-next(numbers)),
    )


def keyed_flow(
    parts: FlowParts, lists: Mapping[int, Sequence[str]], why_not: WhyNotServed | None = None
) -> ReadyFlow[ItemKey]:
    """Compile a flow as at the edge, with ids in place of destinations. Without ``why_not`` everything is served."""

    def item_of(_rule_id: int, path: Path, kind: PathTarget, number: int) -> ItemKey | None:
        return (kind, number) if why_not is None or why_not(path, kind, number) is None else None

    return ready_flow(parts, lists, item_of)


def explain_flow(
    flow: FlowInForce,
    ready: ReadyFlow[ItemKey],
    seen: SeenValue,
    decision: FlowDecision,
    draw: int | None,
    context: FlowContext,
    recall: Recall[ItemKey] | None = None,
) -> ExplainedFlow:
    """Explain a decision. ``ready``: the compiled flow with the destinations that were served, which determine the shares.

    ``recall``: what the visitor's cookie remembered.
    """
    taking = next((rule for rule in flow.parts.rules if rule.id == decision.rule_id), None)
    paths = flow.parts.default_paths if taking is None else taking.paths
    served = ready.default_paths if not decision.rule_id else _paths_of(ready, decision.rule_id)
    return ExplainedFlow(
        flow_id=flow.flow_id,
        flow_version=flow.version,
        name=flow.name,
        rules=tuple(_explained_rules(flow.parts.rules, seen, decision, context.names)),
        rule_id=max(0, decision.rule_id),
        rule_name=rule_name(taking, flow.parts.rules) if taking else "",
        paths=tuple(_explained_paths(paths, served, decision, context, recall)),
        recalls=tuple(_recalls(paths, served, decision, context, recall)),
        path_draw=_place(draw, PATH_CHOICE),
        landing_draw=_place(draw, LANDING_CHOICE),
        offer_draw=_place(draw, OFFER_CHOICE),
    )


def item_name(key: ItemKey, names: FlowNames) -> str:
    """Return the name of an offer or a landing; ``offer 3`` if it has none."""
    kind, number = key
    known, noun = (names.landings, "landing") if kind is PathTarget.LANDING_AND_OFFER else (names.offers, "offer")
    return readable(known.get(number, "")) or f"{noun} {number}"


def rule_name(rule: Rule, rules: Sequence[Rule]) -> str:
    """Return a rule's label among the rules of its flow."""
    return readable(rule_label(rule, [one.id for one in rules].index(rule.id)))


def path_name(path: Path, paths: Sequence[Path]) -> str:
    """Return a path's label among its neighbours."""
    return readable(path_label(path, [one.id for one in paths].index(path.id)))


def value_text(field: str, value: object) -> str:
    """Return a visitor's value for display; times in UTC."""
    if isinstance(value, int):
        moment = datetime.fromtimestamp(value / 1000, UTC)
        return f"{moment:%a %Y-%m-%d %H:%M} UTC"
    return readable(str(value))


def _paths_of(ready: ReadyFlow[ItemKey], rule_id: int) -> Weighted[ReadyPath[ItemKey]]:
    return next((rule.paths for rule in ready.rules if rule.id == rule_id), _NOTHING)


def _place(draw: int | None, choice: int) -> float | None:
    return None if draw is None else derived(draw, choice) / _SPACE


def _explained_rules(
    rules: Sequence[Rule], seen: SeenValue, decision: FlowDecision, names: FlowNames
) -> Iterable[ExplainedRule]:
    letters = iter(decision.failed)
    is_over = False
    for rule in rules:
        tried, failed_at = 0, None
        verdict = RuleVerdict.NOT_TRIED
        if not rule.active:
            verdict = RuleVerdict.INACTIVE
        elif rule.id == decision.rule_id:
            verdict, tried, is_over = RuleVerdict.TOOK, len(rule.conditions), True
        elif not is_over and (letter := next(letters, "")):
            verdict, failed_at = RuleVerdict.FAILED, ord(letter) - ord("a")
            tried = failed_at + 1
        yield ExplainedRule(
            rule_id=max(0, rule.id),
            name=rule_name(rule, rules),
            verdict=verdict,
            conditions=tuple(
                _explained_condition(condition, seen(condition.field), _verdict(position, tried, failed_at), names)
                for position, condition in enumerate(rule.conditions)
            ),
        )


def _verdict(position: int, tried: int, failed_at: int | None) -> ConditionVerdict:
    if position >= tried:
        return ConditionVerdict.NOT_TRIED
    return ConditionVerdict.FAILED if position == failed_at else ConditionVerdict.HELD


def _explained_condition(
    condition: Condition, seen: VisitorValue, verdict: ConditionVerdict, names: FlowNames
) -> ExplainedCondition:
    return ExplainedCondition(
        field=condition.field,
        phrase=condition_phrase(condition, names),
        value=value_text(condition.field, seen.value),
        state=seen.state,
        verdict=verdict,
        by_default=seen.state is ValueState.UNKNOWN and verdict is not ConditionVerdict.NOT_TRIED,
    )


def _recalls(
    paths: Sequence[Path],
    served: Weighted[ReadyPath[ItemKey]],
    decision: FlowDecision,
    context: FlowContext,
    recall: Recall[ItemKey] | None,
) -> Iterator[ExplainedRecall]:
    """Yield how the choice of the path, and those that were made on it, depended on the visitor's previous visits."""
    if recall is None:
        return
    labels = {path.id: path_name(path, paths) for path in paths}

    def label(path_id: int) -> str:
        return labels.get(path_id, f"path {path_id}")

    yield from explained_recall(served, path_id_of, recall, PATH_CHOICE, label, decision.path_id)
    chosen = next((path for path in served.items if path.id == decision.path_id), None)
    if chosen is None:
        return
    for items, choice, kind, chosen_id in (
        (chosen.landings, LANDING_CHOICE, PathTarget.LANDING_AND_OFFER, decision.landing_id),
        (chosen.offers, OFFER_CHOICE, PathTarget.OFFER, decision.offer_id),
    ):
        if chosen_id:
            names = partial(_name_in, context.names, kind)
            yield from explained_recall(items, key_id, recall, choice, names, chosen_id)


def _name_in(names: FlowNames, kind: PathTarget, number: int) -> str:
    return item_name((kind, number), names)


def _explained_paths(
    paths: Sequence[Path],
    served: Weighted[ReadyPath[ItemKey]],
    decision: FlowDecision,
    context: FlowContext,
    recall: Recall[ItemKey] | None,
) -> Iterable[ExplainedPath]:
    ready = {path.id: path for path in served.items}
    left, reason = left_of(served, path_id_of, recall, PATH_CHOICE)
    spans = {path.id: (start / left.total, end / left.total) for path, start, end in left.spans()}
    for path in paths:
        is_chosen = path.id == decision.path_id
        start, end = spans.get(path.id, (0.0, 0.0))
        share = ExplainedShare(
            id=max(0, path.id),
            name=path_name(path, paths),
            weight=path.weight,
            percent=100 * (end - start),
            start=start,
            end=end,
            chosen=is_chosen,
            left_out=None if path.id in spans else reason if path.id in ready else _closed(path),
        )
        found = ready.get(path.id)
        landings = [(share.landing_id, share.weight) for share in path.landings]
        offers = [(share.offer_id, share.weight) for share in path.offers]
        yield ExplainedPath(
            share=share,
            target=path.target,
            url=path.url if path.target is PathTarget.URL else "",
            campaign_id=path.campaign_id or 0,
            campaign_name=readable(context.names.campaigns.get(path.campaign_id or 0, "")),
            landings=_items(
                path,
                PathTarget.LANDING_AND_OFFER,
                landings if path.target is PathTarget.LANDING_AND_OFFER else [],
                None if found is None else found.landings,
                decision.landing_id if is_chosen else None,
                context,
                recall,
            ),
            offers=_items(
                path,
                PathTarget.OFFER,
                offers if path.target in (PathTarget.OFFER, PathTarget.LANDING_AND_OFFER) else [],
                None if found is None else found.offers,
                decision.offer_id if is_chosen else None,
                context,
                recall,
            ),
        )


def _closed(path: Path) -> ClosedReason:
    if not path.active:
        return ClosedReason.INACTIVE
    return ClosedReason.NOTHING_SERVED if path.weight else ClosedReason.NO_WEIGHT


def _items(
    path: Path,
    kind: PathTarget,
    shares: Iterable[tuple[int, int]],
    served: Weighted[ItemKey] | None,
    chosen: int | None,
    context: FlowContext,
    recall: Recall[ItemKey] | None,
) -> tuple[ExplainedShare, ...]:
    served = Weighted((), ()) if served is None else served
    choice = OFFER_CHOICE if kind is PathTarget.OFFER else LANDING_CHOICE
    left, reason = left_of(served, key_id, recall, choice)
    spans = {number: (start / left.total, end / left.total) for (_, number), start, end in left.spans()}
    is_served = {number for _, number in served.items}
    explained = []
    for number, weight in shares:
        start, end = spans.get(number, (0.0, 0.0))
        explained.append(
            ExplainedShare(
                id=number,
                name=item_name((kind, number), context.names),
                weight=weight,
                percent=100 * (end - start),
                start=start,
                end=end,
                chosen=number == chosen,
                cap=context.caps[number].sentence if kind is PathTarget.OFFER and number in context.caps else "",
                left_out=None
                if number in spans
                else reason
                if number in is_served
                else context.why_not(path, kind, number),
            )
        )
    return tuple(explained)
