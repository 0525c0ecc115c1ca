"""A flow's form as its template shows it: sentences, shares, faults, and names and choices of what it refers to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from clickloop.click.country import COUNTRIES
from clickloop.clock import DAY_MS
from clickloop.diagnosis.condition_phrases import FlowNames
from clickloop.diagnosis.flow_sentences import paths_phrase, percent, rule_sentences
from clickloop.diagnosis.route.learned import PathWeightsView
from clickloop.setup.flow import Path, PathTarget, Rule
from clickloop.setup.learning import ItemKind
from clickloop.setup.redirect import PassQuery, RedirectMode
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.context import ApiContext
from clickloop.web.panel.routing.condition_view import ConditionView, condition_view, field_groups
from clickloop.web.panel.routing.flow_draft import (
    FlowDraft,
    PathDraft,
    RuleDraft,
    ShareDraft,
    field_count,
    path_field_count,
    path_tree,
    rule_tree,
    weight_count,
)
from clickloop.web.panel.routing.flow_form import packed_paths, packed_rule
from clickloop.web.panel.routing.flow_steps import anchor_of, focus_of, step_of
from clickloop.web.panel.routing.learned_weights import (
    LANDING_GOALS,
    LEARNING_GOALS,
    Weights,
    learned_percents,
    learned_weights,
)
from clickloop.web.panel.setup.setup_choices import MAX_CHOICES, Choices, choices, number_of, zone_choices

T = TypeVar("T")

MAX_OPEN_FIELDS = 2_500
"""Form fields of everything that is open: what is beyond stays closed."""
MAX_WEIGHTS = 1_500
"""Weights that closed rules show, all together."""
MAX_OPTIONS = 20_000
"""Options of all selects together; beyond, records are chosen by number."""
UNKNOWN_DAYS = 7

TARGETS = (
    (PathTarget.OFFER.value, "Offers"),
    (PathTarget.LANDING_AND_OFFER.value, "Landing, then offers"),
    (PathTarget.URL.value, "URL"),
    (PathTarget.CAMPAIGN.value, "Another campaign"),
    (PathTarget.NOTHING.value, "Nothing (404)"),
)
REDIRECTS = (
    (RedirectMode.FOUND.value, "302 redirect"),
    (RedirectMode.FOUND_NO_REFERRER.value, "302, no referrer"),
    (RedirectMode.TEMPORARY.value, "307 redirect"),
    (RedirectMode.META.value, "Meta refresh"),
    (RedirectMode.DOUBLE_META.value, "Double meta refresh"),
    (RedirectMode.SCRIPT.value, "JavaScript"),
)
PASSING = (
    (PassQuery.NONE.value, "Nothing"),
    (PassQuery.CLICK_IDS.value, "Click IDs of ad platforms"),
    (PassQuery.ALL.value, "All parameters"),
)


class ShareView(msgspec.Struct, frozen=True):
    """An offer or landing of a path. ``at``: the path of its form fields."""

    at: str
    place: str
    draft: ShareDraft
    name: str
    share: str
    learned: str = ""
    """The learned weight in force, as a share; empty: the user's is."""


class PathView(msgspec.Struct, frozen=True, kw_only=True):
    """A path of a flow."""

    at: str
    place: str
    anchor: str
    number: int
    draft: PathDraft
    share: str
    landings: tuple[ShareView, ...]
    offers: tuple[ShareView, ...]
    destination: str
    """Where a closed one without weights leads."""
    weights: PathWeightsView | None
    """What it has learned; None: it does not learn, or is new."""


class RuleEditorView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a flow, or its default paths."""

    at: str
    """The path of its form fields."""
    place: str
    anchor: str
    number: int
    draft: RuleDraft
    sentence: str
    is_open: bool
    is_too_large: bool
    shows_weights: bool
    packed: str
    conditions: tuple[ConditionView, ...]
    paths: tuple[PathView, ...]


class FlowEditorView(msgspec.Struct, frozen=True, kw_only=True):
    """A flow's form."""

    prefix: str
    rules: tuple[RuleEditorView, ...]
    default: RuleEditorView
    fields: list[tuple[str, list[tuple[str, str]]]]
    offers: Choices
    landings: Choices
    campaigns: Choices
    lists: Choices
    by_number: bool
    """Whether records are chosen by number, since there are too many to list."""
    has_schedule: bool
    focus: str = ""
    """The anchor of the part to look at after a button."""
    targets: tuple[tuple[str, str], ...] = TARGETS
    redirects: tuple[tuple[str, str], ...] = REDIRECTS
    passing: tuple[tuple[str, str], ...] = PASSING
    goals: tuple[tuple[str, str], ...] = LEARNING_GOALS
    landing_goals: tuple[tuple[str, str], ...] = LANDING_GOALS
    countries: tuple[tuple[str, str], ...] = COUNTRIES
    zones: tuple[str, ...] = ()


class FlowOwner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose flow it is. ``campaign_ids``: campaigns that follow it; ``parameters``: names of its source's, by field."""

    prefix: str = ""
    campaign_ids: tuple[int, ...] = ()
    parameters: Mapping[str, str] = {}
    is_shared: bool = False


def flow_view(
    context: ApiContext, draft: FlowDraft, owner: FlowOwner, *, step: str = "", opens_all: bool = False
) -> FlowEditorView:
    """Return a flow's form. ``step``: the button that was pressed; ``opens_all``: for those who cannot press any."""
    paths = [path for rule in draft.rules for path in rule.paths] + [*draft.default_paths]
    offers = _choices(context, RecordKind.OFFER, (one.number for path in paths for one in path.offers))
    landings = _choices(context, RecordKind.LANDING, (one.number for path in paths for one in path.landings))
    campaigns = _choices(context, RecordKind.CAMPAIGN, (path.campaign_id for path in paths))
    conditions = [one for rule in draft.rules for one in rule.conditions]
    lists = _choices(context, RecordKind.LIST, (one.list_id for one in conditions))
    known = FlowNames(
        offers=dict(offers),
        landings=dict(landings),
        campaigns=dict(campaigns),
        lists=dict(lists),
        parameters=owner.parameters,
    )
    weights = learned_weights(context, paths)
    shares = _unknown_shares(context, owner.campaign_ids, {one.field for one in conditions})
    open_parts = _open_parts(draft, opens_all=opens_all)
    weighted = _weighted_parts(draft)
    rules = tuple(
        _rule_view(
            draft,
            number,
            known,
            owner,
            shares,
            weights,
            is_open=number in open_parts,
            shows_weights=number in weighted,
        )
        for number in range(len(draft.rules))
    )
    default = _default_view(draft, known, owner, weights, is_open=None in open_parts, shows_weights=None in weighted)
    rows = sum(
        len(path.offers) + len(path.landings) for rule in (*rules, default) if rule.is_open for path in rule.paths
    )
    return FlowEditorView(
        prefix=owner.prefix,
        rules=rules,
        default=default,
        fields=field_groups(owner.parameters, has_all_rows=owner.is_shared),
        offers=offers,
        landings=landings,
        campaigns=[one for one in campaigns if one[0] not in owner.campaign_ids or owner.is_shared],
        lists=lists,
        by_number=len(offers) > MAX_CHOICES or rows * max(len(offers), len(landings)) > MAX_OPTIONS,
        has_schedule=any(one.widget in ("schedule", "date") for rule in rules for one in rule.conditions),
        focus=focus_of(draft, step_of(step)) if step else "",
        zones=tuple(zone for zone, _ in zone_choices()),
    )


def _choices(context: ApiContext, kind: RecordKind, numbers: Iterable[str]) -> Choices:
    return choices(context, kind, {number_of(text) for text in numbers})


def _unknown_shares(context: ApiContext, campaign_ids: Collection[int], fields: Collection[str]) -> dict[str, float]:
    """Return how many of the last days' visitors had no value; without facts nothing is said of it."""
    wanted = {"country" if field == "continent" else field for field in fields}
    try:
        return context.facts.unknown_shares(campaign_ids, wanted, context.clock() - UNKNOWN_DAYS * DAY_MS)
    except FactsError:
        return {}


def _open_parts(draft: FlowDraft, *, opens_all: bool) -> set[int | None]:
    """Return the rules that are open, and None for the default paths, as far as their fields fit."""
    wanted: list[tuple[int | None, int]] = []
    if draft.is_open or not draft.rules or opens_all:
        wanted.append((None, path_field_count(draft.default_paths)))
    wanted += [(at, field_count(rule)) for at, rule in enumerate(draft.rules) if rule.is_open or opens_all]
    return _fitting(wanted, MAX_OPEN_FIELDS)


def _weighted_parts(draft: FlowDraft) -> set[int | None]:
    """Return the rules that show their weights while they are closed, and None for the default paths."""
    rules: list[tuple[int | None, int]] = [(at, weight_count(rule.paths)) for at, rule in enumerate(draft.rules)]
    return _fitting([(None, weight_count(draft.default_paths)), *rules], MAX_WEIGHTS)


def _fitting(wanted: list[tuple[int | None, int]], most: int) -> set[int | None]:
    """Return the parts, in order, whose numbers of fields fit into a maximum."""
    found: set[int | None] = set()
    for part, count in wanted:
        if count <= most:
            found.add(part)
            most -= count
    return found


def _rule_view(
    draft: FlowDraft,
    number: int,
    known: FlowNames,
    owner: FlowOwner,
    shares: Mapping[str, float],
    weights: Weights,
    *,
    is_open: bool,
    shows_weights: bool,
) -> RuleEditorView:
    rule, further = draft.rules[number], draft.rules[number + 1 :]
    at, place = f"{owner.prefix}rules[{number}]", f"rules[{number}]"
    return RuleEditorView(
        at=at,
        place=place,
        anchor=anchor_of(place),
        number=number,
        draft=rule,
        sentence=_sentence(rule, known, is_last=not any(one.is_active for one in further)),
        is_open=is_open,
        is_too_large=field_count(rule) > MAX_OPEN_FIELDS,
        shows_weights=shows_weights,
        packed="" if is_open else packed_rule(rule),
        conditions=tuple(
            condition_view(f"{at}.conditions[{position}]", place, position, one, owner.parameters, shares)
            for position, one in enumerate(rule.conditions)
        )
        if is_open
        else (),
        paths=_path_views(f"{at}.paths", f"{place}.paths", rule.paths, known, weights, is_open=is_open),
    )


def _default_view(
    draft: FlowDraft, known: FlowNames, owner: FlowOwner, weights: Weights, *, is_open: bool, shows_weights: bool
) -> RuleEditorView:
    rule = RuleDraft(paths=draft.default_paths)
    at = f"{owner.prefix}default_paths"
    paths = _converted([path_tree(path) for path in draft.default_paths], tuple[Path, ...])
    return RuleEditorView(
        at=at,
        place="default_paths",
        anchor=anchor_of("default_paths"),
        number=-1,
        draft=rule,
        sentence="" if paths is None else _capitalized(f"{paths_phrase(paths, known)}."),
        is_open=is_open,
        is_too_large=path_field_count(draft.default_paths) > MAX_OPEN_FIELDS,
        shows_weights=shows_weights,
        packed="" if is_open else packed_paths(draft.default_paths),
        conditions=(),
        paths=_path_views(at, "default_paths", draft.default_paths, known, weights, is_open=is_open),
    )


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(rule: RuleDraft, known: FlowNames, *, is_last: bool) -> str:
    """Return what a rule means; empty while it cannot be read."""
    read = _converted(rule_tree(rule), Rule)
    return "" if read is None else rule_sentences(read, known, is_last=is_last)


def _converted(tree: object, kind: type[T]) -> T | None:
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError:
        return None


def _path_views(
    at: str, place: str, paths: Sequence[PathDraft], known: FlowNames, weights: Weights, *, is_open: bool
) -> tuple[PathView, ...]:
    shares = shares_of([path.weight if path.is_active else "0" for path in paths])
    return tuple(
        PathView(
            at=f"{at}[{number}]",
            place=f"{place}[{number}]",
            anchor=anchor_of(f"{place}[{number}]"),
            number=number,
            draft=path,
            share=shares[number],
            landings=_share_views(
                f"{at}[{number}].landings",
                f"{place}[{number}].landings",
                path.landings,
                known.landings,
                learned_percents(weights, path, ItemKind.LANDINGS),
            )
            if path.target == PathTarget.LANDING_AND_OFFER or is_open
            else (),
            offers=_share_views(
                f"{at}[{number}].offers",
                f"{place}[{number}].offers",
                path.offers,
                known.offers,
                learned_percents(weights, path, ItemKind.OFFERS),
            ),
            destination=_destination(path, known),
            weights=weights.get(number_of(path.id) or 0) if path.goal else None,
        )
        for number, path in enumerate(paths)
    )


def _share_views(
    at: str, place: str, shares: Sequence[ShareDraft], known: Mapping[int, str], learned: Mapping[int, str]
) -> tuple[ShareView, ...]:
    shown = shares_of([one.weight if one.number else "0" for one in shares])
    return tuple(
        ShareView(
            f"{at}[{number}]",
            f"{place}[{number}]",
            one,
            known.get(number_of(one.number) or 0, one.number),
            shown[number],
            learned.get(number_of(one.number) or 0, ""),
        )
        for number, one in enumerate(shares)
    )


def _destination(path: PathDraft, known: FlowNames) -> str:
    match path.target:
        case PathTarget.URL:
            return path.url or "URL"
        case PathTarget.CAMPAIGN:
            return f"Campaign {known.campaigns.get(number_of(path.campaign_id) or 0, path.campaign_id)}"
        case PathTarget.NOTHING:
            return "404 page"
    return ""


def shares_of(weights: Sequence[str]) -> list[str]:
    """Return the share of each weight, as far as they can be read: ``60%``; a dash for none."""
    numbers = [number_of(weight) if weight.strip() else 100 for weight in weights]
    whole = sum(number or 0 for number in numbers)
    return [percent(number / whole) if number and whole else "–" for number in numbers]
