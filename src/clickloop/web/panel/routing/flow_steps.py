"""The buttons of a flow's form: each changes the draft, which is then shown again; nothing is saved. Pure."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from clickloop.setup.condition import MAX_CONDITIONS, OPERATORS, QUERY_PREFIX, Comparison, Operator, comparison_of
from clickloop.setup.flow import MAX_PATHS, MAX_RULES, PathTarget
from clickloop.web.panel.routing.flow_draft import (
    WITH_OFFERS,
    ConditionDraft,
    FlowDraft,
    PathDraft,
    RuleDraft,
    ShareDraft,
)

T = TypeVar("T")
PathsChange = Callable[[tuple[PathDraft, ...]], tuple[PathDraft, ...]]

MAX_COPIED_NAME = 193
"""Characters of a name that a copy keeps, so that " (copy)" still fits."""
_PLACE = re.compile(
    r"(?:rules\[([0-9]{1,3})\]|default_paths(?:\[([0-9]{1,2})\])?)"
    r"(?:\.(paths|conditions)\[([0-9]{1,2})\])?(?:\.(offers|landings)\[([0-9]{1,3})\])?"
)


class PartPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a flow, as a button names it: ``rules[2].paths[0].offers[1]``. ``rule`` None: of the default paths."""

    rule: int | None
    path: int | None = None
    condition: int | None = None
    shares: str = ""
    """``offers`` or ``landings`` of the path."""
    share: int | None = None

    def __str__(self) -> str:
        words = "default_paths" if self.rule is None else f"rules[{self.rule}]"
        if self.path is not None:
            words += f"[{self.path}]" if self.rule is None else f".paths[{self.path}]"
        if self.condition is not None:
            words += f".conditions[{self.condition}]"
        return words + (f".{self.shares}[{self.share}]" if self.shares else "")


class Step(msgspec.Struct, frozen=True):
    """What a button does, and where; ``place`` None: with the flow as a whole."""

    verb: str
    place: PartPlace | None


def step_of(text: str) -> Step:
    """Return the step that a button's value names, such as ``remove:rules[2]``; of an unknown place: with nothing."""
    verb, _, words = text.partition(":")
    found = _PLACE.fullmatch(words)
    if found is None:
        return Step(verb, None)
    rule, default_path, kind, number, shares, share = found.groups()
    at = None if number is None else int(number)
    path = at if kind == "paths" else None if default_path is None else int(default_path)
    place = PartPlace(
        rule=None if rule is None else int(rule),
        path=path,
        condition=at if kind == "conditions" else None,
        shares=shares or "",
        share=None if share is None else int(share),
    )
    return Step(verb, place)


def new_rule(conditions: tuple[ConditionDraft, ...]) -> RuleDraft:
    """Return an open rule with one path for an offer yet to be chosen."""
    return RuleDraft(conditions=conditions, paths=(PathDraft(offers=(ShareDraft(),)),), is_open=True)


def with_rule(draft: FlowDraft, conditions: tuple[ConditionDraft, ...]) -> FlowDraft:
    """Return the flow with a new last rule, unless it is full."""
    if len(draft.rules) >= MAX_RULES:
        return draft
    return replace(draft, rules=(*draft.rules, new_rule(conditions)))


def new_condition(field: str) -> ConditionDraft:
    """Return a blank condition on a field, with the field's usual operator."""
    comparison = comparison_of(field) or Comparison.TEXT
    return ConditionDraft(field=field if comparison_of(field) else QUERY_PREFIX, op=OPERATORS[comparison][0])


def with_step(draft: FlowDraft, step: Step, field: str = "") -> FlowDraft:
    """Return the flow after a button. ``field``: of the condition that the button adds. A step that fits nothing changes nothing."""
    place = step.place
    if place is None:
        return draft
    if place.path is not None:
        return _with_paths(draft, place, lambda paths: _path_step(paths, step.verb, place))
    if step.verb == "add_path":
        return _with_paths(draft, place, lambda paths: (*paths, _new_path(paths)) if len(paths) < MAX_PATHS else paths)
    if place.rule is None:
        return replace(draft, is_open=step.verb == "open") if step.verb in ("open", "close") else draft
    if place.rule >= len(draft.rules):
        return draft
    rule = draft.rules[place.rule]
    match step.verb:
        case "up" | "down" | "remove":
            return replace(draft, rules=_moved(draft.rules, place.rule, step.verb))
        case "copy" if len(draft.rules) < MAX_RULES:
            rules = (*draft.rules[: place.rule + 1], _copied_rule(rule), *draft.rules[place.rule + 1 :])
            return replace(draft, rules=rules)
        case "open" | "close":
            return _with_rule(draft, place.rule, replace(rule, is_open=step.verb == "open"))
        case "add_condition" if len(rule.conditions) < MAX_CONDITIONS:
            conditions = (*rule.conditions, new_condition(field))
            return _with_rule(draft, place.rule, replace(rule, conditions=conditions))
        case "remove_condition" if place.condition is not None:
            conditions = _moved(rule.conditions, place.condition, "remove")
            return _with_rule(draft, place.rule, replace(rule, conditions=conditions))
    return draft


def with_blank_rows(draft: FlowDraft) -> FlowDraft:
    """Return the flow with a row to choose a landing in, and one for an offer, in each path that has none where it needs one."""

    def filled(paths: tuple[PathDraft, ...]) -> tuple[PathDraft, ...]:
        return tuple(_with_blank_rows(path) for path in paths)

    rules = tuple(replace(rule, paths=filled(rule.paths)) for rule in draft.rules)
    return replace(draft, rules=rules, default_paths=filled(draft.default_paths))


def _with_blank_rows(path: PathDraft) -> PathDraft:
    if path.target == PathTarget.LANDING_AND_OFFER and not path.landings:
        path = replace(path, landings=(ShareDraft(),))
    if path.target in WITH_OFFERS and not path.offers:
        path = replace(path, offers=(ShareDraft(),))
    return path


def opened(draft: FlowDraft, places: list[PartPlace]) -> FlowDraft:
    """Return the flow with these parts open, such as those with faults."""
    numbers = {place.rule for place in places}
    return replace(
        draft,
        rules=tuple(
            replace(rule, is_open=True) if number in numbers else rule for number, rule in enumerate(draft.rules)
        ),
        is_open=draft.is_open or None in numbers,
    )


def _with_rule(draft: FlowDraft, number: int, rule: RuleDraft) -> FlowDraft:
    return replace(draft, rules=(*draft.rules[:number], rule, *draft.rules[number + 1 :]))


def _with_paths(draft: FlowDraft, place: PartPlace, changed: PathsChange) -> FlowDraft:
    if place.rule is None:
        return replace(draft, default_paths=changed(draft.default_paths))
    if place.rule >= len(draft.rules):
        return draft
    rule = draft.rules[place.rule]
    return _with_rule(draft, place.rule, replace(rule, paths=changed(rule.paths)))


def _path_step(paths: tuple[PathDraft, ...], verb: str, place: PartPlace) -> tuple[PathDraft, ...]:
    at = place.path
    if at is None or at >= len(paths):
        return paths
    path = paths[at]
    match verb:
        case "copy" if len(paths) < MAX_PATHS:
            return (*paths[: at + 1], _copied_path(path), *paths[at + 1 :])
        case "add_offer":
            path = replace(path, offers=(*path.offers, ShareDraft()))
        case "add_landing":
            path = replace(path, landings=(*path.landings, ShareDraft()))
        case "up" | "down" | "remove" if place.share is None:
            return _moved(paths, at, verb)
        case "up" | "remove" if place.shares == "offers" and place.share is not None:
            path = replace(path, offers=_moved(path.offers, place.share, verb))
        case "up" | "remove" if place.share is not None:
            path = replace(path, landings=_moved(path.landings, place.share, verb))
    return (*paths[:at], path, *paths[at + 1 :])


def _moved(items: tuple[T, ...], at: int, verb: str) -> tuple[T, ...]:
    """Return items with one removed, or exchanged with the one before or after it."""
    if at >= len(items):
        return items
    others = [*items[:at], *items[at + 1 :]]
    if verb != "remove":
        others.insert(max(at - 1, 0) if verb == "up" else at + 1, items[at])
    return tuple(others)


def _new_path(paths: tuple[PathDraft, ...]) -> PathDraft:
    """Return a path like the last one: with its target, and a row to choose an offer in."""
    target = paths[-1].target if paths else PathDraft().target
    return PathDraft(target=target, offers=(ShareDraft(),))


def _copied_rule(rule: RuleDraft) -> RuleDraft:
    return replace(
        rule,
        id="0",
        name=f"{rule.name[:MAX_COPIED_NAME]} (copy)" if rule.name else "",
        paths=tuple(replace(path, id="0") for path in rule.paths),
        is_open=True,
    )


def _copied_path(path: PathDraft) -> PathDraft:
    return replace(path, id="0", name=f"{path.name[:MAX_COPIED_NAME]} (copy)" if path.name else "")


def operators_of(field: str) -> tuple[Operator, ...]:
    """Return the operators that a field takes."""
    return OPERATORS[comparison_of(field) or Comparison.TEXT]


def anchor_of(place: PartPlace | str) -> str:
    """Return the id of a part in its page: ``rule-3``, ``rule-3-path-1``, ``default``."""
    found = step_of(f":{place}").place
    if found is None:
        return ""
    words = "default" if found.rule is None else f"rule-{found.rule + 1}"
    return words if found.path is None else f"{words}-path-{found.path + 1}"


def focus_of(draft: FlowDraft, step: Step) -> str:
    """Return the anchor of the part to look at after a button. ``draft``: as the button left it."""
    place = step.place
    if step.verb in ("add_rule", "add_country_rule"):
        return anchor_of(PartPlace(rule=len(draft.rules) - 1))
    if place is None:
        return ""
    if place.path is None and place.rule is not None and step.verb in ("up", "down", "copy"):
        moved = place.rule + (-1 if step.verb == "up" else 1)
        place = replace(place, rule=min(max(moved, 0), len(draft.rules) - 1))
    if step.verb == "add_path":
        paths = draft.default_paths if place.rule is None else draft.rules[place.rule].paths
        place = replace(place, path=len(paths) - 1)
    return anchor_of(replace(place, condition=None, shares="", share=None))
