"""The flow of a campaign: rules, tried in order, each with paths; and default paths for visitors that no rule takes."""

import enum
from collections.abc import Callable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from clickloop.log_filter import MAX_ID
from clickloop.setup.condition import MAX_CONDITIONS, Condition, Operator, condition_faults
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, text_faults
from clickloop.setup.learning import Learning, learning_faults
from clickloop.setup.redirect import PassQuery, RedirectMode
from clickloop.setup.web_address import address_faults

MAX_RULES = 100
MAX_PATHS = 50  # per rule
MAX_LANDINGS = 50  # per path
MAX_OFFERS = 200  # per path
MAX_WEIGHT = 1_000_000  # keeps sums of weights small
MAX_FLOW_VALUES = 100_000  # in all conditions: every edge keeps all flows in memory, and every save stores a version
MAX_FLOW_SHARES = 20_000  # landings and offers of all paths, for the same reason
MAX_FLOW_EXPRESSIONS = 100  # each costs a click up to a tenth of a millisecond, and edges some memory
MAX_FLOW_LISTS = 50  # different ones: of 10,000 entries each, and the first visitor waits until they are read
MAX_NAME_LENGTH = 200
MAX_DEPTH = 3
"""Maximum number of further campaigns that a visitor passes through after the one in the link."""

PartId = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_ID,
        description="ID, which never changes. Omit it or send 0 for a new one.",
        examples=[7],
    ),
]
Weight = Annotated[int, Meta(description="Weight relative to the others; 0 switches it off.", examples=[100])]


class PathTarget(enum.StrEnum):
    """The destination of a path."""

    OFFER = "offer"
    """One of its offers."""
    LANDING_AND_OFFER = "landing_and_offer"
    """One of its landings, whose buttons lead to its offers."""
    URL = "url"
    """Its URL."""
    CAMPAIGN = "campaign"
    """The flow of another campaign, with the same click."""
    NOTHING = "nothing"
    """A 404 page."""


class LandingShare(msgspec.Struct, frozen=True):
    """A landing of a path."""

    landing_id: Annotated[int, Meta(description="The landing.", ge=1, le=MAX_ID, examples=[1])]
    weight: Weight = 100


class OfferShare(msgspec.Struct, frozen=True):
    """An offer of a path."""

    offer_id: Annotated[int, Meta(description="The offer.", ge=1, le=MAX_ID, examples=[1])]
    weight: Weight = 100


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """A path. The visitors of a rule are split among its paths by weight."""

    id: PartId = 0
    name: Annotated[str, Meta(description="Path name.", examples=["Landing B"])] = ""
    active: Annotated[bool, Meta(description="When false, the path gets no visitors.")] = True
    weight: Weight = 100
    target: Annotated[PathTarget, Meta(description="Where the path leads.")] = PathTarget.OFFER
    landings: Annotated[tuple[LandingShare, ...], Meta(description="Landings with their weights.")] = ()
    offers: Annotated[tuple[OfferShare, ...], Meta(description="Offers with their weights.")] = ()
    url: Annotated[str, Meta(description="Destination if the target is url; macros are filled in.")] = ""
    campaign_id: Annotated[int, Meta(ge=1, le=MAX_ID, description="Destination if the target is campaign.")] | None = (
        None
    )
    redirect: Annotated[
        RedirectMode | None, Meta(description="How visitors are redirected. null: the campaign's setting.")
    ] = None
    pass_query: Annotated[
        PassQuery | None, Meta(description="Parameters of the link to pass on. null: the campaign's setting.")
    ] = None
    learning: Annotated[
        Learning | None,
        Meta(description="How the weights of landings and offers follow what they earn. null: the weights are fixed."),
    ] = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule. It takes the visitors who meet all its conditions, and sends them along one of its paths."""

    id: PartId = 0
    name: Annotated[str, Meta(description="Rule name.", examples=["US mobile"])] = ""
    active: Annotated[bool, Meta(description="When false, the rule is skipped.")] = True
    conditions: Annotated[
        tuple[Condition, ...], Meta(description="Visitors must meet all of them. Leave empty to take every visitor.")
    ] = ()
    paths: Annotated[tuple[Path, ...], Meta(description="Paths.")] = ()


class FlowParts(msgspec.Struct, frozen=True, kw_only=True):
    """The rules and paths of a flow, whether it is a campaign's own or shared."""

    rules: Annotated[
        tuple[Rule, ...], Meta(description="Rules in order; the first one that a visitor matches takes them.")
    ] = ()
    default_paths: Annotated[tuple[Path, ...], Meta(description="Paths of visitors that no rule takes.")] = ()

    def paths(self) -> Iterator[tuple[str, Path]]:
        """Yield every path with its field, such as ``rules[0].paths[1]``."""
        for number, rule in enumerate(self.rules):
            for position, path in enumerate(rule.paths):
                yield f"rules[{number}].paths[{position}]", path
        for position, path in enumerate(self.default_paths):
            yield f"default_paths[{position}]", path


def rule_label(rule: Rule, number: int) -> str:
    """Return a rule's name, or ``Rule 2``. ``number``: its position among the rules, from 0."""
    return rule.name or f"Rule {number + 1}"


def path_label(path: Path, number: int) -> str:
    """Return a path's name, or ``Path 1`` by its position among its neighbours, from 0."""
    return path.name or f"Path {number + 1}"


def part_labels(parts: FlowParts) -> dict[int, str]:
    """Return the label of each rule and path of a flow, by id. An unnamed path's label includes its rule."""
    labels = {}
    for number, rule in enumerate(parts.rules):
        name = labels[rule.id] = rule_label(rule, number)
        for place, path in enumerate(rule.paths):
            labels[path.id] = path.name or f"{name[:_LABEL_CHARACTERS]}, path {place + 1}"
    for place, path in enumerate(parts.default_paths):
        labels[path.id] = path.name or (f"Default path {place + 1}" if len(parts.default_paths) > 1 else "Default path")
    return labels


_LABEL_CHARACTERS = 190  # of a rule's name of 200, so that the label of its path is no longer than a name


class FlowReferences(msgspec.Struct, frozen=True):
    """Ids of the records that a flow refers to."""

    offers: frozenset[int] = frozenset()
    landings: frozenset[int] = frozenset()
    campaigns: frozenset[int] = frozenset()
    lists: frozenset[int] = frozenset()

    def __or__(self, other: "FlowReferences") -> "FlowReferences":
        return FlowReferences(
            self.offers | other.offers,
            self.landings | other.landings,
            self.campaigns | other.campaigns,
            self.lists | other.lists,
        )


def references_of(parts: FlowParts) -> FlowReferences:
    """Return the records that a flow refers to."""
    paths = [path for _, path in parts.paths()]
    return FlowReferences(
        offers=frozenset(share.offer_id for path in paths for share in path.offers),
        landings=frozenset(share.landing_id for path in paths for share in path.landings),
        campaigns=frozenset(path.campaign_id for path in paths if path.campaign_id is not None),
        lists=frozenset(
            condition.list_id for rule in parts.rules for condition in rule.conditions if condition.list_id is not None
        ),
    )


def default_offers(parts: FlowParts) -> tuple[OfferShare, ...]:
    """Return the offers of a flow's only default path; none if there are several default paths."""
    return parts.default_paths[0].offers if len(parts.default_paths) == 1 else ()


def with_default_offers(parts: FlowParts, offers: tuple[OfferShare, ...]) -> FlowParts:
    """Return the flow with the offers of its only default path replaced, adding that path if there is none.

    Raise InvalidInputError if there are several default paths.
    """
    if len(parts.default_paths) > 1:
        sentence = "The campaign's flow has several default paths. Change the flow instead."
        raise InvalidInputError((FieldFault("offers", FaultCode.NOT_ALLOWED, sentence),))
    if not parts.default_paths and not offers:
        return parts
    path = parts.default_paths[0] if parts.default_paths else Path()
    to_offers = path.target in (PathTarget.OFFER, PathTarget.LANDING_AND_OFFER)
    target = path.target if to_offers else PathTarget.OFFER
    return replace(parts, default_paths=(replace(path, target=target, offers=offers),))


def flow_of_path(parts: FlowParts, path_id: int) -> FlowParts | None:
    """Return a flow that sends everybody along one of a flow's paths, even if it is switched off; None if it has no such path."""
    for rule in (*parts.rules, Rule(paths=parts.default_paths)):
        for path in rule.paths:
            if path.id == path_id:
                only = (replace(path, active=True, weight=1),)
                if rule.id:
                    return FlowParts(rules=(replace(rule, active=True, conditions=(), paths=only),))
                return FlowParts(default_paths=only)
    return None


def changed_parts(
    parts: FlowParts, path_change: Callable[[Path], Path], rule_change: Callable[[Rule], Rule] = lambda rule: rule
) -> FlowParts:
    """Return a flow with a change of each rule and path. A rule is changed before its paths."""

    def changed_rule(rule: Rule) -> Rule:
        rule = rule_change(rule)
        return replace(rule, paths=tuple(path_change(path) for path in rule.paths))

    return FlowParts(
        rules=tuple(changed_rule(rule) for rule in parts.rules),
        default_paths=tuple(path_change(path) for path in parts.default_paths),
    )


def without_ids(parts: FlowParts) -> FlowParts:
    """Return a copy whose rules and paths are new."""
    return changed_parts(parts, lambda path: replace(path, id=0), lambda rule: replace(rule, id=0))


def flow_faults(parts: FlowParts) -> list[FieldFault]:
    """Return everything wrong with a flow, except references to missing records and loops of campaigns."""
    faults = _too_many("rules", len(parts.rules), MAX_RULES, "A flow") + _value_faults(parts)
    shares = sum(len(path.landings) + len(path.offers) for _, path in parts.paths())
    if shares > MAX_FLOW_SHARES:
        sentence = f"The paths have {shares} landings and offers in all. The maximum is {MAX_FLOW_SHARES}."
        faults.append(FieldFault("rules", FaultCode.TOO_MANY, sentence))
    for number, rule in enumerate(parts.rules[:MAX_RULES]):
        at = f"rules[{number}]"
        faults += text_faults(f"{at}.name", rule.name, MAX_NAME_LENGTH)
        faults += _too_many(f"{at}.conditions", len(rule.conditions), MAX_CONDITIONS, "A rule")
        for position, condition in enumerate(rule.conditions[:MAX_CONDITIONS]):
            faults += condition_faults(f"{at}.conditions[{position}]", condition)
        faults += _path_list_faults(f"{at}.paths", rule.paths)
    faults += _path_list_faults("default_paths", parts.default_paths)
    return faults + _repeated_ids(parts)


def _value_faults(parts: FlowParts) -> list[FieldFault]:
    """Return what is too much in all conditions together."""
    conditions = [condition for rule in parts.rules for condition in rule.conditions]
    values = sum(len(condition.values) for condition in conditions)
    expressions = sum(len(condition.values) for condition in conditions if condition.op is Operator.MATCHES)
    lists = len({condition.list_id for condition in conditions} - {None})
    faults = []
    for count, most, noun, advice in (
        (values, MAX_FLOW_VALUES, "values", "use named lists"),
        (expressions, MAX_FLOW_EXPRESSIONS, "regular expressions", "join some of them with |"),
        (lists, MAX_FLOW_LISTS, "named lists", "join some of them"),
    ):
        if count > most:
            sentence = f"The conditions have {count} {noun} in all. The maximum is {most}: {advice}."
            faults.append(FieldFault("rules", FaultCode.TOO_MANY, sentence))
    return faults


def _path_list_faults(at: str, paths: tuple[Path, ...]) -> list[FieldFault]:
    faults = _too_many(at, len(paths), MAX_PATHS, "A rule")
    for position, path in enumerate(paths[:MAX_PATHS]):
        faults += _path_faults(f"{at}[{position}]", path)
    return faults


def _path_faults(at: str, path: Path) -> list[FieldFault]:
    faults = text_faults(f"{at}.name", path.name, MAX_NAME_LENGTH) + _weight_faults(f"{at}.weight", path.weight)
    faults += _too_many(f"{at}.landings", len(path.landings), MAX_LANDINGS, "A path")
    faults += _too_many(f"{at}.offers", len(path.offers), MAX_OFFERS, "A path")
    for position, landing in enumerate(path.landings[:MAX_LANDINGS]):
        faults += _weight_faults(f"{at}.landings[{position}].weight", landing.weight)
    for position, offer in enumerate(path.offers[:MAX_OFFERS]):
        faults += _weight_faults(f"{at}.offers[{position}].weight", offer.weight)
    faults += _twice(f"{at}.landings", "landing_id", [landing.landing_id for landing in path.landings[:MAX_LANDINGS]])
    faults += _twice(f"{at}.offers", "offer_id", [offer.offer_id for offer in path.offers[:MAX_OFFERS]])
    if path.learning is not None:
        shares: tuple[tuple[LandingShare | OfferShare, ...], ...] = (path.landings, path.offers)
        items = max(sum(share.weight > 0 for share in one) for one in shares)
        faults += learning_faults(f"{at}.learning", path.learning, items)
    if path.target is PathTarget.URL or path.url:
        faults += address_faults(f"{at}.url", path.url, required=path.target is PathTarget.URL)
    if path.target is PathTarget.CAMPAIGN and path.campaign_id is None:
        faults.append(
            FieldFault(f"{at}.campaign_id", FaultCode.REQUIRED, "Choose the campaign that this path leads to.")
        )
    return faults


def _weight_faults(field: str, weight: int) -> list[FieldFault]:
    if 0 <= weight <= MAX_WEIGHT:
        return []
    return [FieldFault(field, FaultCode.OUT_OF_RANGE, f"The weight is {weight}. It must be 0 to {MAX_WEIGHT}.")]


def _too_many(field: str, count: int, most: int, whose: str) -> list[FieldFault]:
    if count <= most:
        return []
    noun = field.rpartition(".")[2].replace("_", " ")
    return [FieldFault(field, FaultCode.TOO_MANY, f"{whose} has at most {most} {noun}. This one has {count}.")]


def _twice(at: str, field: str, ids: list[int]) -> list[FieldFault]:
    noun = field.removesuffix("_id").capitalize()
    return [
        FieldFault(
            f"{at}[{position}].{field}",
            FaultCode.DUPLICATE,
            f"{noun} {number} occurs twice. List it once, with one weight.",
        )
        for position, number in enumerate(ids)
        if number in ids[:position]
    ]


def _repeated_ids(parts: FlowParts) -> list[FieldFault]:
    """Return a fault for each id that an earlier rule or path has, since reports could not tell them apart."""
    faults: list[FieldFault] = []
    for places in (
        [(f"rules[{number}]", rule.id) for number, rule in enumerate(parts.rules)],
        [(at, path.id) for at, path in parts.paths()],
    ):
        seen: set[int] = set()
        for at, number in places:
            if number and number in seen:
                faults.append(
                    FieldFault(f"{at}.id", FaultCode.DUPLICATE, f"The ID {number} occurs twice. Omit the copy's.")
                )
            seen.add(number)
    return faults
