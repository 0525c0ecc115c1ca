"""A flow as its form holds it: texts that may not be valid yet. Conversions from a flow, and to what the API reads."""

from typing import Any

import msgspec
from msgspec.structs import replace

from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule
from clickloop.setup.learning import Learning
from clickloop.web.panel.setup.setup_choices import number_of

DEFAULT_WEIGHT = "100"
_LEARNING = Learning()
WITH_OFFERS = (PathTarget.OFFER, PathTarget.LANDING_AND_OFFER)


class ShareDraft(msgspec.Struct, frozen=True):
    """An offer or landing of a path. ``number``: the record's, as a text; empty: none is chosen."""

    number: str = ""
    weight: str = DEFAULT_WEIGHT


class PathDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A path. ``redirect`` and ``pass_query`` are empty where the campaign decides."""

    id: str = "0"
    name: str = ""
    is_active: bool = True
    weight: str = DEFAULT_WEIGHT
    target: str = PathTarget.OFFER
    landings: tuple[ShareDraft, ...] = ()
    offers: tuple[ShareDraft, ...] = ()
    url: str = ""
    campaign_id: str = ""
    redirect: str = ""
    pass_query: str = ""
    goal: str = ""
    """What it learns towards; empty: its weights are fixed."""
    window_hours: str = str(_LEARNING.window_hours)
    least_share: str = str(_LEARNING.least_share)
    delay_hours: str = ""
    """Empty: learned from the conversions."""
    is_frozen: bool = False


class ConditionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A condition. ``unknown`` is empty for the operator's usual answer."""

    field: str
    op: str = "in"
    values: tuple[str, ...] = ()
    list_id: str = ""
    unknown: str = ""


class RuleDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A rule. A closed one is shown as a sentence, and its form carries it as one packed field."""

    id: str = "0"
    name: str = ""
    is_active: bool = True
    conditions: tuple[ConditionDraft, ...] = ()
    paths: tuple[PathDraft, ...] = ()
    is_open: bool = False


class FlowDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The rules and default paths of a flow. ``is_open``: the default paths are."""

    rules: tuple[RuleDraft, ...] = ()
    default_paths: tuple[PathDraft, ...] = ()
    is_open: bool = False


def draft_of(parts: FlowParts) -> FlowDraft:
    """Return a saved flow as its form shows it, everything closed."""
    return FlowDraft(
        rules=tuple(_rule_draft(rule) for rule in parts.rules),
        default_paths=tuple(_path_draft(path) for path in parts.default_paths),
    )


def _rule_draft(rule: Rule) -> RuleDraft:
    conditions = tuple(
        ConditionDraft(
            field=one.field,
            op=one.op,
            values=one.values,
            list_id="" if one.list_id is None else str(one.list_id),
            unknown=one.unknown or "",
        )
        for one in rule.conditions
    )
    return RuleDraft(
        id=str(rule.id),
        name=rule.name,
        is_active=rule.active,
        conditions=conditions,
        paths=tuple(_path_draft(path) for path in rule.paths),
    )


def _path_draft(path: Path) -> PathDraft:
    return PathDraft(
        id=str(path.id),
        name=path.name,
        is_active=path.active,
        weight=str(path.weight),
        target=path.target,
        landings=tuple(ShareDraft(str(one.landing_id), str(one.weight)) for one in path.landings),
        offers=tuple(ShareDraft(str(one.offer_id), str(one.weight)) for one in path.offers),
        url=path.url,
        campaign_id="" if path.campaign_id is None else str(path.campaign_id),
        redirect=path.redirect or "",
        pass_query=path.pass_query or "",
        goal="" if path.learning is None else path.learning.goal,
        window_hours=str((path.learning or _LEARNING).window_hours),
        least_share=str((path.learning or _LEARNING).least_share),
        delay_hours=""
        if path.learning is None or path.learning.delay_hours is None
        else str(path.learning.delay_hours),
        is_frozen=path.learning is not None and path.learning.frozen,
    )


def without_blanks(draft: FlowDraft) -> FlowDraft:
    """Return a draft as it is saved: without blank rows, and without what belongs to another target of a path."""
    return replace(
        draft,
        rules=tuple(replace(rule, paths=_filled_paths(rule.paths)) for rule in draft.rules),
        default_paths=_filled_paths(draft.default_paths),
    )


def _filled_paths(paths: tuple[PathDraft, ...]) -> tuple[PathDraft, ...]:
    return tuple(
        replace(
            path,
            landings=tuple(one for one in path.landings if one.number and path.target == PathTarget.LANDING_AND_OFFER),
            offers=tuple(one for one in path.offers if one.number and path.target in WITH_OFFERS),
            url=path.url if path.target == PathTarget.URL else "",
            campaign_id=path.campaign_id if path.target == PathTarget.CAMPAIGN else "",
            goal=path.goal if path.target in WITH_OFFERS else "",
        )
        for path in paths
    )


def parts_tree(draft: FlowDraft) -> dict[str, Any]:
    """Return a draft as the API reads a flow. Texts that are no numbers stay, for the API to report."""
    return {
        "rules": [rule_tree(rule) for rule in draft.rules],
        "default_paths": [path_tree(path) for path in draft.default_paths],
    }


def rule_tree(rule: RuleDraft) -> dict[str, Any]:
    """Return a rule as the API reads it."""
    return {
        "id": _number(rule.id, 0),
        "name": rule.name,
        "active": rule.is_active,
        "conditions": [_condition_tree(one) for one in rule.conditions],
        "paths": [path_tree(path) for path in rule.paths],
    }


def path_tree(path: PathDraft) -> dict[str, Any]:
    """Return a path as the API reads it."""
    return {
        "id": _number(path.id, 0),
        "name": path.name,
        "active": path.is_active,
        "weight": _number(path.weight, int(DEFAULT_WEIGHT)),
        "target": path.target,
        "landings": [_share_tree(one, LandingShare) for one in path.landings if one.number],
        "offers": [_share_tree(one, OfferShare) for one in path.offers if one.number],
        "url": path.url,
        "campaign_id": _number(path.campaign_id, None),
        "redirect": path.redirect or None,
        "pass_query": path.pass_query or None,
        "learning": _learning_tree(path) if path.goal else None,
    }


def _learning_tree(path: PathDraft) -> dict[str, Any]:
    return {
        "goal": path.goal,
        "window_hours": _number(path.window_hours, _LEARNING.window_hours),
        "least_share": _number(path.least_share, _LEARNING.least_share),
        "delay_hours": _number(path.delay_hours, None),
        "frozen": path.is_frozen,
    }


def _share_tree(share: ShareDraft, kind: type[LandingShare | OfferShare]) -> dict[str, Any]:
    name = kind.__struct_fields__[0]
    return {name: _number(share.number, None), "weight": _number(share.weight, int(DEFAULT_WEIGHT))}


def _condition_tree(condition: ConditionDraft) -> dict[str, Any]:
    return {
        "field": condition.field,
        "op": condition.op,
        "values": list(condition.values),
        "list_id": _number(condition.list_id, None),
        "unknown": condition.unknown or None,
    }


def _number(text: str, default: int | None) -> Any:
    """Return the number that a field holds, the default for an empty one; other text stays."""
    word = text.strip()
    if not word:
        return default
    number = number_of(word)
    return text if number is None else number


def field_count(rule: RuleDraft) -> int:
    """Return about how many form fields an open rule has."""
    grids = sum(one.field == "schedule" for one in rule.conditions)
    return 6 * len(rule.conditions) + 7 * 24 * grids + path_field_count(rule.paths)


def path_field_count(paths: tuple[PathDraft, ...]) -> int:
    """Return about how many form fields open paths have."""
    return sum(15 + 2 * (len(path.offers) + len(path.landings)) for path in paths)


def weight_count(paths: tuple[PathDraft, ...]) -> int:
    """Return how many weights paths have at most."""
    return sum(1 + len(path.offers) + len(path.landings) for path in paths)
