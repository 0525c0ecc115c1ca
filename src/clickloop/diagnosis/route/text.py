"""An explained route as text, for a terminal. Pure."""

from collections.abc import Iterator

from clickloop.diagnosis.route.explained import ConditionVerdict, RuleVerdict, ValueState
from clickloop.diagnosis.route.views import (
    RouteConditionView,
    RouteFlowView,
    RoutePathView,
    RouteRuleView,
    RouteShareView,
    RouteView,
)
from clickloop.diagnosis.trace.text import one_line
from clickloop.setup.flow import PathTarget

MAX_SHARES = 20
"""Shares of one choice in the text; the API returns all."""
_RULES = {
    RuleVerdict.TOOK: "took the visitor",
    RuleVerdict.FAILED: "did not hold",
    RuleVerdict.NOT_TRIED: "was not tried",
    RuleVerdict.INACTIVE: "is switched off",
}
_CONDITIONS = {ConditionVerdict.HELD: "held", ConditionVerdict.FAILED: "failed", ConditionVerdict.NOT_TRIED: "–"}
_STATES = {
    ValueState.UNKNOWN: "unknown",
    ValueState.NOT_KEPT: "not kept",
    ValueState.SHORTENED: "shortened",
}


def route_text(view: RouteView, *, every_rule: bool = True) -> str:
    """Return a route as lines. ``every_rule`` False: only rules that were tried."""
    return "\n".join(route_lines(view, every_rule=every_rule)) + "\n"


def route_lines(view: RouteView, *, every_rule: bool = False) -> Iterator[str]:
    """Yield the lines of a route."""
    if not view.flows:
        yield f"Route: {view.sentence}"
        return
    for flow in view.flows:
        yield from _flow_lines(flow, every_rule=every_rule)
    for destination in view.destinations:
        yield f"  {destination.percent:6.2f}%  {one_line(destination.name)}{_of(destination.path_name)}"
    if not view.destinations and view.state != "explained":
        yield f"  {view.sentence}"
    for doubt in view.doubts:
        yield f"  today it would go another way – {one_line(doubt.where)}: {doubt.sentence}"


def _flow_lines(flow: RouteFlowView, *, every_rule: bool) -> Iterator[str]:
    version = f", version {flow.flow_version}" if flow.flow_version else ""
    share = f", {flow.percent:g}% of visitors" if flow.percent < 100 else ""
    yield f"Route by the flow of {one_line(flow.name)}{version}{share}:"
    for rule in flow.rules:
        if every_rule or rule.verdict in (RuleVerdict.TOOK, RuleVerdict.FAILED):
            yield from _rule_lines(rule, every_rule=every_rule)
    if not flow.rule_name:
        yield (
            "  the default paths took the visitor" if flow.rules else "  there are no rules, so the default paths count"
        )
    yield from (f"  {one_line(recall.sentence)}" for recall in flow.recalls)
    yield from _path_lines(flow)


def _rule_lines(rule: RouteRuleView, *, every_rule: bool) -> Iterator[str]:
    yield f"  rule {one_line(rule.name)!r} {_RULES[rule.verdict]}"
    for condition in rule.conditions:
        if every_rule or condition.verdict is not ConditionVerdict.NOT_TRIED:
            yield f"    {_CONDITIONS[condition.verdict]:<6}  {one_line(condition.phrase)}: {_value(condition)}"


def _value(condition: RouteConditionView) -> str:
    state = _STATES.get(condition.state, "")
    text = one_line(condition.value, 100)
    return f"{text} ({state})" if text and state else text or state


def _path_lines(flow: RouteFlowView) -> Iterator[str]:
    chosen = next((path for path in flow.paths if path.chosen), None)
    if chosen is None:
        for path in flow.paths[:MAX_SHARES]:
            yield f"  path {_share(path)}{_left_out(path)}"
            yield from (f"    {_share(share)}{_left_out(share)}" for share in _shown(path)[:MAX_SHARES])
        return
    yield f"  path {_share(chosen)}{_drawn(chosen, flow.path_draw)}"
    for share in chosen.landings:
        if share.chosen:
            yield f"  landing {_share(share)}{_drawn(share, flow.landing_draw)}"
    for share in chosen.offers:
        if share.chosen:
            yield f"  offer {_share(share)}{_drawn(share, flow.offer_draw)}"
            if share.cap:
                yield f"    {one_line(share.cap, 300)}"
    for share in _shown(chosen):
        if share.chosen and share.evidence:
            yield f"    learned weight {share.weight} of 1,000, you set {share.user_weight}: {one_line(share.evidence, 300)}"
    if chosen.target is PathTarget.CAMPAIGN:
        yield f"  leads to the campaign {one_line(chosen.campaign_name)!r}"


def _shown(path: RoutePathView) -> list[RouteShareView]:
    return [*path.landings, *path.offers]


def _share(share: RouteShareView) -> str:
    return f"{one_line(share.name)!r} ({share.percent:g}%)"


def _left_out(share: RouteShareView) -> str:
    return f": {share.left_out_text}" if share.left_out else ""


def _drawn(share: RouteShareView, draw: float | None) -> str:
    return (
        "" if draw is None or share.percent >= 100 else f": drawn {draw:.4f}, from {share.start:.4f} to {share.end:.4f}"
    )


def _of(path_name: str) -> str:
    return f" by {one_line(path_name)!r}" if path_name else ""
