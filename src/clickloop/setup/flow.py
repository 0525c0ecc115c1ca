"""The flow: which visitors of a campaign go along which path. Rules are tried in order; without one that fits, the default paths."""

import enum
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from clickloop.log_filter import MAX_ID
from clickloop.setup.condition import MAX_CONDITIONS, Condition, Operator, condition_faults
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, text_faults
from clickloop.setup.redirect import PassQuery, RedirectMode
from clickloop.setup.web_address import address_faults

MAX_RULES = 100
MAX_PATHS = 50  # of a rule
MAX_LANDINGS = 50  # of a path
MAX_OFFERS = 200  # of a path
MAX_WEIGHT = 1_000_000  # sums of all weights stay small whole numbers
MAX_FLOW_VALUES = 100_000  # in all conditions: edges hold every flow in memory, and each save keeps a version
MAX_FLOW_SHARES = 20_000  # landings and offers of all paths, for the same reason
MAX_FLOW_EXPRESSIONS = 100  # each costs a click up to a tenth of a millisecond, and edges some memory
MAX_FLOW_LISTS = 50  # different ones: of 10,000 entries each, and the first visitor waits until they are read
MAX_NAME_LENGTH = 200
MAX_DEPTH = 3
"""Campaigns that one visitor passes through at most, beside the one of the link."""

PartId = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_ID,
        description="Its number, which it keeps for good. Left out or 0: it is new and gets one.",
        examples=[7],
    ),
]
Weight = Annotated[int, Meta(description="Its weight against the others; 0 switches it off.", examples=[100])]


class PathTarget(enum.StrEnum):
    """Where a path leads."""

    OFFER = "offer"
    """To one of its offers."""
    LANDING_AND_OFFER = "landing_and_offer"
    """To one of its landings, and from there to one of its offers."""
    URL = "url"
    """To its address."""
    CAMPAIGN = "campaign"
    """Along the flow of another campaign, with the same click."""
    NOTHING = "nothing"
    """To a 404."""


class LandingShare(msgspec.Struct, frozen=True):
    """A landing of a path."""

    landing_id: Annotated[int, Meta(description="The landing.", ge=1, le=MAX_ID, examples=[1])]
    weight: Weight = 100


class OfferShare(msgspec.Struct, frozen=True):
    """An offer of a path. Visitors are split by weight; 0 switches an offer off."""

    offer_id: Annotated[int, Meta(description="The offer.", ge=1, le=MAX_ID, examples=[1])]
    weight: Weight = 100


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """A path: one of the ways that the visitors of a rule go, split by weight."""

    id: PartId = 0
    name: Annotated[str, Meta(description="Its name.", examples=["Landing B"])] = ""
    active: Annotated[bool, Meta(description="false: no visitor goes this way.")] = True
    weight: Weight = 100
    target: Annotated[PathTarget, Meta(description="Where it leads.")] = PathTarget.OFFER
    landings: Annotated[tuple[LandingShare, ...], Meta(description="Its landings with their weights.")] = ()
    offers: Annotated[tuple[OfferShare, ...], Meta(description="Its offers with their weights.")] = ()
    url: Annotated[str, Meta(description="The address of a path with the target url. It may hold macros.")] = ""
    campaign_id: (
        Annotated[int, Meta(ge=1, le=MAX_ID, description="The campaign of a path with the target campaign.")] | None
    ) = None
    redirect: Annotated[
        RedirectMode | None, Meta(description="How visitors are redirected. null: as the campaign says.")
    ] = None
    pass_query: Annotated[
        PassQuery | None, Meta(description="What of the link's query is passed on. null: as the campaign says.")
    ] = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule: visitors for whom all its conditions hold go along one of its paths."""

    id: PartId = 0
    name: Annotated[str, Meta(description="Its name.", examples=["US mobile"])] = ""
    active: Annotated[bool, Meta(description="false: it is passed over.")] = True
    conditions: Annotated[
        tuple[Condition, ...], Meta(description="All of them must hold; none: it holds for everybody.")
    ] = ()
    paths: Annotated[tuple[Path, ...], Meta(description="Its paths.")] = ()


class FlowParts(msgspec.Struct, frozen=True, kw_only=True):
    """The rules and paths of a flow, whether it is a campaign's own or shared."""

    rules: Annotated[
        tuple[Rule, ...], Meta(description="Tried in this order; the first that holds takes the visitor.")
    ] = ()
    default_paths: Annotated[tuple[Path, ...], Meta(description="For visitors whom no rule takes.")] = ()

    def paths(self) -> Iterator[tuple[str, Path]]:
        """Yield every path with where it stands, such as ``rules[0].paths[1]``."""
        for number, rule in enumerate(self.rules):
            for position, path in enumerate(rule.paths):
                yield f"rules[{number}].paths[{position}]", path
        for position, path in enumerate(self.default_paths):
            yield f"default_paths[{position}]", path


class FlowReferences(msgspec.Struct, frozen=True):
    """Ids of the records that a flow names."""

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
    """Return the records that a flow names."""
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
    """Return the flow with the offers of its only default path replaced, or with a first default path.

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


def without_ids(parts: FlowParts) -> FlowParts:
    """Return a copy whose rules and paths are new."""
    return FlowParts(
        rules=tuple(
            replace(rule, id=0, paths=tuple(replace(path, id=0) for path in rule.paths)) for rule in parts.rules
        ),
        default_paths=tuple(replace(path, id=0) for path in parts.default_paths),
    )


def flow_faults(parts: FlowParts) -> list[FieldFault]:
    """Return everything that is wrong with a flow, except whether what it names exists and whether it leads round in a loop."""
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
    if path.target is PathTarget.URL or path.url:
        faults += address_faults(f"{at}.url", path.url, required=path.target is PathTarget.URL)
    if path.target is PathTarget.CAMPAIGN and path.campaign_id is None:
        faults.append(FieldFault(f"{at}.campaign_id", FaultCode.REQUIRED, "Name the campaign that this path leads to."))
    return faults


def _weight_faults(field: str, weight: int) -> list[FieldFault]:
    if 0 <= weight <= MAX_WEIGHT:
        return []
    return [FieldFault(field, FaultCode.OUT_OF_RANGE, f"The weight is {weight}, 0 to {MAX_WEIGHT} is expected.")]


def _too_many(field: str, count: int, most: int, whose: str) -> list[FieldFault]:
    if count <= most:
        return []
    noun = field.rpartition(".")[2].replace("_", " ")
    return [FieldFault(field, FaultCode.TOO_MANY, f"{whose} has at most {most} {noun}; these are {count}.")]


def _twice(at: str, field: str, ids: list[int]) -> list[FieldFault]:
    noun = field.removesuffix("_id").capitalize()
    return [
        FieldFault(
            f"{at}[{position}].{field}",
            FaultCode.DUPLICATE,
            f"{noun} {number} stands twice: give it once, with one weight.",
        )
        for position, number in enumerate(ids)
        if number in ids[:position]
    ]


def _repeated_ids(parts: FlowParts) -> list[FieldFault]:
    """Return a fault for each id that an earlier rule or path has: reports could not tell them apart."""
    faults: list[FieldFault] = []
    for places in (
        [(f"rules[{number}]", rule.id) for number, rule in enumerate(parts.rules)],
        [(at, path.id) for at, path in parts.paths()],
    ):
        seen: set[int] = set()
        for at, number in places:
            if number and number in seen:
                faults.append(
                    FieldFault(f"{at}.id", FaultCode.DUPLICATE, f"{number} stands twice: leave the copy's out.")
                )
            seen.add(number)
    return faults
