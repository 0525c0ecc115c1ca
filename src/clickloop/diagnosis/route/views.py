"""Views of an explained route, for the API and the panel. Pure."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.click.routing.recall import RecallEffect
from clickloop.diagnosis.route.explained import (
    ConditionVerdict,
    DestinationShare,
    Doubt,
    ExplainedFlow,
    ExplainedPath,
    ExplainedShare,
    RecallPart,
    RouteExplanation,
    RouteState,
    RuleVerdict,
    ValueState,
)
from clickloop.logs.view import view_of
from clickloop.setup.flow import PathTarget

Percent = Annotated[float, Meta(description="Its share of the visitors, in percent.")]
Place = Annotated[float | None, Meta(description="Where the draw fell, from 0 to below 1. null: nothing was drawn.")]


class RouteConditionView(msgspec.Struct, kw_only=True):
    """A condition of a rule, the visitor's value, and the result."""

    field: str
    phrase: Annotated[str, Meta(description="The condition in words.", examples=["from Germany"])]
    value: Annotated[str, Meta(description="The visitor's value. Empty if it is not known.")]
    state: ValueState
    verdict: ConditionVerdict
    by_default: Annotated[
        bool,
        Meta(description="Whether the value was unknown, so that the condition's setting for unknown values decided."),
    ]


class RouteRuleView(msgspec.Struct, kw_only=True):
    """A rule and its result."""

    rule_id: Annotated[int, Meta(description="0 if it is not saved.")]
    name: str
    verdict: RuleVerdict
    conditions: list[RouteConditionView]


class RouteShareView(msgspec.Struct, kw_only=True):
    """A landing or offer, with its share."""

    id: int
    name: str
    weight: int
    percent: Percent
    start: Annotated[float, Meta(description="Lower bound of the draws that choose it.")]
    end: Annotated[float, Meta(description="Upper bound of the draws that choose it, exclusive.")]
    chosen: bool
    left_out: Annotated[str, Meta(description="Code of the reason why it gets no visitors. Empty if it gets some.")]
    left_out_text: str
    cap: Annotated[
        str, Meta(description="Why another offer took its visitors, or none: its cap was reached. Empty otherwise.")
    ]
    user_weight: Annotated[
        int | None, Meta(description="The weight that the user had set. null: it is the weight in force.")
    ]
    evidence: Annotated[str, Meta(description="What a learned weight rested on. Empty if it is the user's.")]


class RoutePathView(RouteShareView, kw_only=True):
    """A path with its share and its destinations."""

    target: PathTarget
    url: str
    campaign_id: Annotated[int, Meta(description="The campaign that it leads to; 0: none.")]
    campaign_name: str
    landings: list[RouteShareView]
    offers: list[RouteShareView]


class RouteRecallView(msgspec.Struct, kw_only=True):
    """A choice that depended on the visitor's previous visits."""

    part: RecallPart
    effect: RecallEffect
    sentence: Annotated[str, Meta(examples=["Returning visitor: same path as on their previous visit."])]


class RouteFlowView(msgspec.Struct, kw_only=True):
    """A flow on the visitor's route."""

    flow_id: int
    flow_version: Annotated[int, Meta(description="The version that decided. 0: it is not saved.")]
    name: Annotated[str, Meta(examples=["campaign 'Sweeps US'"])]
    percent: Annotated[float, Meta(description="Share of such visitors who get here, in percent.")]
    rules: list[RouteRuleView]
    rule_id: Annotated[int, Meta(description="The rule that took the visitor. 0: the default paths did, or it is new.")]
    rule_name: Annotated[str, Meta(description="Empty: the default paths took the visitor.")]
    paths: Annotated[list[RoutePathView], Meta(description="The paths of that rule, or the default paths.")]
    recalls: Annotated[
        list[RouteRecallView],
        Meta(description="What depended on the visitor's previous visits, where bind or rotation is set."),
    ]
    path_draw: Place
    landing_draw: Place
    offer_draw: Place


class RouteDoubtView(msgspec.Struct, kw_only=True):
    """A reason why the click's stored values lead elsewhere today."""

    doubt: Doubt
    sentence: str
    where: str


class RouteDestinationView(msgspec.Struct, kw_only=True):
    """A destination and its share of such visitors."""

    kind: Annotated[PathTarget | None, Meta(description="null: the fallback URL.")]
    id: int
    name: str
    path_id: int
    path_name: str
    percent: Percent


class RouteView(msgspec.Struct, kw_only=True):
    """A visitor's route, explained rule by rule and choice by choice."""

    state: RouteState
    sentence: Annotated[str, Meta(description="What the state means.")]
    agrees: Annotated[bool, Meta(description="Whether the click's stored values lead to the same destination today.")]
    draw: Annotated[
        str | None, Meta(description="The draw, a whole number of at most 63 bits. null if nothing was drawn.")
    ]
    flows: Annotated[list[RouteFlowView], Meta(description="The campaign's flow, then those that a path led to.")]
    doubts: list[RouteDoubtView]
    destinations: Annotated[list[RouteDestinationView], Meta(description="Empty for recorded clicks.")]


def route_view(route: RouteExplanation) -> RouteView:
    """Return the view of a route."""
    return RouteView(
        state=route.state,
        sentence=route.state.sentence,
        agrees=route.agrees,
        draw=None if route.draw is None else str(route.draw),
        flows=[_flow_view(flow) for flow in route.flows],
        doubts=[RouteDoubtView(doubt=one.doubt, sentence=one.doubt.sentence, where=one.where) for one in route.doubts],
        destinations=[_destination_view(one) for one in route.destinations],
    )


def _flow_view(flow: ExplainedFlow) -> RouteFlowView:
    return view_of(
        RouteFlowView,
        flow,
        percent=round(flow.percent, 2),
        rules=[
            view_of(
                RouteRuleView,
                rule,
                conditions=[view_of(RouteConditionView, condition) for condition in rule.conditions],
            )
            for rule in flow.rules
        ],
        paths=[_path_view(path) for path in flow.paths],
        recalls=[RouteRecallView(part=one.part, effect=one.effect, sentence=one.sentence) for one in flow.recalls],
    )


def _path_view(path: ExplainedPath) -> RoutePathView:
    return view_of(
        RoutePathView,
        path,
        path.share,
        percent=round(path.share.percent, 2),
        landings=[_share_view(share) for share in path.landings],
        offers=[_share_view(share) for share in path.offers],
        left_out=path.share.left_out or "",
        left_out_text=path.share.left_out.sentence if path.share.left_out else "",
    )


def _share_view(share: ExplainedShare) -> RouteShareView:
    return view_of(
        RouteShareView,
        share,
        percent=round(share.percent, 2),
        left_out=share.left_out or "",
        left_out_text=share.left_out.sentence if share.left_out else "",
    )


def _destination_view(one: DestinationShare) -> RouteDestinationView:
    return view_of(RouteDestinationView, one, percent=round(one.percent, 2))
