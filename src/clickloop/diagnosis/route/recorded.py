"""Explain the route of a recorded click: the stored decision, and whether the stored values lead to the same destination today. Pure."""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from clickloop.click.click import Click
from clickloop.click.routing.flow import ReadyFlow, Weighted, draw_after_hop, path_id_of, rule_for
from clickloop.click.routing.recall import PATH_CHOICE, Recall, read_recall
from clickloop.click.routing.visitor_values import click_value_of
from clickloop.diagnosis.route.explained import (
    Doubt,
    ExplainedFlow,
    RouteDoubt,
    RouteExplanation,
    RouteState,
    ValueState,
    VisitorValue,
)
from clickloop.diagnosis.route.explaining import (
    FlowContext,
    FlowDecision,
    FlowInForce,
    SeenValue,
    explain_flow,
    keyed_flow,
    path_name,
    rule_name,
)
from clickloop.diagnosis.route.recalled import ItemKey, key_id, left_of
from clickloop.setup.condition import QUERY_PREFIX
from clickloop.setup.flow import Path, PathTarget
from clickloop.setup.instance import IpStorage, stored_address

_LETTER_A = ord("a")


class RecordedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A flow's decision, as stored with a click."""

    flow_id: int
    version: int
    decision: FlowDecision
    is_last: bool
    is_direct: bool = False
    """Of a page that was tracked directly: nobody was sent anywhere, so that the path alone was drawn."""

    @property
    def key(self) -> tuple[int, int]:
        """Return the flow's id and version."""
        return self.flow_id, self.version


class KeptValues(msgspec.Struct, frozen=True, kw_only=True):
    """The way in which clicks store values. ``rows``: the click's field of each link parameter, by its name in lower case."""

    rows: Mapping[str, str] = {}
    ip_storage: IpStorage = IpStorage.FULL


def steps_of(click: Click) -> tuple[RecordedStep, ...]:
    """Return the decisions of the flows that a click passed through, the last one included. A damaged one ends the list."""
    steps: list[RecordedStep] = []
    for text in click.hops.split(",") if click.hops else ():
        numbers, _, failed = text.rpartition(":")
        parts = numbers.split(":")
        if len(parts) != 4 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
            return tuple(steps)
        flow_id, version, rule_id, path_id = map(int, parts)
        decision = FlowDecision(rule_id=rule_id, failed=failed, path_id=path_id)
        steps.append(RecordedStep(flow_id=flow_id, version=version, decision=decision, is_last=False))
    if click.flow_id:
        decision = FlowDecision(
            rule_id=click.rule_id,
            failed=click.failed_conditions,
            path_id=click.path_id,
            landing_id=click.landing_id or None,
            offer_id=click.instead_of or click.offer_id or None,
        )
        steps.append(
            RecordedStep(
                flow_id=click.flow_id,
                version=click.flow_version,
                decision=decision,
                is_last=True,
                is_direct=not (click.target or click.landing_id or click.offer_id),
            )
        )
    return tuple(steps)


def kept_value(click: Click, field: str, kept: KeptValues, compared: Collection[str] | None = None) -> VisitorValue:
    """Return a click's value of a field. ``compared``: the fields that its flows compared then; None if this one was."""
    value = click_value_of(click, field, kept.rows)
    if field in ("ip", "ip_version") and not value:
        return VisitorValue(value, ValueState.NOT_KEPT)
    if (
        field == "ip"
        and kept.ip_storage is not IpStorage.FULL
        and stored_address(click.ip, IpStorage.SHORTENED) == click.ip
    ):
        return VisitorValue(value, ValueState.SHORTENED)
    if value or field == "mark":  # no marks is an answer, too
        return VisitorValue(value, ValueState.KNOWN)
    is_kept = compared is None or field in compared or not is_kept_if_compared(field, kept.rows)
    return VisitorValue(value, ValueState.UNKNOWN if is_kept else ValueState.NOT_KEPT)


def is_kept_if_compared(field: str, rows: Mapping[str, str]) -> bool:
    """Return whether clicks store a field's value only if their flow compares it: parameters without a row, and visit numbers."""
    return field == "visit_number" or (
        field.startswith(QUERY_PREFIX) and field[len(QUERY_PREFIX) :].lower() not in rows
    )


def explain_click(
    click: Click, flows: Mapping[tuple[int, int], FlowInForce], context: FlowContext, kept: KeptValues
) -> RouteExplanation:
    """Explain a click's route. ``flows``: the versions in ``steps_of``, by id and version, as far as they are stored."""
    steps = steps_of(click)
    if not steps:
        return RouteExplanation(state=RouteState.BEFORE_FLOWS if click.offer_id else RouteState.NO_FLOW)
    explained: list[ExplainedFlow] = []
    doubts: list[RouteDoubt] = []
    draw = click.draw
    recall = read_recall(click.seen, key_id)

    def seen(field: str) -> VisitorValue:
        return kept_value(click, field, kept)

    for step in steps:
        flow = flows.get(step.key)
        if flow is None:
            return RouteExplanation(state=RouteState.VERSION_MISSING, flows=tuple(explained), doubts=tuple(doubts))
        ready, found = _fitting(flow, step, draw, context, recall)
        doubts += [*_rule_doubts(flow, ready, step.decision, seen), *found]
        drawn = draw if click.draw else None
        explained.append(explain_flow(flow, ready, seen, step.decision, drawn, context, recall))
        draw = draw_after_hop(draw)
    return RouteExplanation(
        state=RouteState.EXPLAINED, flows=tuple(explained), doubts=tuple(doubts), draw=click.draw or None
    )


def _rule_doubts(
    flow: FlowInForce, ready: ReadyFlow[ItemKey], decision: FlowDecision, seen: SeenValue
) -> Iterator[RouteDoubt]:
    """Yield a doubt about the first condition whose result differs for the stored values."""
    rule, failed = rule_for(ready, [seen(field).value for field in ready.fields])
    if (0 if rule is None else rule.id, failed) == (decision.rule_id, decision.failed):
        return
    then, today = decision.failed, failed
    at = next(
        (n for n, (was, now) in enumerate(zip(then, today, strict=False)) if was != now), min(len(then), len(today))
    )
    active = [rule for rule in flow.parts.rules if rule.active]
    if at >= len(active) or (decision.rule_id and all(rule.id != decision.rule_id for rule in active)):
        yield RouteDoubt(Doubt.PART_MISSING, f"rule {decision.rule_id}" if decision.rule_id else "the rules")
        return
    letters = [text[at] for text in (then, today) if at < len(text)]
    position = min(ord(letter) - _LETTER_A for letter in letters) if letters else 0
    conditions = active[at].conditions
    if position >= len(conditions):
        yield RouteDoubt(Doubt.PART_MISSING, f"{rule_name(active[at], flow.parts.rules)!r}, condition {position + 1}")
        return
    condition = conditions[position]
    if seen(condition.field).state in (ValueState.NOT_KEPT, ValueState.SHORTENED):
        doubt = Doubt.VALUE_NOT_KEPT
    else:
        doubt = Doubt.LIST_CHANGED if condition.list_id is not None else Doubt.VALUE_CHANGED
    yield RouteDoubt(doubt, f"{rule_name(active[at], flow.parts.rules)!r}, condition {position + 1}")


def _fitting(
    flow: FlowInForce, step: RecordedStep, draw: int, context: FlowContext, recall: Recall[ItemKey] | None
) -> tuple[ReadyFlow[ItemKey], list[RouteDoubt]]:
    """Return the flow with what was served then, as far as the click's destination shows it, and the doubts about it."""
    today = keyed_flow(flow.parts, context.lists, context.why_not)
    where, path = _place_of(flow, step.decision)
    if step.decision.path_id and path is None:
        return today, [RouteDoubt(Doubt.PART_MISSING, where)]
    if _leads_there(today, step, path, draw, recall):
        return today, []
    everything = keyed_flow(flow.parts, context.lists)
    if _leads_there(everything, step, path, draw, recall):
        return everything, [RouteDoubt(Doubt.GONE_SINCE, where)]
    return everything, [RouteDoubt(Doubt.SERVED_THEN_UNKNOWN, where)]


def _place_of(flow: FlowInForce, decision: FlowDecision) -> tuple[str, Path | None]:
    rule = next((rule for rule in flow.parts.rules if rule.id == decision.rule_id), None)
    paths = flow.parts.default_paths if rule is None else rule.paths
    path = next((path for path in paths if path.id == decision.path_id), None)
    whose = f"{rule_name(rule, flow.parts.rules)!r}" if rule else "the default paths"
    return (f"{whose}, {path_name(path, paths)!r}" if path else whose), path


def _leads_there(
    ready: ReadyFlow[ItemKey], step: RecordedStep, path: Path | None, draw: int, recall: Recall[ItemKey] | None
) -> bool:
    """Return whether a draw, and what the cookie remembered, lead to the recorded destination, given the recorded rule."""
    decision = step.decision
    paths = (
        next((rule.paths for rule in ready.rules if rule.id == decision.rule_id), Weighted((), ()))
        if decision.rule_id
        else ready.default_paths
    )
    chosen = left_of(paths, path_id_of, recall, PATH_CHOICE)[0].choose(draw, PATH_CHOICE)
    if chosen is None or path is None:
        return chosen is None and path is None
    if chosen.id != path.id:
        return False
    if not step.is_last or step.is_direct or path.target in (PathTarget.URL, PathTarget.NOTHING, PathTarget.CAMPAIGN):
        return True
    if chosen.landings.items:
        return chosen.choose(draw, recall) == (PathTarget.LANDING_AND_OFFER, decision.landing_id)
    return chosen.choose(draw, recall) == (PathTarget.OFFER, decision.offer_id)
