"""What an explained route consists of: flows with their rules, conditions, paths and shares. Records only."""

import enum

import msgspec

from clickloop.click.routing.conditions import Value
from clickloop.click.routing.not_served import NotServedReason
from clickloop.explained import Explained
from clickloop.setup.flow import PathTarget


class ConditionVerdict(enum.StrEnum):
    """What became of a condition."""

    HELD = "held"
    FAILED = "failed"
    NOT_TRIED = "not_tried"
    """An earlier condition of its rule failed, or an earlier rule took the visitor."""


class RuleVerdict(enum.StrEnum):
    """What became of a rule."""

    TOOK = "took"
    """All its conditions held, so the visitor went along one of its paths."""
    FAILED = "failed"
    NOT_TRIED = "not_tried"
    """An earlier rule took the visitor."""
    INACTIVE = "inactive"


class ValueState(Explained):
    """What is known of a visitor's value."""

    KNOWN = "known", "The value is known."
    UNKNOWN = "unknown", "The value is unknown."
    NOT_KEPT = "not_kept", "The click did not keep the value."
    SHORTENED = "shortened", "Only a part of the address was kept."


class VisitorValue(msgspec.Struct, frozen=True):
    """A visitor's value of a field. An empty ``value`` is compared as unknown."""

    value: Value
    state: ValueState


class ClosedReason(Explained):
    """Why a path gets no visitors."""

    INACTIVE = "inactive", "The path is switched off."
    NO_WEIGHT = "no_weight", "Its weight is 0."
    NOTHING_SERVED = "nothing_served", "It has nothing that visitors can be sent to."


class Doubt(Explained):
    """Why a click went another way than its kept values lead along the flow today. A closed list."""

    VALUE_NOT_KEPT = "value_not_kept", "The value that the condition compared was not kept with the click."
    LIST_CHANGED = "list_changed", "The list that the condition compares with was changed since the click."
    VALUE_CHANGED = (
        "value_changed",
        "The condition has another result for the value that was kept: it is read from another parameter or in another way now.",
    )
    GONE_SINCE = (
        "gone_since",
        "Something that visitors were sent to then gets none today, so the weights are split in another way.",
    )
    SERVED_THEN_UNKNOWN = (
        "served_then_unknown",
        "Some of the offers or landings got no visitors then, such as archived ones. Which ones they were is not kept.",
    )
    PART_MISSING = "part_missing", "The version of the flow that the click names does not have this rule or path."


class RouteDoubt(msgspec.Struct, frozen=True):
    """A doubt, and where in the flow it is: ``rule 'US mobile', condition 2``."""

    doubt: Doubt
    where: str


class ExplainedCondition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition, the visitor's value, and what became of it."""

    field: str
    phrase: str
    """What it demands of visitors: ``from Germany``."""
    value: str
    """As text; empty if unknown."""
    state: ValueState
    verdict: ConditionVerdict
    by_default: bool = False
    """Whether the value was unknown, so that what the condition says of unknown values decided."""


class ExplainedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and what became of it. ``rule_id`` 0: it is not saved."""

    rule_id: int
    name: str
    verdict: RuleVerdict
    conditions: tuple[ExplainedCondition, ...]


class ExplainedShare(msgspec.Struct, frozen=True, kw_only=True):
    """One of the things that a choice is made among. The draw chooses it from ``start`` to ``end``, both in [0, 1]."""

    id: int
    name: str
    weight: int
    percent: float
    start: float = 0.0
    end: float = 0.0
    chosen: bool = False
    left_out: NotServedReason | ClosedReason | None = None


class ExplainedPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path with its share, and what it leads to."""

    share: ExplainedShare
    target: PathTarget
    url: str = ""
    campaign_id: int = 0
    campaign_name: str = ""
    landings: tuple[ExplainedShare, ...] = ()
    offers: tuple[ExplainedShare, ...] = ()


class ExplainedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow that the visitor passes through. ``percent``: of the visitors explained, those who come here."""

    flow_id: int
    flow_version: int
    name: str
    percent: float = 100.0
    rules: tuple[ExplainedRule, ...]
    rule_id: int
    """The rule that took the visitor; 0 with an empty name: the default paths did."""
    rule_name: str
    paths: tuple[ExplainedPath, ...]
    """The paths of that rule, or the default paths."""
    path_draw: float | None = None
    """Where the draw fell, in [0, 1); None: nothing was drawn."""
    landing_draw: float | None = None
    offer_draw: float | None = None


class DestinationShare(msgspec.Struct, frozen=True, kw_only=True):
    """A destination and the share of such visitors that it gets. ``kind`` None: the fallback URL."""

    kind: PathTarget | None
    id: int = 0
    name: str
    path_id: int = 0
    path_name: str = ""
    percent: float


class RouteState(Explained):
    """Whether a click's route can be explained."""

    EXPLAINED = "explained", "Every decision on the way is explained."
    BEFORE_FLOWS = (
        "before_flows",
        "The click was recorded before flows existed: it kept its offer, but not how it was chosen.",
    )
    PAUSED = "paused", "The campaign is paused: visitors go to the fallback URL until it is switched on."
    VERSION_MISSING = "version_missing", "The version of the flow that the click names is not stored."
    NO_FLOW = (
        "no_flow",
        "No flow was asked: the campaign was paused or had no offer, so the visitor went to the fallback URL.",
    )


class RouteExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """How a visitor's route came about. ``agrees``: the flow leads the click's kept values the same way today."""

    state: RouteState
    flows: tuple[ExplainedFlow, ...] = ()
    doubts: tuple[RouteDoubt, ...] = ()
    destinations: tuple[DestinationShare, ...] = ()
    """Of an invented visitor."""
    draw: int | None = None

    @property
    def agrees(self) -> bool:
        return self.state is RouteState.EXPLAINED and not self.doubts
