"""The explained route: flows with their rules, conditions, paths and shares. Records only."""

import enum

import msgspec

from clickloop.click.routing.conditions import Value
from clickloop.click.routing.not_served import NotServedReason
from clickloop.click.routing.recall import RecallEffect
from clickloop.explained import Explained
from clickloop.setup.flow import PathTarget


class ConditionVerdict(enum.StrEnum):
    """The result of a condition."""

    HELD = "held"
    FAILED = "failed"
    NOT_TRIED = "not_tried"
    """An earlier condition of its rule failed, or an earlier rule took the visitor."""


class RuleVerdict(enum.StrEnum):
    """The result of a rule."""

    TOOK = "took"
    """All its conditions held, so the visitor went along one of its paths."""
    FAILED = "failed"
    NOT_TRIED = "not_tried"
    """An earlier rule took the visitor."""
    INACTIVE = "inactive"


class ValueState(Explained):
    """The state of a visitor's value."""

    KNOWN = "known", "The value is known."
    UNKNOWN = "unknown", "The value is unknown."
    NOT_KEPT = "not_kept", "The value was not stored with the click."
    SHORTENED = "shortened", "Only a part of the address was stored."


class VisitorValue(msgspec.Struct, frozen=True):
    """A visitor's value of a field. An empty ``value`` is compared as unknown."""

    value: Value
    state: ValueState


class ClosedReason(Explained):
    """The reason why a path, or what it leads to, gets no visitors, or not this one."""

    INACTIVE = "inactive", "The path is switched off."
    NO_WEIGHT = "no_weight", "Its weight is 0."
    NOTHING_SERVED = "nothing_served", "It has no destination that can be served."
    SEEN = "seen", "The visitor has seen it."
    OTHER_AGAIN = "other_again", "The visitor gets the same as before."


class Doubt(Explained):
    """The reason why a click's stored values lead elsewhere today."""

    VALUE_NOT_KEPT = "value_not_kept", "The value that the condition compared was not stored with the click."
    LIST_CHANGED = "list_changed", "The condition's list has changed since the click."
    VALUE_CHANGED = (
        "value_changed",
        "The condition has another result for the stored value, which is now read from another parameter or compared differently.",
    )
    GONE_SINCE = (
        "gone_since",
        "A destination that got visitors then gets none today, so the weights are split differently.",
    )
    SERVED_THEN_UNKNOWN = (
        "served_then_unknown",
        "Some offers or landings got no visitors then, for example because they were archived. Which ones is not stored.",
    )
    PART_MISSING = "part_missing", "The version of the flow at the time of the click does not have this rule or path."


class RouteDoubt(msgspec.Struct, frozen=True):
    """A doubt and its place in the flow: ``rule 'US mobile', condition 2``."""

    doubt: Doubt
    where: str


class ExplainedCondition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition, the visitor's value, and the result."""

    field: str
    phrase: str
    """The condition in words: ``from Germany``."""
    value: str
    """As text; empty if unknown."""
    state: ValueState
    verdict: ConditionVerdict
    by_default: bool = False
    """Whether the value was unknown, so that the condition's result for unknown values decided."""


class ExplainedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and its result. ``rule_id`` is 0 if it is not saved."""

    rule_id: int
    name: str
    verdict: RuleVerdict
    conditions: tuple[ExplainedCondition, ...]


class ExplainedShare(msgspec.Struct, frozen=True, kw_only=True):
    """An item of a weighted choice. A draw from ``start`` to below ``end`` chooses it, both in [0, 1]."""

    id: int
    name: str
    weight: int
    percent: float
    start: float = 0.0
    end: float = 0.0
    chosen: bool = False
    left_out: NotServedReason | ClosedReason | None = None
    cap: str = ""
    """Why another offer took its visitors, or none: its cap was reached."""
    user_weight: int | None = None
    """The weight that the user had set where a learned one was in force."""
    evidence: str = ""
    """What the learned weight rested on."""


class ExplainedPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path with its share and its destinations."""

    share: ExplainedShare
    target: PathTarget
    url: str = ""
    campaign_id: int = 0
    campaign_name: str = ""
    landings: tuple[ExplainedShare, ...] = ()
    offers: tuple[ExplainedShare, ...] = ()


class RecallPart(enum.StrEnum):
    """A part of a route that may depend on the visitor's previous visits."""

    PATH = "path"
    LANDING = "landing"
    OFFER = "offer"


class ExplainedRecall(msgspec.Struct, frozen=True, kw_only=True):
    """How a part of the route depended on the visitor's previous visits. ``chosen``: its name; empty if it was not drawn."""

    part: RecallPart
    effect: RecallEffect
    chosen: str = ""
    seen: tuple[str, ...] = ()
    """Names of what was left out because the visitor had seen it."""

    @property
    def sentence(self) -> str:
        """Return the sentence about it."""
        part = self.part.value
        match self.effect:
            case RecallEffect.SAME:
                text = f"same {part} as on their previous visit"
            case RecallEffect.NOT_AGAIN:
                text = f"the {part} of their previous visit is not served here, so it was chosen by weight"
            case RecallEffect.ALL_SEEN:
                text = f"they had seen every {part} here, so all of them were in the choice again"
            case _:
                names = f"{', '.join(self.seen[:-1])} and {self.seen[-1]}" if len(self.seen) > 1 else "".join(self.seen)
                verb = f"s {names} were" if len(self.seen) > 1 else f" {names} was"
                text = f"{part}{verb} seen" + (f", so {self.chosen}" if self.chosen else ", so the others come first")
        return f"Returning visitor: {text}."


class ExplainedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow on the visitor's route. ``percent``: share of such visitors who get here."""

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
    recalls: tuple[ExplainedRecall, ...] = ()
    path_draw: float | None = None
    """Where the draw fell, in [0, 1); None: nothing was drawn."""
    landing_draw: float | None = None
    offer_draw: float | None = None


class DestinationShare(msgspec.Struct, frozen=True, kw_only=True):
    """A destination and its share of such visitors. ``kind`` is None for the fallback URL."""

    kind: PathTarget | None
    id: int = 0
    name: str
    path_id: int = 0
    path_name: str = ""
    percent: float


class RouteState(Explained):
    """The state of an explanation."""

    EXPLAINED = "explained", "Every decision is explained."
    BEFORE_FLOWS = (
        "before_flows",
        "The click was recorded before flows existed. Its offer is stored, but not how it was chosen.",
    )
    PAUSED = "paused", "The campaign is paused, so visitors go to the fallback URL."
    VERSION_MISSING = "version_missing", "The version of the flow at the time of the click is not stored."
    NO_FLOW = (
        "no_flow",
        "No flow decided. The campaign was paused or had no offer, so the visitor went to the fallback URL.",
    )


class RouteExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor's route, explained. ``agrees``: whether the click's stored values lead to the same destination today."""

    state: RouteState
    flows: tuple[ExplainedFlow, ...] = ()
    doubts: tuple[RouteDoubt, ...] = ()
    destinations: tuple[DestinationShare, ...] = ()
    """For a described visitor only."""
    draw: int | None = None

    @property
    def agrees(self) -> bool:
        return self.state is RouteState.EXPLAINED and not self.doubts
